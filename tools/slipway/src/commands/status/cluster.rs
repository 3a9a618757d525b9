//! `slipway status --cluster`: addresses, components, jobs and versions of a cluster.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_cluster::{Address, Cluster, Component, Job, addresses, components, train_jobs};
use slipway_mlflow::Client;
use slipway_names::env::MLFLOW_TRACKING_URI;

use crate::context::Context;
use crate::failure::Failure;
use crate::versions::{Version, show_versions, versions};

#[derive(Serialize)]
struct Report {
    context: String,
    addresses: Vec<Address>,
    components: Vec<Component>,
    jobs: Vec<Job>,
    /// `None` if MLflow cannot be reached from here.
    versions: Option<Vec<Version>>,
}

pub(super) async fn run(context: &Context, name: Option<&str>) -> Result<(), Failure> {
    let cluster = Cluster::connect(name).await?;
    let addresses = addresses(&cluster).await?;
    let url = |service: &str| addresses.iter().find(|one| one.service == service).map(|one| one.url.clone());
    let mlflow = std::env::var(MLFLOW_TRACKING_URI).ok().filter(|url| !url.is_empty()).or_else(|| url("mlflow"));
    let versions = match mlflow {
        Some(mlflow) => match versions(context, &Client::at(&mlflow)?, url("server").as_deref()).await {
            Ok(versions) => Some(versions),
            Err(failure) => {
                context.warn(format!("versions are not shown: {failure}"));
                None
            }
        },
        None => {
            context.warn(format!("versions are not shown: no route leads to MLflow; set {MLFLOW_TRACKING_URI}"));
            None
        }
    };
    let report = Report {
        context: cluster.context().to_owned(),
        components: components(&cluster, None).await?,
        jobs: train_jobs(&cluster).await?,
        addresses,
        versions,
    };
    if !context.is_json() {
        show(context, &report);
    }
    context.json(&report)
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
    if !report.jobs.is_empty() {
        let mut table = Table::new();
        table.load_style(NOTHING).set_header(["TRAINJOB", "STATUS", "PROGRESS", "METRICS", ""]);
        for job in &report.jobs {
            let progress = job.progress.map(|percent| format!("{percent} %")).unwrap_or_default();
            let metrics: Vec<String> = job.metrics.iter().map(|(name, value)| format!("{name}={value}")).collect();
            table.add_row([&job.name, &job.phase, &progress, &metrics.join(" "), &job.message]);
        }
        context.say(format!("\n{}", table.trim_fmt()));
    }
    show_versions(context, report.versions.as_deref().unwrap_or_default());
}
