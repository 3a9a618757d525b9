//! Trainings whose workers run and have no data: the store is away, and a worker tries for minutes before it gives up. To the cluster they run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use serde::Deserialize;
use slipway_cluster::{Cluster, Hindrance, State, Timestamp, Training};
use slipway_names::event;
use slipway_service::Warned;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::watch::Observed;

/// How long workers may run without a sign of progress before it is looked why.
const QUIET: Duration = Duration::from_secs(30);
/// For how long is looked: workers try for 12 minutes. A program that never reports progress is not asked for ever.
const UNTIL: Duration = Duration::from_secs(15 * 60);
/// How often is looked while one is quiet.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the end of a log may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// How old what a worker said may be, in seconds: it tries again every 20 s, and waits for 30 s until an answer begins.
const RECENT: i64 = 90;
/// How many lines of a log are looked at.
const LINES: i64 = 20;
/// How many logs are looked at in a round: a store that is away holds up all of them.
const MOST: usize = 16;
/// The most characters of what a worker said.
const CHARACTERS: usize = 600;
/// The container of a worker.
const CONTAINER: &str = "node";

/// The trainings that have no data, each as one that waits.
pub type Stalled = BTreeMap<String, Arc<Training>>;

/// Whether the workers of a training run, and none has said that it has begun.
pub(crate) fn is_quiet(training: &Training) -> bool {
    training.state == State::Running && training.progress.is_none()
}

/// Follows the trainings that have no data, for ever. While every one that runs has begun, nothing is asked.
pub async fn follow(
    cluster: &Cluster,
    namespace: &str,
    mut observed: watch::Receiver<Arc<Observed>>,
    stalled: &watch::Sender<Arc<Stalled>>,
) -> Infallible {
    let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace);
    let mut warned = Warned::default();
    let mut since: BTreeMap<String, Instant> = BTreeMap::new();
    let mut round: usize = 0;
    loop {
        let there = Arc::clone(&observed.borrow_and_update());
        let quiet: BTreeMap<&String, &Arc<Training>> =
            there.trainings.iter().filter(|(_, training)| is_quiet(training)).collect();
        since.retain(|job, _| quiet.contains_key(job));
        for job in quiet.keys() {
            since.entry((*job).clone()).or_insert_with(Instant::now);
        }
        let is_late = |since: &Instant| (QUIET..UNTIL).contains(&since.elapsed());
        let late = quiet.iter().filter(|(job, _)| since.get(**job).is_some_and(is_late));
        let late: Vec<(&String, &Arc<Training>)> = late.map(|(job, training)| (*job, *training)).collect();
        // whoever is not asked in this round, or does not answer, is as before
        let before = Arc::clone(&stalled.borrow());
        let as_before = late.iter().filter_map(|(job, training)| {
            let hindrance = before.get(*job)?.hindrance.clone();
            Some(((*job).clone(), without_data(training, hindrance)))
        });
        let mut found: Stalled = as_before.collect();
        let begin = if late.len() > MOST { round % late.len() } else { 0 };
        round = round.wrapping_add(MOST);
        // one node that does not answer does not hold up the others
        let asked = late.iter().cycle().skip(begin).take(late.len().min(MOST)).map(|(job, training)| {
            let pods = &pods;
            async move { ((*job).clone(), *training, why(pods, training).await) }
        });
        let mut failed = None;
        for (job, training, why) in join_all(asked).await {
            match why {
                Ok(Some(hindrance)) => drop(found.insert(job, without_data(training, Some(hindrance)))),
                Ok(None) => drop(found.remove(&job)),
                Err(error) => failed = Some((job, error)),
            }
        }
        match failed {
            Some((job, error)) => warned.warn(&format!("nobody knows whether {job} has its data"), &error),
            None => warned.clear(),
        }
        stalled.send_if_modified(|known| {
            let is_new = **known != found;
            if is_new {
                *known = Arc::new(found);
            }
            is_new
        });
        if quiet.is_empty() {
            // whoever watches the cluster lives as long as the manager
            let _ = observed.changed().await;
        } else {
            // the cluster changes all the time while jobs run
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A training as one that waits for its data.
fn without_data(training: &Training, hindrance: Option<Hindrance>) -> Arc<Training> {
    Arc::new(Training { state: State::Waiting, hindrance, ..training.clone() })
}

/// Why a training has no data, as its first worker says; `None` if it says nothing of that.
async fn why(pods: &Api<Pod>, training: &Training) -> Result<Option<Hindrance>> {
    let Some(worker) = training.workers.iter().min_by_key(|worker| worker.rank) else { return Ok(None) };
    let params = LogParams { container: Some(CONTAINER.to_owned()), tail_lines: Some(LINES), ..LogParams::default() };
    match tokio::time::timeout(PATIENCE, pods.logs(&worker.pod, &params)).await {
        Ok(Ok(log)) => Ok(said(&log, Timestamp::now())),
        // it has gone, or has not begun
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 400 | 404) => Ok(None),
        Ok(Err(error)) => Err(Error::Log { pod: worker.pod.clone(), reason: error.to_string() }),
        Err(_) => {
            let reason = format!("no answer within {} s", PATIENCE.as_secs());
            Err(Error::Log { pod: worker.pod.clone(), reason })
        }
    }
}

/// A line of a worker's log.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    timestamp: String,
    event: String,
    message: String,
}

/// The last time that a worker said that it waits for the store, if that was not long ago.
fn said(log: &str, now: Timestamp) -> Option<Hindrance> {
    let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let line = lines.find(|line| line.event == event::STORE_AWAY)?;
    let time: Timestamp = line.timestamp.parse().ok()?;
    if now.as_second() - time.as_second() > RECENT {
        return None;
    }
    let words: Vec<&str> = line.message.split_whitespace().collect();
    let message = words.join(" ");
    let message = message.strip_prefix("trying again: ").unwrap_or(&message);
    let message: String = message.chars().take(CHARACTERS).collect();
    Some(Hindrance {
        reason: format!("its data cannot be had yet: {message}"),
        advice: "Its workers try for 12 minutes. `slipway status --cluster` shows whether the store is healthy."
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AWAY: &str = r#"{"timestamp":"2026-01-02T03:04:05.678901Z","level":"WARN","event":"store_away","seconds":0.2,"message":"trying again: cannot reach the object store at http://minio:9000 (connection refused)","target":"slipway_dataset::budget"}"#;
    const OTHER: &str =
        r#"{"timestamp":"2026-01-02T03:04:06.678901Z","level":"INFO","event":"connected","exchange":"c10d"}"#;

    fn at(second: i64) -> Timestamp {
        let away: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        Timestamp::from_second(away.as_second() + second).unwrap()
    }

    #[test]
    fn a_store_that_is_away_is_why_a_training_has_not_begun() {
        let log = format!("not JSON\n{AWAY}\n{OTHER}\n[1]\n");
        let found = said(&log, at(20)).unwrap();
        let reason =
            "its data cannot be had yet: cannot reach the object store at http://minio:9000 (connection refused)";
        assert_eq!(found.reason, reason);
        assert!(found.advice.contains("slipway status --cluster"));
        assert_eq!(said(&log, at(RECENT + 5)), None, "it has not said so for long");
        assert_eq!(said(OTHER, at(20)), None);
        assert_eq!(said("", at(20)), None);
    }

    #[test]
    fn only_workers_that_run_and_have_not_begun_are_asked() {
        let of = |state, progress| Training { state, progress, ..Training::default() };
        assert!(is_quiet(&of(State::Running, None)));
        assert!(!is_quiet(&of(State::Running, Some(slipway_cluster::Progress::default()))));
        assert!(!is_quiet(&of(State::Waiting, None)) && !is_quiet(&of(State::Finished, None)));
    }
}
