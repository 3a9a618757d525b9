//! What workers printed is kept with the run, because a pod takes its log with it: `logs/worker-<rank>.log`, the last part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use slipway_cluster::{Cluster, Leadership, State, Worker};
use slipway_mlflow::{Client, Run};
use slipway_names::artifact::LOGS;
use slipway_service::{Warned, must_lead};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::known::{Facts, Known};

/// The most bytes that are kept of a log: its end.
const MOST: usize = 1 << 20;
/// The most lines that are asked for: no log of a worker has so many in its last part.
const LINES: i64 = 100_000;
/// The container of a worker.
const CONTAINER: &str = "node";
/// From one job to the next: after a start all that have ended are looked at.
const CALM: Duration = Duration::from_millis(250);
/// After how long something is tried again that failed.
const PAUSE: Duration = Duration::from_secs(30);
/// After how long a log is given up that the cluster does not give, since the node of its pod is gone or does not answer.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The artifact of a worker's log.
#[must_use]
pub fn path(rank: u32) -> String {
    format!("{LOGS}/worker-{rank}.log")
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
    // since when logs of them cannot be kept
    let mut failing: BTreeMap<(String, String), Instant> = BTreeMap::new();
    let mut warned = Warned::default();
    loop {
        let facts = known.now();
        let mut failed = false;
        for (job, run, workers) in ended(&facts) {
            let key = (job.to_owned(), run.run_id.clone());
            if kept.contains(&key) {
                continue;
            }
            let gives_up = failing.get(&key).is_some_and(|since| since.elapsed() > PATIENCE);
            match keep(&pods, mlflow, leadership, run, workers, gives_up).await {
                Ok(()) => {
                    warned.clear();
                    failing.remove(&key);
                    safe.send_modify(|safe| safe.extend([job.to_owned()]));
                    kept.insert(key);
                }
                Err(error) => {
                    warned.warn(&format!("the logs of {job} are not kept with its run"), &error);
                    failing.entry(key).or_insert_with(Instant::now);
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

/// Keeps the logs of a job's workers, as far as they are not kept yet. One that cannot be read does not hold up the others. With `gives_up`, a line
/// takes its place that says so.
async fn keep(
    pods: &Api<Pod>,
    mlflow: &Client,
    leadership: &Leadership,
    run: &Run,
    workers: &[Worker],
    gives_up: bool,
) -> Result<()> {
    // a folder that is not there yet is an empty one
    let there = mlflow.list_artifacts(&format!("{}/{LOGS}", run.artifact_uri)).await?;
    let mut unreadable = Ok(());
    for worker in workers {
        let path = path(worker.rank);
        let name = path.trim_start_matches(LOGS).trim_start_matches('/');
        if there.iter().any(|artifact| artifact.path == name || artifact.path == path) {
            continue;
        }
        let log = match end_of_log(pods, &worker.pod).await? {
            Log::Read(log) => log,
            Log::Gone => continue,
            Log::Unreadable(reason) if gives_up => {
                let reason = reason.lines().next().unwrap_or_default();
                format!("# slipway: this log could not be read before it was given up: {reason}\n").into_bytes()
            }
            Log::Unreadable(reason) => {
                unreadable = Err(Error::Log { pod: worker.pod.clone(), reason });
                continue;
            }
        };
        must_lead(leadership)?;
        mlflow.log_artifact(run, &path, log).await?;
    }
    unreadable
}

/// What is left of a worker's log.
enum Log {
    /// Its end.
    Read(Vec<u8>),
    /// Nothing: its pod is gone, or never started.
    Gone,
    /// The API server answers, and cannot get it from the pod's node; why.
    Unreadable(String),
}

/// The end of a worker's log.
async fn end_of_log(pods: &Api<Pod>, pod: &str) -> Result<Log> {
    let failed = |reason: &dyn std::error::Error| Error::Log { pod: pod.to_owned(), reason: reason.to_string() };
    let params = LogParams { container: Some(CONTAINER.to_owned()), tail_lines: Some(LINES), ..LogParams::default() };
    let mut stream = match pods.log_stream(pod, &params).await {
        Ok(stream) => std::pin::pin!(stream),
        Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => return Ok(Log::Gone),
        // a right that is missing comes back
        Err(kube::Error::Api(status)) if status.code >= 500 => return Ok(Log::Unreadable(status.message.clone())),
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
    Ok(Log::Read(last_part(log)))
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
    use crate::leading::{leads, stand_still};

    fn run() -> Run {
        Run {
            run_id: "r".to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status: slipway_mlflow::RunStatus::Finished,
            start_time: None,
            end_time: None,
            artifact_uri: "mlflow-artifacts:/1/r/artifacts".to_owned(),
            metrics: <_>::default(),
            steps: <_>::default(),
            params: <_>::default(),
            tags: <_>::default(),
        }
    }

    /// An API server and an MLflow without logs. Every other request fails.
    async fn server(answers: &[(&str, &str, ResponseTemplate)]) -> (MockServer, Api<Pod>, Client) {
        let server = MockServer::start().await;
        let nothing = ("GET", "/mlflow-artifacts/artifacts$", ResponseTemplate::new(200).set_body_json(json!({})));
        for (verb, at, answer) in answers.iter().cloned().chain([nothing]) {
            Mock::given(method(verb)).and(path_regex(at)).respond_with(answer).mount(&server).await;
        }
        let cluster = Cluster::at(&server.uri()).unwrap();
        let pods = Api::namespaced(cluster.client().clone(), "training");
        let mlflow = Client::new(&server.uri()).unwrap();
        (server, pods, mlflow)
    }

    fn worker(rank: u32) -> Worker {
        Worker { rank, pod: format!("a-{rank}"), ..Worker::default() }
    }

    #[tokio::test]
    async fn who_does_not_lead_any_more_keeps_no_log() {
        let log = ("GET", "/pods/a-0/log$", ResponseTemplate::new(200).set_body_string("epoch 1\n"));
        let (server, pods, mlflow) = server(&[log]).await;
        let leadership = leads();
        stand_still().await;
        let kept = keep(&pods, &mlflow, &leadership, &run(), &[worker(0)], false).await;
        assert!(matches!(kept, Err(Error::NotLeader(_))), "{kept:?}");
        let asked = server.received_requests().await.unwrap();
        assert!(asked.iter().all(|request| request.method.as_str() == "GET"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_log_on_a_node_that_is_gone_holds_up_no_other_and_is_given_up() {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "reason": "InternalError",
            "message": "Get \"https://10.0.0.7:10250/containerLogs\": dial tcp 10.0.0.7:10250: i/o timeout"});
        let (server, pods, mlflow) = server(&[
            ("GET", "/pods/a-0/log$", ResponseTemplate::new(500).set_body_json(status)),
            ("GET", "/pods/a-1/log$", ResponseTemplate::new(200).set_body_string("epoch 1\n")),
            ("PUT", "/worker-[01].log$", ResponseTemplate::new(200).set_body_json(json!({}))),
        ])
        .await;
        let leadership = leads();
        let workers = [worker(0), worker(1)];
        let written = async || -> Vec<(String, String)> {
            let asked = server.received_requests().await.unwrap();
            let puts = asked.iter().filter(|request| request.method.as_str() == "PUT");
            let text = |request: &wiremock::Request| String::from_utf8_lossy(&request.body).into_owned();
            puts.map(|request| (request.url.path().rsplit('/').next().unwrap_or_default().to_owned(), text(request)))
                .collect()
        };
        let kept = keep(&pods, &mlflow, &leadership, &run(), &workers, false).await;
        assert!(matches!(&kept, Err(Error::Log { pod, .. }) if pod == "a-0"), "{kept:?}");
        assert_eq!(written().await, [("worker-1.log".to_owned(), "epoch 1\n".to_owned())]);
        keep(&pods, &mlflow, &leadership, &run(), &workers[..1], true).await.unwrap();
        let (file, text) = written().await.pop().unwrap();
        assert_eq!(file, "worker-0.log");
        assert!(text.starts_with("# slipway: this log could not be read") && text.contains("i/o timeout"), "{text}");
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
