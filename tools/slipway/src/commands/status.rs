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
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["TRAINJOB", "STATUS", "SECONDS", "RUNS", "AT MOST", ""]);
    for job in &report.jobs {
        let seconds = job.seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default();
        let message = job.unregistered.as_ref().map_or_else(|| job.message.clone(), ToString::to_string);
        let described = job.described.as_ref();
        let (runs, cost) = described.map(|one| (one.runs.to_string(), one.cost())).unwrap_or_default();
        let archived = if described.is_some_and(|one| one.archived) { ", archived" } else { "" };
        table.add_row([job.name.clone(), format!("{}{archived}", job.phase), seconds, runs, cost, message]);
    }
    context.say(format!("\n{}", table.trim_fmt()));
    show_versions(context, &report.versions);
}
