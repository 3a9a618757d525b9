//! The log of a worker, as that of its pod's container.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::IntoResponse;
use futures::stream;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

use super::job::{JOB_SET, NODE, RANK};
use super::object::{Key, Object};
use super::query::{flag, number};
use super::refusal::{Answer, Refusal};
use super::store::Store;
use crate::workers::{PREVIOUS, log_of};

/// The most that is read at once, in bytes.
const BLOCK: usize = 64 << 10;
/// How often a log that is followed is looked at. No system tells of a file that grows in the way that others do.
const INTERVAL: Duration = Duration::from_millis(100);

/// The parameters of a request for a log.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Query {
    container: Option<String>,
    follow: Option<String>,
    previous: Option<String>,
    tail_lines: Option<String>,
    limit_bytes: Option<String>,
    since_seconds: Option<String>,
    since_time: Option<String>,
    timestamps: Option<String>,
}

/// A log that is being sent.
struct Sending {
    file: tokio::fs::File,
    /// The bytes that may still be sent.
    rest: u64,
    /// Until when it is followed; `None` to end at the end of the file.
    follow: Option<Follow>,
    /// Whether nothing more will be written.
    is_complete: bool,
}

/// The worker whose log is followed.
struct Follow {
    store: Arc<Store>,
    versions: watch::Receiver<u64>,
    pod: Key,
    restarts: u64,
}

/// Answers with the log of a pod in the folder of all jobs.
pub(super) async fn answer(store: Arc<Store>, jobs: &Path, pod: Key, query: &Query) -> Answer {
    let versions = store.versions();
    let object = store.get(&pod).ok_or_else(|| Refusal::no_object(pod.resource, &pod.name))?;
    if let Some(other) = query.container.as_deref().filter(|name| !name.is_empty() && *name != NODE) {
        return Err(Refusal::bad_request(format!("container {other} is not valid for pod {}", pod.name)));
    }
    for (name, value) in [("sinceSeconds", &query.since_seconds), ("sinceTime", &query.since_time)] {
        if value.is_some() {
            return Err(Refusal::bad_request(format!("{name} is not served here: logs are kept without times")));
        }
    }
    if flag("timestamps", query.timestamps.as_deref())? {
        return Err(Refusal::bad_request("timestamps are not served here: logs are kept without times"));
    }
    let lines = number::<u64>("tailLines", query.tail_lines.as_deref())?;
    let limit = number::<u64>("limitBytes", query.limit_bytes.as_deref())?;
    if limit == Some(0) {
        return Err(Refusal::invalid("limitBytes must be greater than 0"));
    }
    let previous = flag("previous", query.previous.as_deref())?;
    let value = object.value();
    let path = path(jobs, &pod, &object, &value, previous)?;
    let opened = tokio::task::spawn_blocking(move || open(&path, lines)).await;
    let file = match opened.map_err(io::Error::other).flatten() {
        Ok(file) => tokio::fs::File::from_std(file),
        Err(error) => return Err(Refusal::internal(format!("the log of {} cannot be read: {error}", pod.name))),
    };
    let follow = flag("follow", query.follow.as_deref())? && !previous;
    let follow = follow.then(|| Follow { store, versions, pod, restarts: restarts(&value) });
    let sending = Sending { file, rest: limit.unwrap_or(u64::MAX), follow, is_complete: false };
    let blocks = stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        match sending.next().await {
            Ok(Some(block)) => Some((Ok(block), Some(sending))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(blocks)).into_response())
}

/// Where the log is.
fn path(jobs: &Path, pod: &Key, object: &Object, value: &Value, previous: bool) -> Answer<PathBuf> {
    let labels = object.metadata().labels;
    let (job, rank) = (labels.get(JOB_SET), labels.get(RANK).and_then(|rank| rank.parse().ok()));
    // every pod here has both
    let (Some(job), Some(rank)) = (job, rank) else { return Err(Refusal::no_path()) };
    let log = log_of(&jobs.join(job), rank);
    let waiting = &value["status"]["containerStatuses"][0]["state"]["waiting"]["reason"];
    if previous {
        return if restarts(value) > 0 {
            Ok(log.with_extension(PREVIOUS))
        } else {
            let message = format!("previous terminated container {NODE:?} in pod {:?} not found", pod.name);
            Err(Refusal::bad_request(message))
        };
    }
    match waiting.as_str() {
        None => Ok(log),
        Some(reason) => {
            let message = format!("container {NODE:?} in pod {:?} is waiting to start: {reason}", pod.name);
            Err(Refusal::bad_request(message))
        }
    }
}

fn restarts(pod: &Value) -> u64 {
    pod["status"]["containerStatuses"][0]["restartCount"].as_u64().unwrap_or_default()
}

/// Opens a log at its beginning, or at its last lines.
fn open(path: &Path, lines: Option<u64>) -> io::Result<File> {
    let mut file = File::open(path)?;
    if let Some(lines) = lines {
        let at = last_lines(&mut file, lines)?;
        file.seek(SeekFrom::Start(at))?;
    }
    Ok(file)
}

/// Where the last lines of a file begin. A line that has no end yet counts.
fn last_lines(file: &mut File, lines: u64) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(length);
    }
    let (mut end, mut ends) = (length, 0);
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..usize::try_from(end - begin).unwrap_or(BLOCK)];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        for (at, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = begin + at as u64 + 1;
            // what ends the last line ends none before it
            ends += u64::from(after < length);
            if ends == lines {
                return Ok(after);
            }
        }
        end = begin;
    }
    Ok(0)
}

impl Sending {
    /// The next part of the log, once there is one; `None` at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut block = Vec::new();
        while self.rest > 0 {
            // before the reading, so that nothing is written in between
            self.is_complete = self.is_complete || self.follow.as_mut().is_none_or(Follow::has_ended);
            block.resize(usize::try_from(self.rest).unwrap_or(BLOCK).min(BLOCK), 0);
            let read = self.file.read(&mut block).await?;
            if read > 0 {
                block.truncate(read);
                self.rest -= read as u64;
                return Ok(Some(block.into()));
            }
            match &mut self.follow {
                Some(follow) if !self.is_complete => follow.wait().await,
                _ => break,
            }
        }
        Ok(None)
    }
}

impl Follow {
    /// Whether the worker has ended, or was started again.
    fn has_ended(&mut self) -> bool {
        self.versions.borrow_and_update();
        let Some(pod) = self.store.get(&self.pod).map(|pod| pod.value()) else { return true };
        matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")) || restarts(&pod) != self.restarts
    }

    /// Returns when there may be more to read.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.versions.changed() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_last_lines_are_found_in_logs_of_any_length() {
        let text = |content: &str, lines| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            content[usize::try_from(last_lines(&mut file, lines).unwrap()).unwrap()..].to_owned()
        };
        assert_eq!(text("", 3), "");
        assert_eq!(text("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(text("a\nb\nc", 2), "b\nc");
        assert_eq!(text("a\nb\n", 5), "a\nb\n");
        assert_eq!(text("a\n\n\n", 2), "\n\n");
        assert_eq!(text("a\nb\n", 0), "");
        let line = "x".repeat(BLOCK - 1);
        let long = format!("{line}\n{line}\nlast\n");
        assert_eq!(text(&long, 2), format!("{line}\nlast\n"));
        assert_eq!(text(&long, 3), long);
    }
}
