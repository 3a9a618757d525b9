//! `slipway status`: jobs, versions and what is in service, of the loop on this machine or of a cluster.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_embedded::{JobStatus, State};
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag::{ACCURACY, TRAINJOB};

use crate::commands::promote::tag;
use crate::commands::status_cluster;
use crate::commands::up::addresses;
use crate::context::Context;
use crate::failure::Failure;
use crate::model_server::ModelServer;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway status\n  slipway status -o json | jq '.jobs'\n  slipway status --cluster"
)]
pub(crate) struct Status {
    /// Show a cluster instead of the loop on this machine
    #[arg(long)]
    cluster: bool,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, requires = "cluster")]
    context: Option<String>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    running: bool,
    addresses: Option<State>,
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
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    model: String,
    version: String,
    accuracy: Option<f64>,
    trial: String,
    /// Whether the server answers with it; `None` if the server does not say.
    served: Option<bool>,
}

impl Status {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.cluster {
            return status_cluster::run(context, self.context.as_deref()).await;
        }
        let Some((folder, state)) = State::of_repository(&context.root)? else {
            context.say("no loop is running here: start one with `slipway up`, or try `slipway demo`");
            return context.json(&Report::default());
        };
        let jobs = jobs(&folder.join("jobs"))?;
        let versions = versions(context, &state.mlflow, Some(&state.server)).await?;
        let report = Report { running: true, addresses: Some(state), jobs, versions };
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
            });
        }
    }
    jobs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(jobs)
}

/// Every version of every model that MLflow has, and whether the server answers with it. A server that cannot be asked is a warning.
pub(crate) async fn versions(context: &Context, mlflow: &str, server: Option<&str>) -> Result<Vec<Version>, Failure> {
    let client = Client::new(mlflow)?;
    let mut models: BTreeMap<String, Vec<ModelVersion>> = BTreeMap::new();
    for version in client.search_all_model_versions().await? {
        models.entry(version.name.clone()).or_default().push(version);
    }
    let in_service = match server {
        Some(url) => in_service(url, models.keys()).await,
        None => Err(Failure::Service("no route leads to the model server".to_owned())),
    };
    let in_service = in_service.map_err(|failure| context.warn(format!("what is served is unknown: {failure}"))).ok();
    let versions = models
        .into_iter()
        .flat_map(|(model, versions)| versions.into_iter().map(move |version| (model.clone(), version)));
    Ok(versions
        .map(|(model, version)| Version {
            served: in_service.as_ref().map(|served| served.get(&model) == Some(&version.version)),
            accuracy: tag(&version, ACCURACY).parse().ok(),
            trial: tag(&version, TRAINJOB).to_owned(),
            version: version.version,
            model,
        })
        .collect())
}

/// The version of each model that the server answers with, if it has one in service.
async fn in_service(url: &str, models: impl Iterator<Item = &String>) -> Result<BTreeMap<String, String>, Failure> {
    let server = ModelServer::at(url)?;
    let mut versions = BTreeMap::new();
    for model in models {
        if let Some(version) = server.version_in_service(model).await? {
            versions.insert(model.clone(), version);
        }
    }
    Ok(versions)
}

fn show(context: &Context, report: &Report) {
    if let Some(state) = &report.addresses {
        context.say(addresses(state));
    }
    if report.jobs.is_empty() {
        context.say("\nno TrainJob has been merged yet: try `slipway propose experiments/mnist-cnn.yaml`");
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["TRAINJOB", "STATUS", "SECONDS", ""]);
    for job in &report.jobs {
        let seconds = job.seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default();
        table.add_row([job.name.clone(), job.phase.clone(), seconds, job.message.clone()]);
    }
    context.say(format!("\n{}", table.trim_fmt()));
    show_versions(context, &report.versions);
}

/// Prints a table of versions, or nothing if there are none.
pub(crate) fn show_versions(context: &Context, versions: &[Version]) {
    if versions.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["MODEL", "VERSION", "ACCURACY", "TRAINJOB", ""]);
    for version in versions {
        let accuracy = version.accuracy.map(|accuracy| format!("{accuracy:.4}")).unwrap_or_default();
        let served = match version.served {
            Some(true) => "served",
            Some(false) => "",
            None => "?",
        };
        table.add_row([&version.model, &version.version, &accuracy, &version.trial, served]);
    }
    context.say(format!("\n{}", table.trim_fmt()));
}
