//! What the dataset store keeps that nothing needs: said, or removed.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use slipway_dataset::Stored;
use slipway_experiment::Dataset;
use slipway_pipeline::{Error, Unneeded};
use slipway_project::{Project, Tree};

use crate::context::Context;
use crate::failure::Failure;
use crate::services;

const DAY: u64 = 24 * 60 * 60;
/// Objects that are listed one by one.
const LISTED: usize = 20;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    store: String,
    /// What may be removed, or was.
    objects: Vec<Object>,
    bytes: u64,
    /// Whether it was removed.
    removed: bool,
    /// What nothing needs, but is too new.
    young: u64,
    needed: u64,
    needed_bytes: u64,
}

#[derive(Serialize)]
struct Object {
    key: String,
    bytes: u64,
}

/// Says what nothing needs and is older than so many days, and removes it if asked to.
pub(crate) async fn run(context: &Context, days: u64, delete: bool) -> Result<(), Failure> {
    let project = Project::read(&Tree::of_work_tree(&context.root)?.limited_to(&["datasets"]));
    // a declaration that cannot be read may need anything
    if !project.findings.is_empty() {
        return Err(Failure::Invalid(project.findings));
    }
    let declarations: Vec<Dataset> = project.datasets.into_values().map(|file| file.dataset).collect();
    let store = services::datasets(context).await?;
    let age = Duration::from_secs(days.saturating_mul(DAY));
    let found = slipway_pipeline::unneeded(&declarations, &store, age, SystemTime::now()).await.map_err(failure)?;
    if delete {
        slipway_pipeline::remove(&found, &store).await.map_err(failure)?;
    }
    say(context, &found, days, delete);
    let objects = found.objects.iter().map(|object| Object { key: object.stored.key(), bytes: object.size });
    context.json(&Report {
        store: store.place(),
        objects: objects.collect(),
        bytes: found.bytes(),
        removed: delete,
        young: found.young,
        needed: found.needed,
        needed_bytes: found.needed_bytes,
    })
}

fn say(context: &Context, found: &Unneeded, days: u64, delete: bool) {
    for object in found.objects.iter().take(LISTED) {
        let what = match object.stored {
            Stored::Report { .. } => "report",
            Stored::Step(_) => "step  ",
            _ => "blob  ",
        };
        context.say(format!("  {what} {} ({} bytes)", object.stored.key(), object.size));
    }
    if found.objects.len() > LISTED {
        context.say(format!("  and {} more; `-o json` lists all", found.objects.len() - LISTED));
    }
    let (count, bytes) = (found.objects.len(), found.bytes());
    context.say(format!("{} objects are needed ({} bytes)", found.needed, found.needed_bytes));
    if found.young > 0 {
        context.say(format!("{} objects that nothing needs are less than {days} days old, and stay", found.young));
    }
    context.say(match (count, delete) {
        (0, _) => "nothing else is there".to_owned(),
        (_, true) => format!("removed {count} objects ({bytes} bytes)"),
        (_, false) => format!("nothing needs {count} objects ({bytes} bytes): `--delete` removes them for ever"),
    });
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Dataset(error) => error.into(),
        Error::Overtaken(name, _) => Failure::Service(format!(
            "{name} was published meanwhile, so nothing was removed; run it again when no build runs"
        )),
        error => Failure::Service(error.to_string()),
    }
}
