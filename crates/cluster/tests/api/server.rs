//! An API server in memory: discovery, get, list by pages, create, server-side apply, merge patch and watch, as far as they are used.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State as Shared};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use futures::stream;
use serde_json::{Map, Value, json};
use slipway_cluster::Cluster;
use tokio::sync::watch;

/// The kinds that it serves: apiVersion, kind, plural, whether they have a namespace.
const KINDS: [(&str, &str, &str, bool); 12] = [
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Secret", "secrets", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Pod", "pods", true),
    ("v1", "Event", "events", true),
    ("v1", "Node", "nodes", false),
    ("v1", "Service", "services", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("argoproj.io/v1alpha1", "AppProject", "appprojects", true),
    ("argoproj.io/v1alpha1", "Application", "applications", true),
];

/// Path, type and object of a change. Its place in the list, from 1, is the resource version.
type Change = (String, &'static str, Value);

#[derive(Default)]
pub(crate) struct State {
    objects: BTreeMap<String, Value>,
    changes: Vec<Change>,
    /// Methods and paths of what changed something, in order.
    pub(crate) writes: Vec<String>,
    /// Paths and queries of lists and watches, in order.
    pub(crate) lists: Vec<String>,
    /// Answers for paths that are not objects: `/version`, logs.
    pub(crate) fixed: BTreeMap<String, Value>,
    /// Statuses that controllers would set: given to an object of this kind when it is written.
    pub(crate) controllers: BTreeMap<String, Value>,
    /// Whether reviews of access are granted.
    pub(crate) allowed: bool,
    /// How many requests are answered 503 from now on.
    pub(crate) away: usize,
    /// Whether every request is answered 401.
    pub(crate) locked: bool,
    /// How many lists are told that their next page is gone.
    pub(crate) gone: usize,
    /// How often discovery leaves out the kinds of a group that is not built in.
    pub(crate) undiscovered: usize,
    /// Whether a watch ends after each change.
    pub(crate) short_watches: bool,
    /// What someone else writes just before the next write to a path.
    pub(crate) rivals: BTreeMap<String, Value>,
}

#[derive(Clone)]
pub(crate) struct Api(pub(crate) Arc<Mutex<State>>, watch::Sender<()>);

impl Default for Api {
    fn default() -> Self {
        Self(Arc::default(), watch::Sender::new(()))
    }
}

/// A server that listens; it ends with the value.
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    pub(crate) async fn serve(&self) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(respond).with_state(self.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Server { address, task }
    }

    pub(crate) async fn start(&self) -> (Server, Cluster) {
        let server = self.serve().await;
        let cluster = Cluster::at(&format!("http://{}", server.address)).unwrap();
        (server, cluster)
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().store(path, object);
        self.1.send_replace(());
    }

    /// Gives an object another status, as its controller would.
    pub(crate) fn set_status(&self, path: &str, status: Value) {
        let mut object = self.object(path).unwrap();
        object["status"] = status;
        self.put(path, object);
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    pub(crate) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }
}

async fn respond(
    Shared(api): Shared<Api>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let answer = {
        let mut state = api.0.lock().unwrap();
        if state.locked {
            return failure(401, "Unauthorized", "the token has expired");
        }
        if state.away > 0 {
            state.away -= 1;
            return failure(503, "ServiceUnavailable", "etcd is away");
        }
        let dry = query.contains_key("dryRun");
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        match method.as_str() {
            "GET" if query.contains_key("watch") => {
                state.lists.push(uri.to_string());
                None
            }
            "GET" => Some(state.get(&path, &uri, &query)),
            "POST" if path.ends_with("/selfsubjectaccessreviews") => {
                let status = json!({"spec": {}, "status": {"allowed": state.allowed}});
                Some((StatusCode::CREATED, Json(status)).into_response())
            }
            "POST" => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                Some(state.create(&path, body, dry))
            }
            "PATCH" => Some(state.patch(&path, body, dry)),
            other => Some(failure(405, "MethodNotAllowed", other)),
        }
    };
    api.1.send_replace(());
    answer.unwrap_or_else(|| follow(api, path, &query))
}

/// A watch: the changes since a version, and every one that comes.
fn follow(api: Api, path: String, query: &HashMap<String, String>) -> Response {
    let since: usize = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
    let (changed, query) = (api.1.subscribe(), query.clone());
    let lines = stream::unfold(Some((since, changed)), move |place| {
        let (api, path, query) = (api.clone(), path.clone(), query.clone());
        async move {
            let (mut since, mut changed) = place?;
            loop {
                {
                    let state = api.0.lock().unwrap();
                    while let Some((of, kind, object)) = state.changes.get(since) {
                        since += 1;
                        if is_item(&path, of) && is_selected(object, &query) {
                            let line = format!("{}\n", json!({"type": kind, "object": object}));
                            let next = (!state.short_watches).then_some((since, changed));
                            return Some((Ok::<_, Infallible>(line), next));
                        }
                    }
                }
                changed.changed().await.ok()?;
            }
        }
    });
    Body::from_stream(lines).into_response()
}

impl State {
    /// Stores an object as the real one does: with its kind and a version.
    fn store(&mut self, path: &str, mut object: Value) {
        let version = self.changes.len() + 1;
        if let Some((api_version, kind, ..)) = kind_at(path.rsplit_once('/').map_or("", |(list, _)| list)) {
            object["apiVersion"] = json!(api_version);
            object["kind"] = json!(kind);
        }
        object["metadata"]["name"] = json!(path.rsplit('/').next());
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let kind = if self.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
        self.changes.push((path.to_owned(), kind, object.clone()));
        self.objects.insert(path.to_owned(), object);
    }

    fn get(&mut self, path: &str, uri: &Uri, query: &HashMap<String, String>) -> Response {
        if let Some(Value::String(text)) = self.fixed.get(path) {
            return text.clone().into_response();
        }
        if let Some(found) = self.fixed.get(path).or_else(|| self.objects.get(path)) {
            return Json(found).into_response();
        }
        if let Some(discovered) = self.discover(path) {
            return discovered;
        }
        if kind_at(path).is_none() {
            return failure(404, "NotFound", path);
        }
        self.lists.push(uri.to_string());
        let all = self.objects.iter().filter(|(key, object)| is_item(path, key) && is_selected(object, query));
        let all: Vec<Value> = all.map(|(_, object)| object.clone()).collect();
        let start: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        if start > 0 && self.gone > 0 {
            self.gone -= 1;
            return failure(410, "Expired", "the continue token is too old");
        }
        let limit = query.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let end = start.saturating_add(limit).min(all.len());
        let token = if end < all.len() { end.to_string() } else { String::new() };
        let version = self.changes.len().to_string();
        // as the real one: the items of a list that is built in have no kind of their own
        let items: Vec<Value> = all[start..end].iter().map(|item| without_kind(path, item)).collect();
        let metadata = json!({"resourceVersion": version, "continue": token});
        Json(json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})).into_response()
    }

    fn discover(&mut self, path: &str) -> Option<Response> {
        let of_group = KINDS.iter().filter(|(api_version, ..)| base(api_version) == path);
        let mut resources: Vec<Value> = of_group
            .map(|(_, kind, plural, namespaced)| {
                json!({"name": plural, "singularName": "", "kind": kind, "namespaced": namespaced, "verbs": ["get"]})
            })
            .collect();
        if resources.is_empty() {
            return None;
        }
        if path.contains("argoproj") && self.undiscovered > 0 {
            self.undiscovered -= 1;
            resources.clear();
        }
        let version = path.trim_start_matches("/apis/").trim_start_matches("/api/");
        let list = json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources});
        Some(Json(list).into_response())
    }

    fn create(&mut self, path: &str, body: Value, dry: bool) -> Response {
        self.let_a_rival_write(path);
        if self.objects.contains_key(path) {
            return failure(409, "AlreadyExists", "it exists already");
        }
        self.write("POST", path, body, dry)
    }

    fn patch(&mut self, path: &str, body: Value, dry: bool) -> Response {
        self.let_a_rival_write(path);
        // an object needs its namespace
        let namespace = path.split("/namespaces/").nth(1).and_then(|rest| rest.split_once('/')).map(|(name, _)| name);
        if namespace.is_some_and(|name| !self.objects.contains_key(&format!("/api/v1/namespaces/{name}"))) {
            return failure(404, "NotFound", "namespaces not found");
        }
        let required = &body["metadata"]["resourceVersion"];
        let held = self.objects.get(path).map(|object| &object["metadata"]["resourceVersion"]);
        if !required.is_null() && held != Some(required) {
            return failure(409, "Conflict", "the object has been modified");
        }
        self.write("PATCH", path, body, dry)
    }

    fn let_a_rival_write(&mut self, path: &str) {
        if let Some(object) = self.rivals.remove(path) {
            self.store(path, object);
        }
    }

    fn write(&mut self, method: &str, path: &str, body: Value, dry: bool) -> Response {
        let before = self.objects.get(path).cloned();
        let mut object = before.clone().unwrap_or_else(|| json!({}));
        merge(&mut object, &body);
        // as the real one stores it
        if let Some(Value::Object(texts)) = object.as_object_mut().and_then(|object| object.remove("stringData")) {
            for (key, text) in texts {
                let bytes = k8s_openapi::ByteString(text.as_str().unwrap().as_bytes().to_vec());
                object["data"][key] = serde_json::to_value(bytes).unwrap();
            }
        }
        if let Some(status) = self.controllers.get(object["kind"].as_str().unwrap_or_default()) {
            object["status"] = status.clone();
        }
        if dry {
            return Json(object).into_response();
        }
        self.writes.push(format!("{method} {path}"));
        // what changes nothing makes no new version
        if before.as_ref() != Some(&object) {
            self.store(path, object);
        }
        Json(&self.objects[path]).into_response()
    }
}

fn base(api_version: &str) -> String {
    if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
}

/// The kind of the objects in a list.
fn kind_at(list: &str) -> Option<&'static (&'static str, &'static str, &'static str, bool)> {
    let plural = list.rsplit('/').next().unwrap_or_default();
    KINDS.iter().find(|(api_version, _, one, _)| *one == plural && list.starts_with(&base(api_version)))
}

/// Whether an object is in the list at a path, of one namespace or of all.
fn is_item(list: &str, object: &str) -> bool {
    let Some((api_version, _, plural, _)) = kind_at(list) else { return false };
    let within = list.strip_suffix(plural).unwrap_or_default();
    object.starts_with(&base(api_version))
        && object.starts_with(within)
        && object.split('/').rev().nth(1) == Some(*plural)
}

fn is_selected(object: &Value, query: &HashMap<String, String>) -> bool {
    let selector = |name: &str| {
        let pairs = query.get(name).map(String::as_str).unwrap_or_default();
        pairs.split(',').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.to_owned(), json!(value)))
    };
    let has_field =
        |(field, value): (String, Value)| object.pointer(&format!("/{}", field.replace('.', "/"))) == Some(&value);
    let has_label = |(label, value): (String, Value)| object["metadata"]["labels"].get(label) == Some(&value);
    selector("fieldSelector").all(has_field) && selector("labelSelector").all(has_label)
}

fn without_kind(list: &str, item: &Value) -> Value {
    let mut item = item.clone();
    if !list.contains("argoproj")
        && let Some(item) = item.as_object_mut()
    {
        item.remove("kind");
        item.remove("apiVersion");
    }
    item
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                    continue;
                }
                merge(into.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
