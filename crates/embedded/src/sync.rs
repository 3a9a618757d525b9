//! Follows the forge's main: TrainJobs go to the queue, the server's list of models to the server.

use std::path::Path;
use std::time::Duration;

use crate::queue::DesiredJobs;
use crate::revision::Repository;
use crate::{Result, files};

/// The rendered TrainJobs, one file each.
const JOBS: &str = "overlays/local/training-jobs";
/// The folder of the server's settings.
const SERVER: &str = "overlays/local/server";
const MODELS: &str = "models.yaml";
/// What the server is told when main says nothing.
pub(crate) const NO_MODELS: &[u8] = b"models: []\n";
/// How often main is looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// Follows main for ever.
pub(crate) async fn follow(forge: Repository, jobs: &DesiredJobs, models: &Path) {
    let mut applied: Option<String> = None;
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut said = String::new();
    loop {
        interval.tick().await;
        match step(&forge, jobs, models, applied.as_deref()).await {
            Ok(revision) => {
                applied = revision.or(applied);
                said.clear();
            }
            // It may pass, such as a repack in between; the same trouble is told once.
            Err(error) => {
                let text = error.to_string();
                if text != said {
                    tracing::warn!("main is not followed: {text}");
                    said = text;
                }
            }
        }
    }
}

/// Applies main when it is not at `applied`; returns where it is then.
async fn step(forge: &Repository, jobs: &DesiredJobs, models: &Path, applied: Option<&str>) -> Result<Option<String>> {
    let Some(revision) = forge.main().await?.filter(|revision| Some(revision.as_str()) != applied) else {
        return Ok(None);
    };
    let files = forge.folder(&revision, JOBS).await?;
    let server = forge.folder(&revision, SERVER).await?;
    let wanted = server.get(MODELS).map_or(NO_MODELS, Vec::as_slice);
    if std::fs::read(models).ok().as_deref() != Some(wanted) {
        files::write(models, wanted)?;
    }
    jobs.set(files);
    tracing::info!("main is at {revision}");
    Ok(Some(revision))
}
