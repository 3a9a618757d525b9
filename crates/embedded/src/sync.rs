//! Follows the forge's main: TrainJobs go to the queue, the server's list of models to the server.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use slipway_git::Repository;

use crate::forge::{MAIN, blocking};
use crate::queue::DesiredJobs;
use crate::{Result, files, followed};

/// The rendered TrainJobs, one file each.
pub(crate) const JOBS: &str = "overlays/local/training-jobs";
/// Which models are served.
const MODELS: &str = "overlays/local/server/models.yaml";
/// The same for the server, in the state folder.
pub(crate) const SERVED: &str = "server/models.yaml";
/// The server's list of models when main has none.
pub(crate) const NO_MODELS: &[u8] = b"models: []\n";
/// How often main is looked at, which takes a fifth of a millisecond: what is merged begins that much later.
const INTERVAL: Duration = Duration::from_millis(50);

/// What main holds for this machine.
struct Main {
    revision: String,
    /// The rendered TrainJobs by file name.
    jobs: BTreeMap<String, Vec<u8>>,
    models: Vec<u8>,
}

/// Follows main for ever, and records in the state folder which commit it has applied.
pub(crate) async fn follow(forge: Repository, jobs: &DesiredJobs, state: &Path) {
    let mut applied: Option<String> = None;
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reported = String::new();
    loop {
        interval.tick().await;
        match step(&forge, jobs, state, applied.as_deref()).await {
            Ok(revision) => {
                applied = revision.or(applied);
                reported.clear();
            }
            // It may pass, such as a repack in between; the same error is logged once.
            Err(error) => {
                let text = error.to_string();
                if text != reported {
                    tracing::warn!("main is not followed: {text}");
                    reported = text;
                }
            }
        }
    }
}

/// The rendered TrainJobs on main by file name.
pub(crate) async fn jobs(forge: &Repository) -> Result<BTreeMap<String, Vec<u8>>> {
    let forge = forge.clone();
    let read = move || match forge.reference(MAIN)? {
        Some(main) => Ok(forge.read_folder(&main, JOBS)?),
        None => Ok(BTreeMap::new()),
    };
    blocking("reading main", read).await
}

/// Applies main when it is not at `applied`; returns where it is then.
async fn step(forge: &Repository, jobs: &DesiredJobs, state: &Path, applied: Option<&str>) -> Result<Option<String>> {
    let (forge, applied) = (forge.clone(), applied.map(str::to_owned));
    let Some(main) = blocking("reading main", move || read(&forge, applied.as_deref())).await? else {
        return Ok(None);
    };
    let models = state.join(SERVED);
    if std::fs::read(&models).ok().as_ref() != Some(&main.models) {
        files::write(&models, &main.models)?;
    }
    jobs.set(main.jobs);
    followed::record(state, &main.revision)?;
    tracing::info!("main is at {}", main.revision);
    Ok(Some(main.revision))
}

/// What main holds. Returns `None` if there is no main, or it is at `applied`.
fn read(forge: &Repository, applied: Option<&str>) -> Result<Option<Main>> {
    let Some(revision) = forge.reference(MAIN)?.filter(|revision| Some(revision.as_str()) != applied) else {
        return Ok(None);
    };
    let jobs = forge.read_folder(&revision, JOBS)?;
    let models = forge.read(&revision, MODELS)?.unwrap_or_else(|| NO_MODELS.to_vec());
    Ok(Some(Main { revision, jobs, models }))
}
