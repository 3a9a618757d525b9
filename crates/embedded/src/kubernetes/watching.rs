//! A watch: what has changed since a version, as it changes, one JSON object a line.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use super::form::Form;
use super::object::Object;
use super::query::Watch;
use super::refusal::Refusal;
use super::resource::Resource;
use super::store::{Change, Store};

/// How long a watch is silent at most, if the client takes bookmarks. Clients take a longer silence for a lost connection.
const SILENCE: Duration = Duration::from_secs(20);

/// A watch that goes on.
struct Watching {
    store: Arc<Store>,
    versions: watch::Receiver<u64>,
    resource: Resource,
    form: Form,
    watch: Watch,
    /// Everything up to this version was sent.
    sent: Option<u64>,
    until: Instant,
    is_over: bool,
}

/// Answers with the changes, until the time is up or they are forgotten before they could be sent.
pub(super) fn answer(store: Arc<Store>, resource: Resource, watch: Watch, form: Form) -> Response {
    let until = Instant::now() + watch.timeout;
    let (versions, sent) = (store.versions(), watch.since);
    let watching = Watching { store, versions, resource, form, watch, sent, until, is_over: false };
    let lines = stream::unfold(watching, |mut watching| async move {
        let lines = watching.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(lines)), watching))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(lines)).into_response()
}

impl Watching {
    /// The next lines, once there are some; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        while !self.is_over {
            // before the look at the changes, so that none comes unseen in between
            self.versions.borrow_and_update();
            let lines = match self.sent {
                None => self.begin(),
                Some(since) => self.changes(since),
            };
            if !lines.is_empty() {
                return Some(lines);
            }
            let silence = if self.watch.bookmarks { Instant::now() + SILENCE } else { self.until };
            tokio::select! {
                // the store lives as long as this does
                _ = self.versions.changed() => {}
                () = tokio::time::sleep_until(silence.min(self.until)) => {
                    self.is_over = Instant::now() >= self.until;
                    if self.watch.bookmarks {
                        return Some(self.bookmark(false));
                    }
                }
            }
        }
        None
    }

    /// What is there at the beginning, as if it had just been made.
    fn begin(&mut self) -> String {
        let namespace = self.watch.selection.namespace.as_deref();
        // the newest version is always known
        let Ok((version, objects)) = self.store.list(self.resource, namespace, None) else { return String::new() };
        let mut lines = String::new();
        for (key, object) in &objects {
            if self.watch.selection.takes(key, object) {
                self.event("ADDED", object, object.version(), &mut lines);
            }
        }
        self.sent = Some(version);
        if self.watch.marks_initial {
            lines.push_str(&self.bookmark(true));
        }
        lines
    }

    /// What has changed since a version.
    fn changes(&mut self, since: u64) -> String {
        let mut lines = String::new();
        match self.store.changes(since) {
            Ok((version, changes)) => {
                self.sent = Some(version);
                for change in changes.iter().filter(|change| change.key.resource == self.resource) {
                    self.write(change, &mut lines);
                }
            }
            Err(forgotten) => {
                self.is_over = true;
                let status = Refusal::expired(since, forgotten.0).status();
                lines = format!("{}\n", json!({ "type": "ERROR", "object": status }));
            }
        }
        lines
    }

    /// Writes what a change means to this client.
    fn write(&self, change: &Change, lines: &mut String) {
        let asked = |object: &&Arc<_>| self.watch.selection.takes(&change.key, object);
        match (change.before.as_ref().filter(asked), change.after.as_ref().filter(asked)) {
            (None, None) => {}
            (None, Some(after)) => self.event("ADDED", after, change.version, lines),
            (Some(_), Some(after)) => self.event("MODIFIED", after, change.version, lines),
            (Some(before), None) => self.event("DELETED", before, change.version, lines),
        }
    }

    fn event(&self, kind: &str, object: &Object, version: u64, lines: &mut String) {
        lines.push_str("{\"type\":\"");
        lines.push_str(kind);
        lines.push_str("\",\"object\":");
        self.form.write(self.resource, object, version, lines);
        lines.push_str("}\n");
    }

    /// Says which version was reached.
    fn bookmark(&self, is_initial: bool) -> String {
        let (api_version, kind) = self.form.types(self.resource);
        let mut metadata =
            json!({ "resourceVersion": self.sent.unwrap_or_default().to_string(), "creationTimestamp": null });
        if is_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let mut object = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        // what a typed client cannot do without
        match self.resource {
            Resource::Pods => object["spec"] = json!({ "containers": null }),
            Resource::Events => object["involvedObject"] = json!({}),
            Resource::TrainJobs | Resource::JobSets | Resource::Leases => {}
        }
        format!("{}\n", json!({ "type": "BOOKMARK", "object": object }))
    }
}
