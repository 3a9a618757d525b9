//! The training manager, as the people see it who merge on GitHub and wait: reports, live progress, a promotion, and none of it twice.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use slipway_e2e::{EASY, Experiment, GitHub, Stack, Started, text, until};
use slipway_loop::programs::repository;

/// The issue's own limit: a change of status is in the comment by then.
const TOLD: Duration = Duration::from_secs(10);
/// How long pods may take to start.
const START: Duration = Duration::from_secs(180);
/// How long a training may take.
const LIMIT: Duration = Duration::from_secs(900);
/// What follows a training: MLflow is asked, something is written, a lease may have to run out before that.
const AFTER: Duration = Duration::from_secs(120);

/// Long enough for a browser to open the page while it runs.
const EXPERIMENT: Experiment =
    Experiment { name: "e2e-told", architecture: "mlp", epochs: 120, learning_rates: &["0.001"], gate: EASY };
const TWICE: Experiment =
    Experiment { name: "e2e-twice", architecture: "mlp", epochs: 60, learning_rates: &["0.001", "0.002"], gate: EASY };

/// Starts an experiment that registers a model of its own name, which nothing serves yet.
fn start(stack: &Stack, experiment: &Experiment) -> Result<Started> {
    let yaml = experiment.yaml();
    let own = yaml.replace("register: {model: mnist,", &format!("register: {{model: {},", experiment.name));
    ensure!(own != yaml, "the experiment registers another model: {yaml}");
    stack.start_on_github(experiment.name, &own)
}

/// The first test of this file by its name: the others give it an App.
#[test]
fn a_manager_without_an_app_runs_and_says_what_is_missing() -> Result<()> {
    let stack = Stack::get()?;
    stack.without_app()?;
    stack.wait_until_healthy_except(&["root", "training-jobs"])?;
    // it says what is missing once GitHub has refused it, or cannot be reached
    until("it says what is missing", AFTER, || {
        let answer = stack.http().get(format!("{}/api/v1/summary", stack.url("manager"))).send()?;
        ensure!(answer.status() == 503, "nothing is missing, it says: {}", answer.status());
        let problem: Value = serde_json::from_str(&answer.text()?)?;
        let detail = text(&problem, "/detail");
        let names_both = detail.contains("SLIPWAY_GITHUB_APP_ID") && detail.contains("github.test");
        Ok(if names_both { Ok(()) } else { Err(problem.to_string()) })
    })
    .map(drop)
}

#[test]
fn everything_is_told_from_the_merge_to_service() -> Result<()> {
    let stack = Stack::get()?;
    let github = stack.github()?;
    let started = start(stack, &EXPERIMENT)?;
    let [job] = started.jobs.as_slice() else { bail!("one trial, not {:?}", started.jobs) };
    let number = started.number;

    run(stack, &started.jobs)?;
    let took = reported(github, number, "1 trial running", TOLD)?;
    println!("from the pods' start to the report: {:.1} s", took.as_secs_f64());

    let seen = until("its progress is answered", START, || {
        let trial = stack.ask_manager(&format!("trials/{job}"))?;
        Ok(percent(&trial).filter(|percent| *percent > 0).ok_or_else(|| trial.to_string()))
    })?;
    let trial = stack.ask_manager(&format!("trials/{job}"))?;
    ensure!(trial["state"] == "running" && trial["lineage"]["pullRequest"]["number"] == number, "{trial}");
    let mut told = vec![seen.0];
    stack.follow_trials(START, |trial| {
        told.extend(percent(trial).filter(|_| trial["name"] == job.as_str()));
        told.last() > told.first()
    })?;
    ensure!(told.is_sorted(), "the progress goes back: {told:?}");
    let log = format!("{}/api/v1/trials/{job}/workers/0/log?tailLines=20", stack.url("manager"));
    ensure!(!stack.http().get(log).send()?.error_for_status()?.text()?.is_empty(), "the log of rank 0 is empty");
    browser(stack, job)?;
    for hidden in ["metrics", "healthz", "readyz"] {
        let status = stack.http().get(format!("{}/{hidden}", stack.url("manager"))).send()?.status();
        ensure!(status == 404, "/{hidden} is answered through the Gateway with {status}");
    }

    stack.completes(job, LIMIT)?;
    reported(github, number, "1 trial finished", AFTER)?;
    let promotion = promoted(github, EXPERIMENT.name)?;
    reported(github, number, &format!("promotion [#{promotion}]"), AFTER)?;
    stack.merge_on_github(promotion)?;
    let trial = stack.ask_manager(&format!("trials/{job}"))?;
    let version = trial["version"].as_u64().context("the trial has no version")?.to_string();
    let ((), took) = until("the promoted version is in service", START, || {
        let served = stack.ask(&format!("{}/v2/models/{}", stack.url("models"), EXPERIMENT.name))?;
        Ok(if served["versions"][0] == version.as_str() { Ok(()) } else { Err(served.to_string()) })
    })?;
    println!("from the merge of the promotion to service: {:.1} s", took.as_secs_f64());
    reported(github, promotion, "changed 1 version in service", AFTER)?;
    reported(github, number, &format!("version {version} is in service"), AFTER)?;
    once(github, number, EXPERIMENT.name)
}

#[test]
fn whoever_is_killed_nothing_is_lost_and_nothing_is_told_twice() -> Result<()> {
    let stack = Stack::get()?;
    let github = stack.github()?;
    replicas(stack, 2)?;
    let started = start(stack, &TWICE)?;
    let number = started.number;
    kill_leader(stack)?;
    run(stack, &started.jobs)?;
    reported(github, number, "2 trials running", AFTER)?;
    for job in &started.jobs {
        stack.training(job, START)?;
    }
    kill_leader(stack)?;
    for job in &started.jobs {
        stack.completes(job, LIMIT)?;
    }
    // while it is about to report and to promote
    kill_leader(stack)?;
    reported(github, number, "2 trials finished", AFTER)?;
    let promotion = promoted(github, TWICE.name)?;
    reported(github, number, &format!("promotion [#{promotion}]"), AFTER)?;
    once(github, number, TWICE.name)?;

    // whoever begins looks at everything again, and writes none of it again
    github.asked();
    stack.restart_manager()?;
    let mut asked = Vec::new();
    let looks = format!("/issues/{number}/comments");
    until("the new leader has looked", AFTER, || {
        asked.extend(github.asked());
        let has_looked = asked.iter().any(|one| one.starts_with("GET ") && one.contains(&looks));
        Ok(if has_looked { Ok(()) } else { Err(format!("{asked:#?}")) })
    })?;
    let is_writing = |one: &&String| {
        let to = |end: &str| one.starts_with("POST ") && one.split('?').next().is_some_and(|path| path.ends_with(end));
        to(&looks) || to("/pulls")
    };
    let written: Vec<_> = asked.iter().filter(is_writing).collect();
    ensure!(written.is_empty(), "it was written again: {written:#?}");
    once(github, number, TWICE.name)?;
    replicas(stack, 1)
}

/// Waits until every worker of these jobs runs.
fn run(stack: &Stack, jobs: &[String]) -> Result<()> {
    until("every worker runs", START, || {
        let mut phases = Vec::new();
        for job in jobs {
            phases.extend(stack.pods_of(job)?.iter().map(|pod| text(pod, "/status/phase").to_owned()));
        }
        let all = phases.len() == 2 * jobs.len() && phases.iter().all(|phase| phase == "Running");
        Ok(if all { Ok(()) } else { Err(format!("{phases:?}")) })
    })
    .map(drop)
}

/// Waits until the report on a pull request says something. Returns how long that took.
fn reported(github: &GitHub, number: u64, says: &str, limit: Duration) -> Result<Duration> {
    let ((), took) = until(&format!("the report on #{number} says `{says}`"), limit, || {
        let comments = github.comments(number)?;
        Ok(if comments.iter().any(|text| text.contains(says)) { Ok(()) } else { Err(comments.join("\n")) })
    })?;
    Ok(took)
}

/// Waits until the manager has opened the promotion of a model. Returns its number.
fn promoted(github: &GitHub, model: &str) -> Result<u64> {
    let (number, _) = until(&format!("the promotion of {model} is open"), AFTER, || {
        let all = github.promotions(model)?;
        let open = all.iter().find(|one| one["state"] == "open").and_then(|one| one["number"].as_u64());
        Ok(open.ok_or_else(|| format!("{} promotions", all.len())))
    })?;
    Ok(number)
}

/// Checks that there is one report on a pull request, and one promotion of its model.
fn once(github: &GitHub, number: u64, model: &str) -> Result<()> {
    let comments = github.comments(number)?;
    ensure!(comments.len() == 1, "{} comments on #{number}: {comments:#?}", comments.len());
    let promotions = github.promotions(model)?;
    ensure!(promotions.len() == 1, "{} promotions of {model}: {promotions:#?}", promotions.len());
    Ok(())
}

fn percent(trial: &Value) -> Option<u64> {
    trial["progress"]["percent"].as_u64()
}

/// Follows a trial on the page in a browser, through the Gateway.
fn browser(stack: &Stack, job: &str) -> Result<()> {
    let script = repository().join("tests/browser/running.mjs");
    let status = Command::new("node").arg(script).args([&stack.url(""), job]).status().context("node is needed")?;
    ensure!(status.success(), "the browser test through the Gateway ended with {status}");
    Ok(())
}

/// Kills the pod that writes, as a crash does.
fn kill_leader(stack: &Stack) -> Result<()> {
    let (leader, _) = until("one of the managers leads", AFTER, || {
        let (leader, ready) = (stack.leader()?, stack.managers()?);
        Ok(if ready.contains(&leader) { Ok(leader) } else { Err(format!("{leader} leads, and {ready:?} are ready")) })
    })?;
    stack.kubectl().run(&["delete", "pod", "-n", "training-manager", &leader, "--grace-period=0", "--force"]).map(drop)
}

/// Declares how many managers there are, and waits for them.
fn replicas(stack: &Stack, count: usize) -> Result<()> {
    stack.change("Managers", |root| {
        let path = root.join("overlays/local/training-manager/kustomization.yaml");
        declare(&path, count)
    })?;
    until(&format!("{count} managers"), START, || {
        let ready = stack.managers()?;
        Ok(if ready.len() == count { Ok(()) } else { Err(format!("{ready:?}")) })
    })
    .map(drop)
}

fn declare(overlay: &Path, count: usize) -> Result<()> {
    let text = fs::read_to_string(overlay)?;
    let others = text.lines().filter(|line| !line.starts_with("replicas:"));
    let mut lines: Vec<String> = others.map(str::to_owned).collect();
    lines.push(format!("replicas: [{{name: training-manager, count: {count}}}]"));
    Ok(fs::write(overlay, lines.join("\n") + "\n")?)
}
