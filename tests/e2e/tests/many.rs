//! What the training manager costs beside a thousand TrainJobs on a real API server, and how soon it tells of a change among them.
//!
//! No node runs any of them: Argo CD is told to hold its jobs back, and the test makes the TrainJobs from the merged files, suspended.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use slipway_e2e::{EASY, Experiment, GitHub, Stack, Started, text, until};

/// Ten pull requests of a hundred trials each.
const NAMES: [&str; 10] =
    ["many-0", "many-1", "many-2", "many-3", "many-4", "many-5", "many-6", "many-7", "many-8", "many-9"];
const TRIALS: usize = 100;
/// How many objects the manager asks for at once.
const PAGE: usize = 100;
/// The kinds that it lists, each with what it leaves out.
const KINDS: [(&str, &str); 4] = [
    ("trainjobs", ""),
    ("jobsets", ""),
    ("pods", "--selector=jobset.sigs.k8s.io/jobset-name"),
    ("events", "--field-selector=type=Warning"),
];
/// The share of a core that it may use at rest.
const SHARE: f64 = 0.01;
/// The memory that it may take at rest, in bytes.
const MEMORY: u64 = 50_000_000;
/// The issue's own limit: a change of status is in the comment by then.
const TOLD: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(600);
/// How long its CPU is measured at a time.
const MEASURED: Duration = Duration::from_secs(60);

#[test]
fn a_thousand_trainjobs_cost_little_and_a_change_is_told_within_ten_seconds() -> Result<()> {
    let stack = Stack::get()?;
    let github = stack.github()?;
    stack.slipway(&["bootstrap", "local", "--jobs", "hold"])?;
    let started = NAMES.iter().map(|name| stack.start_on_github(name, &yaml(name))).collect::<Result<Vec<_>>>()?;
    let jobs: Vec<&str> = started.iter().flat_map(|one| &one.jobs).map(String::as_str).collect();
    ensure!(jobs.len() == NAMES.len() * TRIALS, "{} jobs", jobs.len());
    let objects = suspended(stack, &jobs)?;
    stack.kubectl().give(&["create", "-f", "-"], &objects)?;
    all_reported(github, &started)?;
    // Trainer makes them one after another: only then is it known how many a start lists
    until("there is a JobSet for each TrainJob", LIMIT, || {
        let made = stack.kubectl().list(&["jobsets.jobset.x-k8s.io", "-n", "training"])?.len();
        Ok(if made == jobs.len() { Ok(()) } else { Err(format!("{made} of {}", jobs.len())) })
    })?;

    // a start beside all of them
    let (old, before) = (stack.leader()?, lists(stack)?);
    stack.restart_manager()?;
    let (pod, _) = until("a new manager leads, and knows every job", LIMIT, || {
        let leader = stack.leader()?;
        stack.ask_manager(&format!("trials/{}", jobs[0]))?;
        Ok(if leader.is_empty() || leader == old { Err(format!("{leader:?} leads")) } else { Ok(leader) })
    })?;
    for (((kind, only), before), after) in KINDS.iter().zip(before).zip(lists(stack)?) {
        let arguments = [*kind, "-n", "training", *only];
        let arguments: Vec<&str> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        let there = stack.kubectl().list(&arguments)?.len();
        let pages = there.div_ceil(PAGE).max(1) as u64;
        println!("{there} {kind}: listed by {} requests", after - before);
        ensure!(after - before == pages, "{there} {kind} were listed by {} requests, not {pages}", after - before);
    }

    let share = at_rest(stack, &pod)?;
    let memory = stack.memory()?.get("training-manager/training-manager").copied();
    let memory = memory.context("the manager's memory is not known")?;
    let resident = stack.manager_metric(&pod, "process_resident_memory_bytes")?;
    println!(
        "beside {} TrainJobs: {:.1} MB ({:.1} MB resident), {:.2} % of a core at rest",
        jobs.len(),
        memory as f64 / 1e6,
        resident / 1e6,
        share * 100.0
    );
    ensure!(memory <= MEMORY, "{memory} bytes at rest");

    // Trainer leaves a job alone that has run out of its time
    let (number, job) = (started[3].number, &started[3].jobs[42]);
    let now = stack.inside(["date", "-u", "+%FT%TZ"])?;
    let failed = json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded",
        "message": "TrainJob exceeded its active deadline", "lastTransitionTime": now.trim()}]}});
    let (object, failed) = (format!("trainjobs.trainer.kubeflow.org/{job}"), failed.to_string());
    let patch = ["patch", &object, "-n", "training", "--subresource=status", "--type=merge", "-p", &failed];
    stack.kubectl().run(&patch)?;
    let took = reported(github, number, "1 failed, 99 waiting", TOLD)?;
    println!("from the change to the comment: {:.1} s", took.as_secs_f64());

    stack.kubectl().give(&["delete", "--wait=false", "-f", "-"], &objects)?;
    stack.change("Remove a thousand jobs", |root| {
        for name in NAMES {
            std::fs::remove_file(root.join(format!("experiments/{name}.yaml")))?;
        }
        for job in &jobs {
            std::fs::remove_file(root.join(format!("overlays/local/training-jobs/{job}.yaml")))?;
        }
        Ok(())
    })?;
    until("they are gone", LIMIT, || {
        let all = stack.kubectl().list(&["trainjobs.trainer.kubeflow.org", "-n", "training"])?;
        let left = all.iter().filter(|one| text(one, "/metadata/name").starts_with("many-")).count();
        Ok(if left == 0 { Ok(()) } else { Err(format!("{left} are left")) })
    })?;
    stack.slipway(&["bootstrap", "local", "--jobs", "start"]).map(drop)
}

/// An experiment with a trial for each of many learning rates.
fn yaml(name: &'static str) -> String {
    let few = Experiment { name, architecture: "mlp", epochs: 1, learning_rates: &["RATES"], gate: EASY }.yaml();
    let rates: Vec<String> = (1..=TRIALS).map(|rate| format!("{}", rate as f64 / 1e5)).collect();
    few.replace("RATES", &rates.join(", ")).replace("cpuHours: 4,", "cpuHours: 400,")
}

/// The TrainJobs as they were merged, but suspended.
fn suspended(stack: &Stack, jobs: &[&str]) -> Result<Value> {
    stack.repository().pull()?;
    let folder = stack.repository().root().join("overlays/local/training-jobs");
    let made = jobs.iter().map(|job| {
        let mut object: Value = serde_saphyr::from_str(&std::fs::read_to_string(folder.join(format!("{job}.yaml")))?)?;
        object["spec"]["suspend"] = true.into();
        object["metadata"]["namespace"] = "training".into();
        Ok(object)
    });
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": made.collect::<Result<Vec<_>>>()?}))
}

/// Waits until every report says that its trials wait.
fn all_reported(github: &GitHub, started: &[Started]) -> Result<()> {
    for one in started {
        reported(github, one.number, &format!("{TRIALS} trials waiting"), LIMIT)?;
    }
    Ok(())
}

/// Waits until the report on a pull request says something. Returns how long that took.
fn reported(github: &GitHub, number: u64, says: &str, limit: Duration) -> Result<Duration> {
    let ((), took) = until(&format!("the report on #{number} says `{says}`"), limit, || {
        let comments = github.comments(number)?;
        Ok(if comments.iter().any(|text| text.contains(says)) { Ok(()) } else { Err(comments.join("\n")) })
    })?;
    Ok(took)
}

/// How often each of the kinds was listed in one namespace so far. Controllers list them in all namespaces.
fn lists(stack: &Stack) -> Result<[u64; 4]> {
    let metrics = stack.kubectl().run(&["get", "--raw", "/metrics"])?;
    let of = |kind: &str| {
        let parts = [format!("resource=\"{kind}\""), "scope=\"namespace\"".to_owned(), "verb=\"LIST\"".to_owned()];
        let lines = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        let lines = lines.filter(|line| parts.iter().all(|part| line.contains(part)));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as u64
    };
    Ok(KINDS.map(|(kind, _)| of(kind)))
}

/// Waits until the manager is at rest, and returns the share of a core that it uses then: after a start it asks GitHub which pull requests brought
/// the jobs, with pauses in between.
fn at_rest(stack: &Stack, pod: &str) -> Result<f64> {
    // not by what it says of itself: that is in whole seconds
    let used = || stack.cpu("training-manager", pod);
    let measure = || -> Result<f64> {
        let (since, before) = used()?;
        sleep(MEASURED);
        let (now, after) = used()?;
        Ok((after - before) / (now - since).as_seconds_f64())
    };
    let (share, _) = until("the manager is at rest", LIMIT, || {
        let share = measure()?;
        Ok(if share <= SHARE { Ok(share) } else { Err(format!("it uses {share} of a core")) })
    })?;
    Ok(share)
}
