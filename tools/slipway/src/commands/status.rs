//! `slipway status`: jobs, versions, and what is served, of the loop that runs here.

use std::collections::BTreeMap;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_embedded::{JobStatus, State};
use slipway_mlflow::{Client, ModelVersion};

use crate::commands::promote::tag;
use crate::commands::status_cluster;
use crate::commands::up::addresses;
use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway status\n  slipway status -o json | jq '.jobs'\n  slipway status --cluster"
)]
pub(crate) struct Status {
    /// Of a cluster instead of the loop of this machine
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
    served: bool,
}

impl Status {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        if self.cluster {
            return status_cluster::run(context, self.context.as_deref()).await;
        }
        let Some((folder, state)) = State::of_repository(&context.root)? else {
            context.say("no loop runs here: `slipway up` starts one, `slipway demo` shows one");
            return context.json(&Report::default());
        };
        let mut jobs = Vec::new();
        for entry in std::fs::read_dir(folder.join("jobs")).into_iter().flatten().flatten() {
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
        let versions = versions(&state.mlflow, &state.server).await?;
        let report = Report { running: true, addresses: Some(state), jobs, versions };
        if !context.is_json() {
            show(context, &report);
        }
        context.json(&report)
    }
}

/// Every version of every model that the server or MLflow knows of.
pub(crate) async fn versions(mlflow: &str, server: &str) -> Result<Vec<Version>, Failure> {
    let client = Client::new(mlflow)?;
    let mut names: BTreeMap<String, Vec<ModelVersion>> = BTreeMap::new();
    for version in client.search_all_model_versions().await? {
        names.entry(version.name.clone()).or_default().push(version);
    }
    let mut versions = Vec::new();
    for (model, of_model) in names {
        let served = served(server, &model).await;
        for version in of_model {
            versions.push(Version {
                served: served.as_deref() == Some(&version.version),
                accuracy: tag(&version, "slipway.accuracy").parse().ok(),
                trial: tag(&version, "slipway.trainjob").to_owned(),
                version: version.version,
                model: model.clone(),
            });
        }
    }
    Ok(versions)
}

/// The version that the server answers with when none is named.
pub(crate) async fn served(server: &str, model: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        versions: Vec<String>,
    }
    let answer = reqwest::get(format!("{server}/v2/models/{model}")).await.ok()?;
    answer.error_for_status().ok()?.json::<Metadata>().await.ok()?.versions.into_iter().next()
}

fn show(context: &Context, report: &Report) {
    if let Some(state) = &report.addresses {
        context.say(addresses(state));
    }
    if report.jobs.is_empty() {
        context.say("\nno TrainJob was merged yet: `slipway propose experiments/mnist-cnn.yaml`");
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

/// A table of versions; nothing when there are none.
pub(crate) fn show_versions(context: &Context, versions: &[Version]) {
    if versions.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["MODEL", "VERSION", "ACCURACY", "TRAINJOB", ""]);
    for version in versions {
        let accuracy = version.accuracy.map(|accuracy| format!("{accuracy:.4}")).unwrap_or_default();
        let served = if version.served { "served" } else { "" };
        table.add_row([&version.model, &version.version, &accuracy, &version.trial, served]);
    }
    context.say(format!("\n{}", table.trim_fmt()));
}
