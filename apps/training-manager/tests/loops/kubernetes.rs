//! An API server in memory: lists by pages, watches, logs, a Lease, and what Argo CD says. It can be away, lose watches, and forget what
//! happened.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State as Shared};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures::stream;
use serde_json::{Value, json};
use slipway_cluster::Cluster;
use tokio::sync::watch;

pub(crate) const NAMESPACE: &str = "training";
/// The namespace of the Lease.
pub(crate) const LEASES: &str = "training-manager";
/// The Application of the TrainJobs.
const APPLICATION: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/training-jobs";

/// The plurals of the kinds that are served, with what their paths begin with.
const KINDS: [(&str, &str); 4] = [
    ("trainjobs", "/apis/trainer.kubeflow.org/v1alpha1"),
    ("jobsets", "/apis/jobset.x-k8s.io/v1alpha2"),
    ("pods", "/api/v1"),
    ("events", "/api/v1"),
];

#[derive(Default)]
struct State {
    /// By plural and name.
    objects: BTreeMap<(&'static str, String), Value>,
    /// Plural, type of change and object; the place in the list, from 1, is the version.
    changes: Vec<(&'static str, &'static str, Value)>,
    /// Changes up to this version are forgotten.
    forgotten: usize,
    logs: BTreeMap<String, String>,
    lease: Option<Value>,
    /// How often it was written.
    leases: usize,
    /// What Argo CD says of the TrainJobs, or why that may not be asked.
    application: Option<Result<Value, u16>>,
    is_away: bool,
    /// How many requests came while it was.
    refused: usize,
    /// The generation of watches: an older one has ended.
    generation: usize,
    lists: Vec<String>,
    watches: usize,
}

/// The server's objects, and the server as long as this lives.
#[derive(Clone)]
pub(crate) struct Kubernetes {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    address: String,
    _task: Arc<Task>,
}

struct Task(tokio::task::JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kubernetes {
    pub(crate) async fn start() -> Self {
        let (state, changed) = (Arc::new(Mutex::new(State::default())), watch::Sender::new(()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(respond).with_state((Arc::clone(&state), changed.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { state, changed, address, _task: Arc::new(Task(task)) }
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::at(&self.address).unwrap()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let done = change(&mut self.state.lock().unwrap());
        self.changed.send_replace(());
        done
    }

    /// Writes an object as it is now.
    pub(crate) fn put(&self, plural: &'static str, mut object: Value) {
        self.change(|state| {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            object["metadata"]["namespace"] = json!(NAMESPACE);
            object["metadata"]["resourceVersion"] = json!((state.changes.len() + 1).to_string());
            let kind = if state.objects.contains_key(&(plural, name.clone())) { "MODIFIED" } else { "ADDED" };
            state.changes.push((plural, kind, object.clone()));
            state.objects.insert((plural, name), object);
        });
    }

    /// Changes an object.
    pub(crate) fn update(&self, plural: &'static str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.state.lock().unwrap().objects[&(plural, name.to_owned())].clone();
        change(&mut object);
        self.put(plural, object);
    }

    pub(crate) fn delete(&self, plural: &'static str, name: &str) {
        self.change(|state| {
            let Some(mut object) = state.objects.remove(&(plural, name.to_owned())) else { return };
            object["metadata"]["resourceVersion"] = json!((state.changes.len() + 1).to_string());
            state.changes.push((plural, "DELETED", object));
        });
    }

    pub(crate) fn set_log(&self, pod: &str, text: &str) {
        self.state.lock().unwrap().logs.insert(pod.to_owned(), text.to_owned());
    }

    /// Argo CD is there: what came of its last sync, or the status by which the question is refused.
    pub(crate) fn set_sync(&self, resources: Result<Value, u16>) {
        let application = resources.map(|resources| {
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "training-jobs"},
                "status": {"operationState": {"syncResult": {"resources": resources}}},
            })
        });
        self.state.lock().unwrap().application = Some(application);
    }

    /// It does not answer, or does again; watches end.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.change(|state| {
            state.is_away = is_away;
            state.generation += 1;
        });
    }

    /// Every watch ends.
    pub(crate) fn cut(&self) {
        self.change(|state| state.generation += 1);
    }

    /// Every watch ends, and what happened so far is forgotten: who watches must list again.
    pub(crate) fn forget(&self) {
        self.change(|state| {
            state.forgotten = state.changes.len();
            state.generation += 1;
        });
    }

    /// Who holds the Lease; empty if it was given back.
    pub(crate) fn holder(&self) -> Option<String> {
        Some(self.state.lock().unwrap().lease.as_ref()?["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    /// The time of whoever holds the Lease has passed.
    pub(crate) fn release(&self) {
        if let Some(lease) = &mut self.state.lock().unwrap().lease {
            lease["spec"]["holderIdentity"] = json!("");
        }
    }

    /// The lists that were asked for, their first pages.
    pub(crate) fn lists(&self) -> Vec<String> {
        self.state.lock().unwrap().lists.clone()
    }

    /// How many requests came while it was away.
    pub(crate) fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// How many watches were begun.
    pub(crate) fn watches(&self) -> usize {
        self.state.lock().unwrap().watches
    }
}

type Served = (Arc<Mutex<State>>, watch::Sender<()>);

async fn respond(
    Shared((state, changed)): Shared<Served>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let mut locked = state.lock().unwrap();
    if locked.is_away {
        locked.refused += 1;
        return failure(503, "ServiceUnavailable");
    }
    if path == "/version" {
        return Json(json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})).into_response();
    }
    if let Some(pod) = path.strip_suffix("/log").and_then(|path| path.rsplit('/').next()) {
        return match locked.logs.get(pod) {
            Some(log) => log.clone().into_response(),
            None => failure(404, "NotFound"),
        };
    }
    if path.starts_with(&format!("/apis/coordination.k8s.io/v1/namespaces/{LEASES}/leases")) {
        return lease(&mut locked, &method, &body);
    }
    match &locked.application {
        Some(Ok(application)) if path == APPLICATION => return Json(application.clone()).into_response(),
        Some(Err(code)) if path == APPLICATION => return failure(*code, "Refused"),
        _ => {}
    }
    let of = KINDS.iter().find(|(plural, group)| path == format!("{group}/namespaces/{NAMESPACE}/{plural}"));
    let Some((plural, _)) = of else { return failure(404, "NotFound") };
    let is_selected = |object: &Value| {
        let field =
            query.get("fieldSelector").is_none_or(|field| field == "type=Warning" && object["type"] == "Warning");
        field && query.get("labelSelector").is_none_or(|label| object["metadata"]["labels"].get(label).is_some())
    };
    if query.contains_key("watch") {
        locked.watches += 1;
        let since = query["resourceVersion"].parse().unwrap();
        if since < locked.forgotten {
            let status =
                json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old", "status": "Failure"});
            return format!("{}\n", json!({"type": "ERROR", "object": status})).into_response();
        }
        let generation = locked.generation;
        drop(locked);
        return follow(state, changed, plural, since, generation, query);
    }
    let from: usize = query.get("continue").map_or(0, |from| from.parse().unwrap());
    let limit: usize = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
    if from == 0 {
        locked.lists.push((*plural).to_owned());
    }
    let all: Vec<&Value> =
        locked.objects.iter().filter(|((of, _), _)| of == plural).map(|(_, object)| object).collect();
    let all: Vec<&Value> = all.into_iter().filter(|object| is_selected(object)).collect();
    let page: Vec<&Value> = all.iter().skip(from).take(limit).copied().collect();
    let mut metadata = json!({"resourceVersion": locked.changes.len().to_string()});
    if from + page.len() < all.len() {
        metadata["continue"] = json!((from + page.len()).to_string());
    }
    Json(json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": page})).into_response()
}

/// The only Lease, by compare-and-swap.
fn lease(state: &mut State, method: &Method, body: &Bytes) -> Response {
    let held = state.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
    let mut new: Value = serde_json::from_slice(body).unwrap_or_default();
    match (method.as_str(), held) {
        ("GET", Some(_)) => return Json(state.lease.clone()).into_response(),
        ("GET" | "PUT", None) => return failure(404, "NotFound"),
        ("POST", Some(_)) => return failure(409, "AlreadyExists"),
        ("PUT", Some(held)) if new["metadata"]["resourceVersion"] != held => return failure(409, "Conflict"),
        ("POST" | "PUT", _) => {}
        _ => return failure(405, "MethodNotAllowed"),
    }
    state.leases += 1;
    new["metadata"]["resourceVersion"] = json!(state.leases.to_string());
    state.lease = Some(new.clone());
    Json(new).into_response()
}

/// A watch: the changes since a version, and every one that comes.
fn follow(
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    plural: &'static str,
    since: usize,
    generation: usize,
    query: HashMap<String, String>,
) -> Response {
    let lines = stream::unfold((since, changed.subscribe()), move |(mut since, mut changed)| {
        let (state, query) = (Arc::clone(&state), query.clone());
        async move {
            loop {
                {
                    let state = state.lock().unwrap();
                    if state.generation != generation {
                        return None;
                    }
                    while let Some((of, kind, object)) = state.changes.get(since) {
                        since += 1;
                        let labels = &object["metadata"]["labels"];
                        let is_selected = query.get("labelSelector").is_none_or(|label| labels.get(label).is_some())
                            && (!query.contains_key("fieldSelector") || object["type"] == "Warning");
                        if *of == plural && is_selected {
                            let line = format!("{}\n", json!({"type": kind, "object": object}));
                            return Some((Ok::<_, Infallible>(line), (since, changed)));
                        }
                    }
                }
                changed.changed().await.ok()?;
            }
        }
    });
    Body::from_stream(lines).into_response()
}

fn failure(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
