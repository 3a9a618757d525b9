//! Stands in for MLflow's registry, with models that the test creates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use slipway_model::{Architecture, Bundle, Config, Model};
use tokio::sync::watch;

/// A registered version of `mnist`.
#[derive(Clone)]
pub(crate) struct Version {
    config: Vec<u8>,
    weights: Vec<u8>,
    pub(crate) digest: String,
    /// The size of the weights that the registry lists, if it is not theirs.
    pub(crate) listed: Option<u64>,
    /// Whether the size of the weights is announced when they are downloaded.
    pub(crate) announced: bool,
}

#[derive(Default)]
struct Holds {
    versions: BTreeMap<String, Version>,
    down: bool,
    /// The paths of all requests.
    requests: Vec<String>,
    /// Downloads of weights, now and at most.
    downloads: (usize, usize),
}

type Shared = (Arc<Mutex<Holds>>, watch::Receiver<bool>);

pub(crate) struct Registry {
    address: SocketAddr,
    holds: Arc<Mutex<Holds>>,
    /// Whether downloads of weights wait.
    held: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let holds = Arc::<Mutex<Holds>>::default();
        let (held, waits) = watch::channel(false);
        // Not the test's own, which a test may block.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let routes = Router::new().fallback(answer).with_state((Arc::clone(&holds), waits));
        let listener = runtime.spawn(tokio::net::TcpListener::bind("127.0.0.1:0")).await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, holds, held, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Registers a network with fresh weights that depend on `seed`, and returns it with its digest.
    pub(crate) fn register(&self, version: &str, seed: u64) -> (Bundle, String) {
        let model = Model::new(&Config::mnist(Architecture::Mlp, 0.0), seed).unwrap();
        let bundle = Bundle::new(&model).unwrap();
        let folder = tempfile::tempdir().unwrap();
        bundle.save(folder.path()).unwrap();
        let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
        let digest = slipway_signature::digest(folder.path()).unwrap().to_string();
        let (config, weights) = (read("config.json"), read("model.safetensors"));
        let made = Version { config, weights, digest: digest.clone(), listed: None, announced: true };
        self.holds.lock().unwrap().versions.insert(version.to_owned(), made);
        (bundle, digest)
    }

    /// Changes a registered version's files, digest or sizes.
    pub(crate) fn tamper(&self, version: &str, change: impl FnOnce(&mut Version)) {
        change(self.holds.lock().unwrap().versions.get_mut(version).unwrap());
    }

    /// Whether every request is answered with 500 from now on.
    pub(crate) fn fail(&self, down: bool) {
        self.holds.lock().unwrap().down = down;
    }

    /// Whether downloads of weights wait from now on.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// How many requests there were for paths with this end.
    pub(crate) fn requests(&self, end: &str) -> usize {
        self.holds.lock().unwrap().requests.iter().filter(|path| path.ends_with(end)).count()
    }

    /// How often a version's weights were downloaded.
    pub(crate) fn downloads(&self, version: &str) -> usize {
        self.requests(&format!("/m/{version}/model.safetensors"))
    }

    /// The most downloads of weights at once.
    pub(crate) fn most_downloads(&self) -> usize {
        self.holds.lock().unwrap().downloads.1
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // A test must not wait inside its own runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Version {
    pub(crate) fn flip_a_bit(&mut self) {
        if let Some(last) = self.weights.last_mut() {
            *last ^= 1;
        }
    }
}

fn failure(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"error_code": code, "message": "down"}))).into_response()
}

fn missing() -> Response {
    failure(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST")
}

fn described(version: &str, made: &Version) -> Value {
    let tags = json!([{"key": "slipway.digest", "value": made.digest}]);
    json!({"name": "mnist", "version": version, "status": "READY", "tags": tags})
}

async fn answer(
    State((holds, held)): State<Shared>,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let path = uri.path();
    let versions = {
        let mut holds = holds.lock().unwrap();
        holds.requests.push(path.to_owned());
        if holds.down {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR");
        }
        holds.versions.clone()
    };
    let asked = |key: &str| query.get(key).map(String::as_str);
    if let Some(file) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/m/") {
        let Some((made, file)) = file.split_once('/').and_then(|(v, file)| Some((versions.get(v)?, file))) else {
            return missing();
        };
        if file == "config.json" {
            return made.config.clone().into_response();
        }
        return weights(made, &holds, held).await;
    }
    if path.ends_with("/mlflow-artifacts/artifacts") {
        let Some(made) = asked("path").and_then(|path| versions.get(path.strip_prefix("m/")?)) else {
            return missing();
        };
        let size = made.listed.unwrap_or(made.weights.len() as u64);
        return Json(json!({"files": [
            {"path": "config.json", "is_dir": false, "file_size": made.config.len()},
            {"path": "model.safetensors", "is_dir": false, "file_size": size},
        ]}))
        .into_response();
    }
    if path.ends_with("/model-versions/search") {
        let of_mnist = asked("filter").is_some_and(|filter| filter.is_empty() || filter.contains("'mnist'"));
        let found = versions.iter().filter(|_| of_mnist).map(|(version, made)| described(version, made));
        return Json(json!({"model_versions": found.collect::<Vec<_>>()})).into_response();
    }
    let found = asked("version").filter(|_| asked("name") == Some("mnist"));
    let Some((version, made)) = found.and_then(|version| versions.get_key_value(version)) else { return missing() };
    if path.ends_with("/get-download-uri") {
        return Json(json!({"artifact_uri": format!("mlflow-artifacts:/m/{version}")})).into_response();
    }
    Json(json!({"model_version": described(version, made)})).into_response()
}

async fn weights(made: &Version, holds: &Mutex<Holds>, mut held: watch::Receiver<bool>) -> Response {
    {
        let (now, most) = &mut holds.lock().unwrap().downloads;
        *now += 1;
        *most = (*most).max(*now);
    }
    let _ = held.wait_for(|held| !held).await;
    holds.lock().unwrap().downloads.0 -= 1;
    let bytes = made.weights.clone();
    if made.announced {
        return bytes.into_response();
    }
    let parts: Vec<Result<Vec<u8>, std::io::Error>> = bytes.chunks(1000).map(|part| Ok(part.to_vec())).collect();
    Body::from_stream(futures::stream::iter(parts)).into_response()
}
