//! An API server in memory: discovery, get, list, create, server-side apply and merge patch, as far as they are used.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use slipway_cluster::Cluster;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// The kinds that it knows: apiVersion, kind, plural, whether they have a namespace.
const KINDS: [(&str, &str, &str, bool); 11] = [
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Secret", "secrets", true),
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Pod", "pods", true),
    ("v1", "Event", "events", true),
    ("v1", "Node", "nodes", false),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("argoproj.io/v1alpha1", "AppProject", "appprojects", true),
    ("argoproj.io/v1alpha1", "Application", "applications", true),
];

#[derive(Default)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<String, Value>,
    /// Methods and paths of what changed something, in order.
    pub(crate) writes: Vec<String>,
    /// Answers for paths that are no objects: `/version`, logs.
    pub(crate) fixed: BTreeMap<String, Value>,
    /// Statuses that controllers would set: applied to an object of this kind when it is written.
    pub(crate) controllers: BTreeMap<String, Value>,
    /// Whether reviews of access are granted.
    pub(crate) allowed: bool,
    /// How many requests are answered 503 before the next is heard.
    pub(crate) away: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Api(pub(crate) Arc<Mutex<State>>);

impl Api {
    /// A server that listens; it ends with the value.
    pub(crate) async fn start(&self) -> (MockServer, Cluster) {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(self.clone()).mount(&server).await;
        let cluster = Cluster::at(&server.uri()).unwrap();
        (server, cluster)
    }

    pub(crate) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    pub(crate) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }
}

impl Respond for Api {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().unwrap();
        if state.away > 0 {
            state.away -= 1;
            return failure(503, "ServiceUnavailable", "etcd is away");
        }
        let path = request.url.path().to_owned();
        let dry = request.url.query_pairs().any(|(key, _)| key == "dryRun");
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match request.method.as_str() {
            "GET" => state.get(&path),
            "POST" if path.ends_with("/selfsubjectaccessreviews") => {
                let allowed = state.allowed;
                ResponseTemplate::new(201).set_body_json(json!({"status": {"allowed": allowed}}))
            }
            "POST" => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if state.objects.contains_key(&path) {
                    return failure(409, "AlreadyExists", "it is there");
                }
                state.write("POST", &path, body, dry)
            }
            "PATCH" => {
                // a namespaced object needs its namespace, as does any object its definition
                let namespace =
                    path.split("/namespaces/").nth(1).and_then(|rest| rest.split_once('/')).map(|(name, _)| name);
                if namespace.is_some_and(|name| !state.objects.contains_key(&format!("/api/v1/namespaces/{name}"))) {
                    return failure(404, "NotFound", "namespaces not found");
                }
                state.write("PATCH", &path, body, dry)
            }
            other => failure(405, "MethodNotAllowed", other),
        }
    }
}

impl State {
    fn get(&self, path: &str) -> ResponseTemplate {
        if let Some(Value::String(text)) = self.fixed.get(path) {
            return ResponseTemplate::new(200).set_body_string(text);
        }
        if let Some(found) = self.fixed.get(path).or_else(|| self.objects.get(path)) {
            return ResponseTemplate::new(200).set_body_json(found);
        }
        let base = |api_version: &str| {
            if api_version.contains('/') { format!("/apis/{api_version}") } else { format!("/api/{api_version}") }
        };
        let of_base: Vec<Value> = KINDS
            .iter()
            .filter(|(api_version, ..)| base(api_version) == path)
            .map(|(_, kind, plural, namespaced)| json!({"name": plural, "kind": kind, "namespaced": namespaced}))
            .collect();
        if !of_base.is_empty() {
            return ResponseTemplate::new(200).set_body_json(json!({"kind": "APIResourceList", "resources": of_base}));
        }
        let plural = path.rsplit('/').next().unwrap_or_default();
        let Some((api_version, _, plural, _)) = KINDS.iter().find(|(_, _, known, _)| *known == plural) else {
            return failure(404, "NotFound", path);
        };
        let within = path.strip_suffix(plural).unwrap_or_default();
        let is_item = |key: &str| {
            key.starts_with(&base(api_version))
                && key.starts_with(within)
                && key.split('/').rev().nth(1) == Some(plural)
        };
        let items: Vec<&Value> =
            self.objects.iter().filter(|(key, _)| is_item(key)).map(|(_, object)| object).collect();
        ResponseTemplate::new(200).set_body_json(json!({"items": items}))
    }

    fn write(&mut self, method: &str, path: &str, body: Value, dry: bool) -> ResponseTemplate {
        let mut object = self.objects.get(path).cloned().unwrap_or_else(|| json!({}));
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
        if !dry {
            self.writes.push(format!("{method} {path}"));
            self.objects.insert(path.to_owned(), object.clone());
        }
        ResponseTemplate::new(200).set_body_json(object)
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert_with(|| Value::Object(Map::new())), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn failure(code: u16, reason: &str, message: &str) -> ResponseTemplate {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message});
    ResponseTemplate::new(code).set_body_json(status)
}
