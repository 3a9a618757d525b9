//! A job runs once, whatever restarts around it, and is cancelled when its file is deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use slipway_e2e::{EASY, Experiment, Stack, text, until};

const LONG: Experiment =
    Experiment { name: "e2e-long", architecture: "mlp", epochs: 900, learning_rates: &["0.001"], gate: EASY };
/// The time limit of a start or a restart.
const LIMIT: Duration = Duration::from_secs(180);

#[test]
fn restarts_start_nothing_twice_and_a_deleted_file_cancels() -> Result<()> {
    let stack = Stack::get()?;
    let proposed = stack.start(&LONG)?;
    let job = &proposed.jobs[0];
    stack.training(job, LIMIT)?;
    let before = everything_of(stack, job)?;

    // Argo CD is told to refresh and to sync again
    let application = "applications.argoproj.io/training-jobs";
    stack.kubectl().run(&[
        "annotate",
        "-n",
        "argocd",
        application,
        "argocd.argoproj.io/refresh=hard",
        "--overwrite",
    ])?;
    let sync = r#"{"operation":{"initiatedBy":{"username":"e2e"},"sync":{"prune":true}}}"#;
    stack.kubectl().run(&["patch", "-n", "argocd", application, "--type", "merge", "-p", sync])?;
    until("the sync is over", LIMIT, || {
        let application = stack.kubectl().get(&["applications.argoproj.io", "training-jobs", "-n", "argocd"])?;
        let over =
            application.get("operation").is_none() && text(&application, "/status/operationState/phase") == "Succeeded";
        Ok(if over { Ok(()) } else { Err(application["status"]["operationState"].to_string()) })
    })?;

    for (namespace, label) in [
        ("argocd", "app.kubernetes.io/name=argocd-application-controller"),
        ("kubeflow-system", "app.kubernetes.io/name=trainer"),
        ("jobset-system", "control-plane=controller-manager"),
    ] {
        let killed = stack.kubectl().kill(namespace, label)?;
        until(&format!("another pod of {label}"), LIMIT, || {
            let pods = stack.kubectl().list(&["pods", "-n", namespace, "-l", label])?;
            let ready =
                pods.iter().any(|pod| !killed.iter().any(|id| id == text(pod, "/metadata/uid")) && is_ready(pod));
            Ok(if ready { Ok(()) } else { Err(format!("{} pods", pods.len())) })
        })?;
    }
    let main = stack.repository().main()?;
    until("Argo CD has compared again after its restart", LIMIT, || {
        let seen = stack.application("training-jobs")?;
        Ok(if seen.sync == "Synced" && seen.revision == main { Ok(()) } else { Err(format!("{seen:?}")) })
    })?;
    let after = everything_of(stack, job)?;
    ensure!(before == after, "something was started again:\n{before:#?}\n{after:#?}");

    let file = format!("overlays/local/training-jobs/{job}.yaml");
    stack.change("Cancel", |root| Ok(std::fs::remove_file(root.join(&file))?))?;
    let ((), took) = until("the job and its pods are gone", Duration::from_secs(90), || {
        let pods = stack.pods_of(job)?.len();
        let gone = stack.job(job).is_err();
        Ok(if gone && pods == 0 { Ok(()) } else { Err(format!("{pods} pods, job gone: {gone}")) })
    })?;
    println!("from the deleted file to no pod: {:.1} s", took.as_secs_f64());
    ensure!(!stack.versions()?.iter().any(|version| version.job == *job), "a cancelled job registered a version");
    let runs = stack.runs(LONG.name)?;
    ensure!(!runs.is_empty() && runs.iter().all(|run| run.status == "KILLED"), "a cancelled job's runs: {runs:#?}");
    Ok(())
}

/// Everything that runs for a job: kind, name and id of each object.
fn everything_of(stack: &Stack, job: &str) -> Result<BTreeSet<String>> {
    let name = format!("jobset.sigs.k8s.io/jobset-name={job}");
    let mut all =
        stack.kubectl().list(&["trainjobs.trainer.kubeflow.org,jobsets.jobset.x-k8s.io", "-n", "training"])?;
    all.retain(|one| text(one, "/metadata/name") == job);
    all.extend(stack.kubectl().list(&["jobs,pods", "-n", "training", "-l", &name])?);
    let one = |object: &serde_json::Value| {
        format!("{} {} {}", text(object, "/kind"), text(object, "/metadata/name"), text(object, "/metadata/uid"))
    };
    Ok(all.iter().map(one).collect())
}

fn is_ready(pod: &serde_json::Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| text(one, "/type") == "Ready" && text(one, "/status") == "True")
}
