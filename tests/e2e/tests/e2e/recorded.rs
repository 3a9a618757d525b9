//! What came of a training stays known: its file moves to the history, Argo CD removes its objects, and its log is still answered.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use slipway_e2e::{EASY, Experiment, Stack, text, until};

/// How long a training may take.
const LIMIT: Duration = Duration::from_secs(600);
/// What follows: the manager looks again within a minute or two, Argo CD syncs.
const AFTER: Duration = Duration::from_secs(240);

const EXPERIMENT: Experiment =
    Experiment { name: "e2e-recorded", architecture: "mlp", epochs: 2, learning_rates: &["0.001"], gate: EASY };
const RECORDS: &str = "overlays/local/history";

#[test]
fn what_came_of_a_training_outlives_its_objects() -> Result<()> {
    let stack = Stack::get()?;
    let github = stack.github()?;
    let started = stack.start_on_github(EXPERIMENT.name, &EXPERIMENT.yaml())?;
    let [job] = started.jobs.as_slice() else { bail!("one trial, not {:?}", started.jobs) };
    stack.completes(job, LIMIT)?;
    let runs = stack.runs(EXPERIMENT.name)?;
    let run = &runs.iter().find(|run| run.job == *job).context("the job has no run")?.id;
    until("the logs of both workers are kept", AFTER, || {
        let files = stack.files_of(run, "logs")?;
        Ok(if files.len() == 2 { Ok(()) } else { Err(format!("{files:?}")) })
    })?;
    let log = log(stack, job)?;
    ensure!(!log.is_empty(), "the log of rank 0 is empty");
    let before = stack.ask_manager(&format!("trials/{job}"))?;
    ensure!(before["lineage"]["pullRequest"]["number"].is_u64(), "{before}");

    // only now, because there is one a day: it holds everything that has ended
    ensure!(github.archives()?.is_empty(), "jobs were moved before that was declared");
    stack.change("Move jobs to the history soon after their end", |root| {
        let path = root.join("clusters/local/cluster.yaml");
        let before = fs::read_to_string(&path)?;
        let after = before.replace("history: {after: 24h}", "history: {after: 1s}");
        ensure!(after != before, "clusters/local says something else: {before}");
        Ok(fs::write(path, after)?)
    })?;
    let (number, _) = until("the archive is open", AFTER, || {
        let all = github.archives()?;
        Ok(all.first().and_then(|one| one["number"].as_u64()).ok_or_else(|| "there is none".to_owned()))
    })?;
    ensure!(stack.job(job).is_ok(), "nothing is removed before a person merges");
    stack.merge_on_github(number)?;

    let record = fs::read_to_string(stack.repository().root().join(format!("{RECORDS}/{job}.yaml")))?;
    for expected in ["state: finished", run.as_str(), "version: ", "digest: ", "cpuHours: "] {
        ensure!(record.contains(expected), "the record does not say {expected}:\n{record}");
    }
    until("Argo CD has removed the job", AFTER, || {
        let left = stack.kubectl().list(&["trainjobs.trainer.kubeflow.org", "-n", "training"])?;
        let is_left = left.iter().any(|one| text(one, "/metadata/name") == job);
        let pods = stack.pods_of(job)?.len();
        Ok(if is_left || pods > 0 { Err(format!("{job} has {pods} pods")) } else { Ok(()) })
    })?;
    let (recorded, _) = until("the manager answers the record", AFTER, || {
        let answer = stack.ask_manager(&format!("history?experiment={}", EXPERIMENT.name))?;
        let record =
            answer["records"].as_array().into_iter().flatten().find(|one| one["name"] == job.as_str()).cloned();
        Ok(record.ok_or_else(|| answer.to_string()))
    })?;
    ensure!(recorded["state"] == "finished" && recorded["version"].is_u64(), "{recorded}");
    for same in ["lineage", "parameters", "metrics", "run", "model", "version", "workers"] {
        ensure!(recorded[same] == before[same], "{same} was {}: {recorded}", before[same]);
    }
    ensure!(self::log(stack, job)? == log, "the log that was kept is another one");
    let shown = stack.slipway_text(&["history", EXPERIMENT.name])?;
    ensure!(shown.contains(job.as_str()), "{shown}");
    ensure!(github.archives()?.len() == 1, "a second archive was opened on the same day");
    // the report stays, and nobody trains again
    let comments = github.comments(started.number)?;
    ensure!(comments.len() == 1 && comments[0].contains("1 trial finished"), "{comments:#?}");
    ensure!(stack.runs(EXPERIMENT.name)? == runs, "something has trained again");
    stack.wait_until_healthy_except(&["root"]).map(drop)
}

/// The log of rank 0, as the manager answers it.
fn log(stack: &Stack, job: &str) -> Result<String> {
    let log = format!("{}/api/v1/trials/{job}/workers/0/log", stack.url("manager"));
    Ok(stack.http().get(log).send()?.error_for_status()?.text()?)
}
