//! TrainJobs that were merged and are not in the cluster: it has refused them, or nothing has made them yet.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use slipway_cluster::{Cluster, Hindrance, Timestamp, Training, refused};
use slipway_service::Warned;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::declared::Declared;
use crate::watch::Observed;

/// How long a job may be missing before that is said: what is merged is synced within seconds where a webhook tells Argo CD, and within minutes
/// elsewhere.
const LATE: Duration = Duration::from_secs(30);
/// How often is looked while one is missing.
const PAUSE: Duration = Duration::from_secs(15);

/// The jobs that are missing, each as a training that waits.
pub type Missing = BTreeMap<String, Arc<Training>>;

/// Follows the missing jobs for ever. While none is missing, nothing is asked.
pub async fn follow(
    cluster: &Cluster,
    mut declared: watch::Receiver<Arc<Declared>>,
    mut observed: watch::Receiver<Arc<Observed>>,
    missing: &watch::Sender<Arc<Missing>>,
) -> Infallible {
    let mut warned = Warned::default();
    let mut since: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        let (tree, there) = (Arc::clone(&declared.borrow_and_update()), Arc::clone(&observed.borrow_and_update()));
        let absent = absent(&tree, &there);
        since.retain(|job, _| absent.contains_key(job));
        let wall = Timestamp::now().as_second() - LATE.as_secs() as i64;
        let is_late = |job: &String, merged: i64, since: &mut BTreeMap<String, Instant>| {
            // the clock of whoever merged may be another one
            let seen = since.entry(job.clone()).or_insert_with(Instant::now);
            merged < wall || seen.elapsed() > LATE
        };
        let late: Vec<&String> =
            absent.iter().filter(|(job, merged)| is_late(job, **merged, &mut since)).map(|(job, _)| *job).collect();
        let reasons = if late.is_empty() { BTreeMap::new() } else { reasons(cluster, &mut warned).await };
        let found: Missing =
            late.iter().map(|job| ((*job).clone(), Arc::new(training(&tree, job, &reasons)))).collect();
        missing.send_if_modified(|known| {
            let is_new = **known != found;
            if is_new {
                *known = Arc::new(found);
            }
            is_new
        });
        let is_none = absent.is_empty();
        tokio::select! {
            _ = declared.changed() => {}
            _ = observed.changed() => {}
            () = tokio::time::sleep(PAUSE), if !is_none => {}
        }
        if !is_none {
            // the cluster changes all the time while jobs start
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Why the cluster refuses jobs, as Argo CD says it. Without the right to ask it, they are only known to be missing.
async fn reasons(cluster: &Cluster, warned: &mut Warned) -> BTreeMap<String, Hindrance> {
    match refused(cluster).await {
        Ok(reasons) => {
            warned.clear();
            reasons
        }
        Err(error) => {
            warned.warn("nobody knows why TrainJobs that were merged are not in the cluster", &error);
            BTreeMap::new()
        }
    }
}

/// The jobs that are not in the cluster, with when they were merged.
fn absent<'a>(tree: &'a Declared, there: &Observed) -> BTreeMap<&'a String, i64> {
    if !there.is_complete {
        return BTreeMap::new();
    }
    let jobs = tree.jobs.keys().filter(|job| !there.trainings.contains_key(*job));
    jobs.map(|job| {
        (job, tree.commits.of_jobs.get(job).and_then(|all| all.first()).map_or(i64::MIN / 2, |one| one.time))
    })
    .collect()
}

fn training(tree: &Declared, job: &str, reasons: &BTreeMap<String, Hindrance>) -> Training {
    let hindrance = reasons.get(job).cloned().unwrap_or_else(|| Hindrance {
        reason: "its TrainJob is not in the cluster yet".to_owned(),
        advice: "Argo CD makes it: `slipway status --cluster` shows whether training-jobs is synced.".to_owned(),
    });
    let declared = tree.jobs.get(job);
    Training {
        name: job.to_owned(),
        experiment: declared.map(|job| job.experiment.clone()),
        hindrance: Some(hindrance),
        wanted: declared.map_or(0, |job| job.workers),
        ..Training::default()
    }
}
