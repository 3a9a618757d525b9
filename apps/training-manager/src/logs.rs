//! What workers printed is kept with the run, because a pod takes its log with it: `logs/worker-<rank>.log`, the last part of it.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use slipway_cluster::{Cluster, Leadership, State, Worker};
use slipway_mlflow::{Client, Run};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::known::{Facts, Known};
use crate::leading::must_lead;
use slipway_service::Warned;

/// The most bytes that are kept of a log: its end.
const MOST: usize = 1 << 20;
/// The most lines that are asked for: no log of a worker has so many in its last part.
const LINES: i64 = 100_000;
/// The folder of a run's artifacts.
const FOLDER: &str = "logs";
/// The container of a worker.
const CONTAINER: &str = "node";
/// From one job to the next: after a start all that have ended are looked at.
const CALM: Duration = Duration::from_millis(250);
/// After how long something is tried again that failed.
const PAUSE: Duration = Duration::from_secs(30);

/// The artifact of a worker's log.
#[must_use]
pub fn path(rank: u32) -> String {
    format!("{FOLDER}/worker-{rank}.log")
}

/// Keeps the logs of jobs that have ended, for ever. `safe` are the jobs whose logs are safe.
pub(crate) async fn follow(
    cluster: &Cluster,
    namespace: &str,
    mlflow: &Client,
    leadership: &Leadership,
    mut known: Known,
    safe: &watch::Sender<BTreeSet<String>>,
) -> Infallible {
    let pods: Api<Pod> = Api::namespaced(cluster.client().clone(), namespace);
    // jobs with their runs
    let mut kept: BTreeSet<(String, String)> = BTreeSet::new();
    let mut warned = Warned::default();
    loop {
        let facts = known.now();
        let mut failed = false;
        for (job, run, workers) in ended(&facts) {
            let key = (job.to_owned(), run.run_id.clone());
            if kept.contains(&key) {
                continue;
            }
            match keep(&pods, mlflow, leadership, run, workers).await {
                Ok(()) => {
                    warned.clear();
                    safe.send_modify(|safe| safe.extend([job.to_owned()]));
                    kept.insert(key);
                }
                Err(error) => {
                    warned.warn(&format!("the logs of {job} are not kept with its run"), &error);
                    failed = true;
                }
            }
            tokio::time::sleep(CALM).await;
        }
        tokio::select! {
            () = known.changed() => {}
            () = tokio::time::sleep(PAUSE), if failed => {}
        }
        // many changes at once are one
        tokio::time::sleep(CALM).await;
    }
}

/// The jobs that have ended and whose pods are still there, with their runs.
fn ended(facts: &Facts) -> impl Iterator<Item = (&str, &Run, &[Worker])> {
    let ended = facts.observed.trainings.iter().filter(|(_, training)| {
        matches!(training.state, State::Finished | State::Failed) && !training.workers.is_empty()
    });
    ended.filter_map(|(job, training)| {
        Some((job.as_str(), &facts.recorded.runs.get(job)?.run, training.workers.as_slice()))
    })
}

/// Keeps the logs of a job's workers, as far as they are not kept yet.
async fn keep(pods: &Api<Pod>, mlflow: &Client, leadership: &Leadership, run: &Run, workers: &[Worker]) -> Result<()> {
    // a folder that is not there yet is an empty one
    let there = mlflow.list_artifacts(&format!("{}/{FOLDER}", run.artifact_uri)).await?;
    for worker in workers {
        let path = path(worker.rank);
        let name = path.trim_start_matches(FOLDER).trim_start_matches('/');
        if there.iter().any(|artifact| artifact.path == name || artifact.path == path) {
            continue;
        }
        // the pod may be gone by now
        if let Some(log) = end_of_log(pods, &worker.pod).await? {
            must_lead(leadership)?;
            mlflow.log_artifact(run, &path, log).await?;
        }
    }
    Ok(())
}

/// The end of a worker's log; `None` if its pod or its log is gone.
async fn end_of_log(pods: &Api<Pod>, pod: &str) -> Result<Option<Vec<u8>>> {
    let failed = |reason: &dyn std::error::Error| Error::Log { pod: pod.to_owned(), reason: reason.to_string() };
    let params = LogParams { container: Some(CONTAINER.to_owned()), tail_lines: Some(LINES), ..LogParams::default() };
    let mut stream = match pods.log_stream(pod, &params).await {
        Ok(stream) => std::pin::pin!(stream),
        // gone, or never started
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let (mut log, mut block) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match stream.read(&mut block).await {
            Ok(0) => break,
            Ok(read) => log.extend_from_slice(&block[..read]),
            Err(error) => return Err(failed(&error)),
        }
        if log.len() > 2 * MOST {
            log.drain(..log.len() - MOST);
        }
    }
    Ok(Some(last_part(log)))
}

/// The last [`MOST`] bytes, from the beginning of a line.
fn last_part(mut log: Vec<u8>) -> Vec<u8> {
    if let Some(over) = log.len().checked_sub(MOST).filter(|over| *over > 0) {
        log.drain(..over);
        if let Some(line) = log.iter().position(|byte| *byte == b'\n') {
            log.drain(..=line);
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{method, path_regex};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::leading::tests::{leads, stand_still};

    #[tokio::test]
    async fn who_does_not_lead_any_more_keeps_no_log() {
        let server = MockServer::start().await;
        for (at, answer) in [
            ("/mlflow-artifacts/artifacts$", ResponseTemplate::new(200).set_body_json(json!({}))),
            ("/pods/a-0/log$", ResponseTemplate::new(200).set_body_string("epoch 1\n")),
        ] {
            Mock::given(method("GET")).and(path_regex(at)).respond_with(answer).expect(1).mount(&server).await;
        }
        // every other request fails, and so would a log that is written
        let run = Run {
            run_id: "r".to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status: slipway_mlflow::RunStatus::Finished,
            start_time: None,
            end_time: None,
            artifact_uri: "mlflow-artifacts:/1/r/artifacts".to_owned(),
            metrics: <_>::default(),
            params: <_>::default(),
            tags: <_>::default(),
        };
        let cluster = Cluster::at(&server.uri()).unwrap();
        let pods = Api::namespaced(cluster.client().clone(), "training");
        let workers = [Worker { pod: "a-0".to_owned(), ..Worker::default() }];
        let leadership = leads();
        stand_still().await;
        let kept = keep(&pods, &Client::new(&server.uri()).unwrap(), &leadership, &run, &workers).await;
        assert!(matches!(kept, Err(Error::NotLeader)), "{kept:?}");
        let asked = server.received_requests().await.unwrap();
        assert!(asked.iter().all(|request| request.method.as_str() == "GET"), "{asked:?}");
    }

    #[test]
    fn of_a_long_log_the_last_lines_are_kept() {
        assert_eq!(last_part(b"a\nb\n".to_vec()), b"a\nb\n");
        let long: Vec<u8> = (0..200_000).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
        let kept = last_part(long.clone());
        assert!(kept.len() <= MOST && kept.len() > MOST - 20 && long.ends_with(&kept) && kept.starts_with(b"line "));
        let one_line = vec![b'x'; MOST + 7];
        assert_eq!(last_part(one_line).len(), MOST);
    }
}
