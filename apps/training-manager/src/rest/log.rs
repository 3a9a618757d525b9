//! The log of a worker: from its pod, or, when that is gone, from what was kept with the run.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures::io::{AsyncRead, AsyncReadExt as _, Cursor};
use futures::{Stream, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::answer::{Answer, Described, text_response};
use super::document::Schemas;
use super::ended::Ended;
use super::operation::{Asked, Operation};
use super::problem::Problem;
use super::shared::Shared;
use super::tracking::{Run, unavailable};
use crate::logs;
use crate::view::{Trial, TrialState};

const MEDIA_TYPE: &str = "text/plain; charset=utf-8";
/// The container of a worker's pod.
const CONTAINER: &str = "node";
/// The most bytes of an answer.
const MOST: usize = 4 << 20;
/// The most bytes of a log that was kept with a run, which is in memory until it is sent: twice as much as is kept.
const KEPT: u64 = 2 << 20;
/// How many lines from the end are given if nothing is asked for, and at most.
const USUAL_LINES: usize = 10_000;
const MOST_LINES: usize = 1_000_000;
/// How long a log is followed.
const FOLLOWED: Duration = Duration::from_secs(3600);
/// How much is sent at once.
const BLOCK: usize = 16 << 10;

/// `GET /api/v1/trials/{name}/workers/{rank}/log`
pub(crate) struct Log;

/// Which worker.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Which {
    /// The trial's name.
    name: String,
    /// The worker's rank, from 0.
    rank: u32,
}

/// How much of the log.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Part {
    /// At most this many lines, from the end; 10,000 if nothing is given.
    #[schemars(range(min = 0, max = MOST_LINES))]
    tail_lines: Option<usize>,
    /// Whether to go on with what the worker will write.
    follow: Option<bool>,
}

impl Operation for Log {
    const PATH: &'static str = "/api/v1/trials/{name}/workers/{rank}/log";
    const ID: &'static str = "getLog";
    const SUMMARY: &'static str = "The log of a worker";
    const DESCRIPTION: &'static str = "At most 4 MiB, and followed for at most an hour. If it was cut, a last line \
        that begins with `# slipway:` says why.";
    const PROBLEMS: &'static [(u16, &'static str)] = &[
        (404, "There is no such trial or worker, or no log of it."),
        (409, "The worker has not started yet."),
        (503, "The cluster or MLflow does not answer, or 32 logs are read already."),
    ];

    type Path = Which;
    type Query = Part;
    type Body = ();
    type Answer = Text;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let Which { name, rank } = asked.path;
        let lines = asked.query.tail_lines.unwrap_or(USUAL_LINES);
        if lines > MOST_LINES {
            let detail = format!("tailLines is {lines}: give a number from 0 to {MOST_LINES}");
            return Err(Problem::malformed("query", detail));
        }
        let trial = shared.trial(&name)?;
        let is_known = rank < trial.workers || trial.worker_states.iter().any(|worker| worker.rank == rank);
        if !is_known {
            let detail = format!("{name} has {} workers, from rank 0, and none of rank {rank}", trial.workers);
            return Err(Problem::unknown("worker", detail));
        }
        let place = shared.logs.take()?;
        let follow = asked.query.follow.unwrap_or_default();
        let is_over = !matches!(trial.state, TrialState::Waiting | TrialState::Running);
        let source = match of_pod(&shared, &trial, rank, lines, follow).await {
            Ok(Some(source)) => source,
            Ok(None) => kept(&shared, &trial, rank, lines).await?,
            // its pod is there for longer than the node that it was on
            Err(problem) if is_over => kept(&shared, &trial, rank, lines).await.map_err(|_| problem)?,
            Err(problem) => return Err(problem),
        };
        Ok(Text(Reading {
            source,
            left: MOST,
            end: Instant::now() + FOLLOWED,
            ended: asked.ended,
            line_ended: true,
            is_over: false,
            _place: place,
        }))
    }
}

type Source = Pin<Box<dyn AsyncRead + Send>>;

/// The log of the worker's pod; `None` if that is not there.
async fn of_pod(
    shared: &Shared,
    trial: &Trial,
    rank: u32,
    lines: usize,
    follow: bool,
) -> Result<Option<Source>, Problem> {
    let Some(worker) = trial.worker_states.iter().find(|worker| worker.rank == rank && !worker.pod.is_empty()) else {
        return Ok(None);
    };
    let parameters = LogParams {
        container: Some(CONTAINER.to_owned()),
        follow,
        tail_lines: i64::try_from(lines).ok(),
        // one more than is sent, so that it shows whether something was cut; it would also end what is followed
        limit_bytes: (!follow).then_some(MOST as i64 + 1),
        ..LogParams::default()
    };
    let pods: Api<Pod> = Api::namespaced(shared.connected()?.cluster.clone(), &shared.state.namespace);
    match pods.log_stream(&worker.pod, &parameters).await {
        Ok(log) => Ok(Some(Box::pin(log))),
        Err(kube::Error::Api(status)) if status.code == StatusCode::NOT_FOUND.as_u16() => Ok(None),
        Err(kube::Error::Api(status)) if status.code == StatusCode::BAD_REQUEST.as_u16() => {
            Err(Problem::conflict(format!("worker {rank} has no log yet: {}", status.message)))
        }
        Err(error) => {
            tracing::warn!(event = "log_failed", pod = worker.pod, "{error}");
            Err(Problem::unavailable("Kubernetes", format!("the log of pod {} cannot be read: {error}", worker.pod)))
        }
    }
}

/// What was kept of the log with the trial's run.
async fn kept(shared: &Shared, trial: &Trial, rank: u32, lines: usize) -> Result<Source, Problem> {
    let file = logs::path(rank);
    let none =
        |why: &str| Problem::unknown("log", format!("the pod of worker {rank} is not in the cluster, and {why}"));
    let Some(run) = Run::of(shared, trial).await? else {
        return Err(none("the trial has no run in MLflow that could have kept its log"));
    };
    match shared.state.mlflow.read_artifact(&run.found.artifact_uri, &file, KEPT).await {
        Ok(Some(text)) => Ok(Box::pin(Cursor::new(last_lines(&text, lines)))),
        Ok(None) => Err(none(&format!("its run has no {file}"))),
        Err(error @ slipway_mlflow::Error::TooLarge { .. }) => Err(none(&error.to_string())),
        Err(error) => Err(unavailable(&error)),
    }
}

/// The last lines of a text.
fn last_lines(text: &Bytes, lines: usize) -> Bytes {
    let end = text.len() - usize::from(text.ends_with(b"\n"));
    let breaks = text[..end].iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    match (lines, breaks.map(|(at, _)| at + 1).nth(lines.saturating_sub(1))) {
        (0, _) => Bytes::new(),
        (_, Some(begin)) => text.slice(begin..),
        (_, None) => text.clone(),
    }
}

/// A log that is about to be sent.
pub(crate) struct Text(Reading);

impl Answer for Text {
    fn described(_: &mut Schemas) -> Vec<Described> {
        vec![Described::new(200, "The log as the worker wrote it.", MEDIA_TYPE, json!({ "type": "string" }))]
    }

    fn respond(self, _: &HeaderMap) -> Response {
        text_response(MEDIA_TYPE, Body::from_stream(blocks(self.0)))
    }
}

/// A log that is being sent, within its bounds.
struct Reading {
    source: Source,
    /// How many bytes may still be sent.
    left: usize,
    end: Instant,
    ended: Ended,
    /// Whether the last line that was sent has an end.
    line_ended: bool,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

fn blocks(reading: Reading) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(reading, async |mut reading| Some((Ok(reading.next().await?), reading)))
}

impl Reading {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let mut block = vec![0; BLOCK];
        let read: io::Result<usize> = tokio::select! {
            read = self.source.read(&mut block) => read,
            () = tokio::time::sleep_until(self.end) => return Some(self.cut("it was followed for an hour: ask again")),
            () = self.ended.wait() => return Some(self.cut("the training manager ends: ask again")),
        };
        match read {
            Ok(0) => None,
            Ok(read) => {
                block.truncate(read.min(self.left));
                self.left -= block.len();
                self.line_ended = block.ends_with(b"\n");
                if block.len() < read {
                    block.extend(self.cut("it is cut after 4 MiB: ask for fewer lines by tailLines"));
                }
                Some(block.into())
            }
            Err(error) => {
                tracing::warn!(event = "log_failed", "{error}");
                Some(self.cut("the cluster ended it too early: ask again"))
            }
        }
    }

    /// The last line of a log that was cut.
    fn cut(&mut self, why: &str) -> Bytes {
        self.is_over = true;
        format!("{}# slipway: {why}\n", if self.line_ended { "" } else { "\n" }).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_from_the_end() {
        let of = |text: &'static str, lines| last_lines(&Bytes::from_static(text.as_bytes()), lines);
        for (text, lines, expected) in [
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\nc\n", 3, "a\nb\nc\n"),
            ("a\nb\n", 9, "a\nb\n"),
            ("a\n\n", 1, "\n"),
            ("a\nb\n", 0, ""),
            ("", 3, ""),
            ("\n", 1, "\n"),
        ] {
            assert_eq!(of(text, lines), expected, "{text:?} {lines}");
        }
    }
}
