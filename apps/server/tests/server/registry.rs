//! Stands in for MLflow's registry, with models that the test creates.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use slipway_model::{Architecture, Bundle, Config, Model};
use tokio::sync::watch;

/// A registered version of a model.
#[derive(Clone)]
pub(crate) struct Version {
    /// By path.
    files: BTreeMap<String, Vec<u8>>,
    pub(crate) digest: String,
    /// The size of the weights that the registry lists, if it is not theirs.
    pub(crate) listed: Option<u64>,
    /// Whether the size of the weights is announced when they are downloaded.
    pub(crate) announced: bool,
}

const WEIGHTS: &str = "model.safetensors";

#[derive(Default)]
struct Holds {
    /// By the model's name and the version.
    versions: BTreeMap<(String, String), Version>,
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
        (bundle, self.register_folder("mnist", version, folder.path()))
    }

    /// Registers the files of a folder that count, and returns their digest.
    pub(crate) fn register_folder(&self, name: &str, version: &str, folder: &Path) -> String {
        let digest = slipway_signature::digest(folder).unwrap().to_string();
        let names = slipway_signature::content(folder).unwrap().files(folder).unwrap();
        let files = names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap()));
        let made = Version { files: files.collect(), digest: digest.clone(), listed: None, announced: true };
        self.holds.lock().unwrap().versions.insert((name.to_owned(), version.to_owned()), made);
        digest
    }

    /// Changes files, digest or sizes of a registered version of `mnist`.
    pub(crate) fn tamper(&self, version: &str, change: impl FnOnce(&mut Version)) {
        change(self.holds.lock().unwrap().versions.get_mut(&("mnist".to_owned(), version.to_owned())).unwrap());
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
        self.requests(&format!("/mnist/{version}/{WEIGHTS}"))
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
        if let Some(last) = self.files.get_mut(WEIGHTS).and_then(|weights| weights.last_mut()) {
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

fn described((name, version): &(String, String), made: &Version) -> Value {
    let tags = json!([{"key": "slipway.digest", "value": made.digest}]);
    json!({"name": name, "version": version, "status": "READY", "tags": tags})
}

/// The entries of a folder, as MLflow lists them.
fn listing(made: &Version, folder: &str) -> Value {
    let mut entries = BTreeMap::new();
    for (path, bytes) in &made.files {
        let inside = if folder.is_empty() { Some(path.as_str()) } else { path.strip_prefix(&format!("{folder}/")) };
        let Some(inside) = inside else { continue };
        let size = made.listed.filter(|_| path == WEIGHTS).unwrap_or(bytes.len() as u64);
        let entry = match inside.split_once('/') {
            Some((name, _)) => json!({"path": name, "is_dir": true}),
            None => json!({"path": inside, "is_dir": false, "file_size": size}),
        };
        entries.insert(entry["path"].to_string(), entry);
    }
    json!({"files": entries.into_values().collect::<Vec<_>>()})
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
    // MODEL/VERSION/PATH
    let find = |path: &str| {
        let mut parts = path.splitn(3, '/').map(str::to_owned);
        let made = versions.get(&(parts.next()?, parts.next()?))?;
        Some((made, parts.next().unwrap_or_default()))
    };
    if let Some(path) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/") {
        let Some((made, file)) = find(path) else { return missing() };
        let Some(bytes) = made.files.get(&file) else { return missing() };
        if file == WEIGHTS {
            return weights(made, &holds, held).await;
        }
        return bytes.clone().into_response();
    }
    if path.ends_with("/mlflow-artifacts/artifacts") {
        let Some((made, folder)) = asked("path").and_then(find) else { return missing() };
        return Json(listing(made, &folder)).into_response();
    }
    if path.ends_with("/model-versions/search") {
        let all = asked("filter").is_some_and(str::is_empty);
        let wanted = |name: &str| all || asked("filter").is_some_and(|filter| filter.contains(&format!("'{name}'")));
        let found = versions.iter().filter(|(key, _)| wanted(&key.0)).map(|(key, made)| described(key, made));
        return Json(json!({"model_versions": found.collect::<Vec<_>>()})).into_response();
    }
    let key = asked("name").zip(asked("version")).map(|(name, version)| (name.to_owned(), version.to_owned()));
    let Some((key, made)) = key.and_then(|key| versions.get_key_value(&key)) else { return missing() };
    if path.ends_with("/get-download-uri") {
        return Json(json!({"artifact_uri": format!("mlflow-artifacts:/{}/{}", key.0, key.1)})).into_response();
    }
    Json(json!({"model_version": described(key, made)})).into_response()
}

async fn weights(made: &Version, holds: &Mutex<Holds>, mut held: watch::Receiver<bool>) -> Response {
    {
        let (now, most) = &mut holds.lock().unwrap().downloads;
        *now += 1;
        *most = (*most).max(*now);
    }
    let _ = held.wait_for(|held| !held).await;
    holds.lock().unwrap().downloads.0 -= 1;
    let bytes = made.files[WEIGHTS].clone();
    if made.announced {
        return bytes.into_response();
    }
    let parts: Vec<Result<Vec<u8>, std::io::Error>> = bytes.chunks(1000).map(|part| Ok(part.to_vec())).collect();
    Body::from_stream(futures::stream::iter(parts)).into_response()
}
