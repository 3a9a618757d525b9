//! `slipway status --cluster`: addresses, components, jobs and versions of a cluster.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_cluster::{Address, Cluster, Component, Job, addresses, components, train_jobs};
use slipway_experiment::{Trial, expand};
use slipway_mlflow::Client;
use slipway_names::env::MLFLOW_TRACKING_URI;
use slipway_outcome::{Unregistered, unregistered};

use super::runs::Runs;
use crate::context::Context;
use crate::failure::Failure;
use crate::open_pull_requests::{OpenPullRequest, of_origin, show_pull_requests};
use crate::versions::{Version, show_versions, versions};

#[derive(Serialize)]
struct Report {
    context: String,
    addresses: Vec<Address>,
    components: Vec<Component>,
    /// `None` if the project's repository has no forge that can be asked from here.
    pull_requests: Option<Vec<OpenPullRequest>>,
    jobs: Vec<Outcome>,
    /// `None` if MLflow cannot be reached from here.
    versions: Option<Vec<Version>>,
}

/// A TrainJob, and what came of it.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    job: Job,
    /// Empty for a TrainJob that somebody else made.
    #[serde(flatten)]
    runs: Runs,
    /// Why it registered nothing; `None` unless it is complete without a version, or if MLflow cannot be reached from here.
    unregistered: Option<Unregistered>,
}

pub(super) async fn run(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let cluster = Cluster::connect(name).await?;
    let addresses = addresses(&cluster).await?;
    let url = |service: &str| addresses.iter().find(|one| one.service == service).map(|one| one.url.clone());
    let named = std::env::var(MLFLOW_TRACKING_URI).ok().filter(|url| !url.is_empty());
    // a login goes only to a server that the user names, not to whatever host a route of the cluster has
    let mlflow = match (named, url("mlflow")) {
        (Some(named), _) => Some(Client::at(&named)),
        (None, route) => route.map(|route| Client::without_login(&route)),
    };
    let registry = match mlflow {
        Some(mlflow) => registry(context, mlflow, url("server").as_deref()).await,
        None => Err(Failure::Service(format!("no route leads to MLflow; set {MLFLOW_TRACKING_URI}"))),
    };
    let (versions, mut reasons) = match registry {
        Ok((versions, reasons)) => (Some(versions), reasons),
        Err(failure) => {
            context.warn(format!("versions, and why a job has none, are not shown: {failure}"));
            (None, BTreeMap::new())
        }
    };
    let jobs = train_jobs(&cluster).await?;
    let outcome = |job: Job| {
        let trial = job.trial.as_deref().and_then(|text| Trial::from_json(&expand(text, &[])).ok());
        Outcome { unregistered: reasons.remove(&job.name), runs: trial.map(Runs::new).unwrap_or_default(), job }
    };
    let pull_requests = of_origin(context).await;
    let report = Report {
        pull_requests,
        context: cluster.context().to_owned(),
        components: components(&cluster, None).await?,
        jobs: jobs.into_iter().map(outcome).collect(),
        addresses,
        versions,
    };
    if !context.is_json() {
        show(context, &report);
    }
    context.json(&report)
}

async fn registry(
    context: &Context,
    mlflow: slipway_mlflow::Result<Client>,
    server: Option<&str>,
) -> Result<(Vec<Version>, BTreeMap<String, Unregistered>), Failure> {
    let mlflow = mlflow?;
    Ok((versions(context, &mlflow, server).await?, unregistered(&mlflow).await?))
}

fn show(context: &Context, report: &Report) {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["ADDRESS", "SERVICE"]);
    for one in &report.addresses {
        table.add_row([one.url.clone(), format!("{}/{}", one.namespace, one.service)]);
    }
    context.say(format!("{}\n", table.trim_fmt()));
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["APPLICATION", "SYNC", "HEALTH", ""]);
    for one in &report.components {
        let message = one.message.lines().next().unwrap_or_default();
        table.add_row([&one.name, &one.sync, &one.health, message]);
    }
    context.say(table.trim_fmt());
    show_pull_requests(context, report.pull_requests.as_deref().unwrap_or_default());
    if !report.jobs.is_empty() {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["TRAINJOB", "STATUS", "PROGRESS", "METRICS", "RUNS", ""]);
        for Outcome { job, runs, unregistered } in &report.jobs {
            let progress = job.progress.map(|percent| format!("{percent} %")).unwrap_or_default();
            let metrics: Vec<String> = job.metrics.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let message = unregistered.as_ref().map_or_else(|| job.message.clone(), ToString::to_string);
            table.add_row([&job.name, &job.phase, &progress, &metrics.join(" "), &runs.to_string(), &message]);
        }
        context.say(format!("\n{}", table.trim_fmt()));
    }
    show_versions(context, report.versions.as_deref().unwrap_or_default());
}
