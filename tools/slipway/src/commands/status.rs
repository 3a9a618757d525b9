//! `slipway status`: jobs, versions and what is in service, of the loop on this machine or of a cluster.

mod cluster;
mod described;
mod main_branch;
mod runs;

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_embedded::{JobStatus, State};
use slipway_forge::forge_of;
use slipway_git::Repository;
use slipway_mlflow::Client;
use slipway_outcome::{Unregistered, unregistered};
use slipway_project::count;

use crate::context::Context;
use crate::failure::Failure;
use crate::local_loop::addresses;
use crate::open_pull_requests::{OpenPullRequest, of_origin, open_pull_requests, show_pull_requests};
use crate::running::LoopArgs;
use crate::versions::{Version, show_versions, versions};
use described::Described;
use main_branch::MainBranch;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway status\n  slipway status -o json | jq '.jobs'\n  slipway status --cluster"
)]
pub(crate) struct Status {
    /// Show a cluster instead of the loop on this machine
    #[arg(long, conflicts_with = "state")]
    cluster: bool,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, requires = "cluster")]
    context: Option<String>,
    #[command(flatten)]
    running: LoopArgs,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    running: bool,
    addresses: Option<State>,
    main: Option<MainBranch>,
    pull_requests: Vec<OpenPullRequest>,
    jobs: Vec<Job>,
    versions: Vec<Version>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    name: String,
    phase: String,
    seconds: Option<f64>,
    message: String,
    /// Why it registered nothing; `None` unless it is complete without a version.
    unregistered: Option<Unregistered>,
    /// What it runs and what it may cost; `None` if it is no longer on main.
    #[serde(flatten)]
    described: Option<Described>,
}

impl Status {
    /// Whether it shows the loop of a project.
    pub(crate) fn needs_project(&self) -> bool {
        !self.cluster
    }

    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.cluster {
            return cluster::run(context, self.context.as_deref()).await;
        }
        let Some((folder, state)) = self.running.find(context)? else {
            context.say("no loop is running here: start one with `slipway up`, or try `slipway demo`");
            let pull_requests = of_origin(context).await.unwrap_or_default();
            show_pull_requests(context, &pull_requests);
            return context.json(&Report { pull_requests, ..Report::default() });
        };
        let mlflow = Client::new(&state.mlflow)?;
        let mut jobs = jobs(&folder.join("jobs"))?;
        let versions = versions(context, &mlflow, Some(&state.server)).await?;
        let mut reasons = unregistered(&mlflow).await?;
        let prefix = Repository::project(&context.root)?.prefix().to_owned();
        let names: BTreeSet<String> = jobs.iter().map(|job| job.name.clone()).collect();
        let forge = Repository::open(&state.forge)?.below(&prefix);
        let mut described = Described::on_main(&forge, |name| names.contains(name))?;
        for job in &mut jobs {
            job.unregistered = reasons.remove(&job.name);
            job.described = described.remove(&job.name);
        }
        let main = MainBranch::read(context, &folder, &state, |name| jobs.iter().any(|job| job.name == name))?;
        let pull_requests = open_pull_requests(&forge_of(&state.forge.display().to_string())?).await?;
        let report = Report { pull_requests, running: true, addresses: Some(state), main, jobs, versions };
        if !context.is_json() {
            show(context, &report);
        }
        context.json(&report)
    }
}

impl Job {
    /// Whether nothing is to be done about it and its results are elsewhere, if it has any: it is in the history, or it was cancelled.
    fn is_over(&self) -> bool {
        self.is_archived() || (self.described.is_none() && self.phase == "Cancelled")
    }

    fn is_archived(&self) -> bool {
        self.described.as_ref().is_some_and(|one| one.archived)
    }
}

/// What to say of the jobs that the table leaves out; `None` if there are none.
fn left_out(over: &[&Job]) -> Option<String> {
    let archived = over.iter().filter(|job| job.is_archived()).count();
    let cancelled = over.len() - archived;
    let mut parts = Vec::new();
    if archived > 0 {
        parts.push(format!("{} in the history, which `slipway history` shows", count(archived, "TrainJob")));
    }
    if cancelled > 0 {
        let were = if cancelled == 1 { "was" } else { "were" };
        parts.push(format!("{} that {were} cancelled", count(cancelled, "TrainJob")));
    }
    (!parts.is_empty()).then(|| format!("not listed: {}; -o json lists all", parts.join(", and ")))
}

/// The jobs in a state folder, by name.
fn jobs(folder: &Path) -> Result<Vec<Job>, Failure> {
    let unreadable = |error| Failure::Unexpected(format!("reading {}: {error}", folder.display()));
    let mut jobs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if let Some(status) = JobStatus::read(&entry.path())? {
            jobs.push(Job {
                name: entry.file_name().to_string_lossy().into_owned(),
                phase: format!("{:?}", status.phase),
                seconds: status.seconds(),
                message: status.message().to_owned(),
                unregistered: None,
                described: None,
            });
        }
    }
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(jobs)
}

fn show(context: &Context, report: &Report) {
    if let Some(state) = &report.addresses {
        context.say(addresses(state));
    }
    let main = report.main.as_ref();
    if let Some(main) = main {
        context.say(format!("main    {}", main.summary()));
    }
    show_pull_requests(context, &report.pull_requests);
    let waiting = main.and_then(MainBranch::waiting);
    if let Some(waiting) = &waiting {
        context.say(format!("\n{waiting}"));
    } else if report.jobs.is_empty() {
        context.say(
            "\nno TrainJob is on main yet: `slipway propose experiments/mnist-cnn.yaml` opens a pull request with some",
        );
    }
    if report.jobs.is_empty() {
        show_versions(context, &report.versions);
        return;
    }
    let (over, shown): (Vec<&Job>, Vec<&Job>) = report.jobs.iter().partition(|job| job.is_over());
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["TRAINJOB", "STATUS", "SECONDS", "RUNS", "AT MOST", ""]);
    for job in &shown {
        let seconds = job.seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default();
        let message = job.unregistered.as_ref().map_or_else(|| job.message.clone(), ToString::to_string);
        let described = job.described.as_ref();
        let (runs, cost) = described.map(|one| (one.runs.to_string(), one.cost())).unwrap_or_default();
        let gone = if described.is_none() { ", no longer on main" } else { "" };
        table.add_row([job.name.clone(), format!("{}{gone}", job.phase), seconds, runs, cost, message]);
    }
    if !shown.is_empty() {
        context.say(format!("\n{}", table.trim_fmt()));
    }
    if let Some(over) = left_out(&over) {
        context.say(format!("\n{over}"));
    }
    show_versions(context, &report.versions);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(phase: &str, described: Option<Described>) -> Job {
        let (name, phase) = ("digits-0123abcd".to_owned(), phase.to_owned());
        Job { name, phase, seconds: None, message: String::new(), unregistered: None, described }
    }

    #[test]
    fn what_is_over_is_counted_and_not_listed() {
        let archived = |archived| Some(Described { archived, ..Described::default() });
        for phase in ["Pending", "Running", "Complete", "Failed", "Cancelled"] {
            assert!(job(phase, archived(true)).is_over(), "{phase}");
            assert!(!job(phase, archived(false)).is_over(), "{phase}");
            // a result stays one, whatever main asks for now
            assert_eq!(job(phase, None).is_over(), phase == "Cancelled");
        }
        let (recorded, cancelled) = (job("Complete", archived(true)), job("Cancelled", None));
        assert_eq!(left_out(&[]), None);
        assert_eq!(
            left_out(&[&recorded, &cancelled, &cancelled]).as_deref(),
            Some(
                "not listed: 1 TrainJob in the history, which `slipway history` shows, and 2 TrainJobs that were cancelled; -o json lists all"
            )
        );
        assert_eq!(
            left_out(&[&cancelled]).as_deref(),
            Some("not listed: 1 TrainJob that was cancelled; -o json lists all")
        );
    }
}
