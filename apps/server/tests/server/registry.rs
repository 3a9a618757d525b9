//! Stands in for MLflow's registry, with models that the test creates.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::json;
use slipway_model::{Architecture, Bundle, Config, Model, bundle_digest};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// A registered version of `mnist`.
#[derive(Clone)]
pub(crate) struct Version {
    config: Vec<u8>,
    weights: Vec<u8>,
    pub(crate) digest: String,
}

/// What the registry holds, by version.
type Versions = Arc<Mutex<BTreeMap<String, Version>>>;

pub(crate) struct Registry {
    server: MockServer,
    versions: Versions,
    down: Arc<Mutex<bool>>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let (versions, down) = (Versions::default(), Arc::default());
        let server = MockServer::start().await;
        let answers = Answers { versions: Arc::clone(&versions), down: Arc::clone(&down) };
        Mock::given(any()).respond_with(answers).mount(&server).await;
        Self { server, versions, down }
    }

    pub(crate) fn address(&self) -> String {
        self.server.uri()
    }

    /// Registers a network with fresh weights that depend on `seed`, and returns it with its digest.
    pub(crate) fn register(&self, version: &str, seed: u64) -> (Bundle, String) {
        let model = Model::new(&Config::mnist(Architecture::Mlp, 0.0), seed).unwrap();
        let bundle = Bundle::new(&model).unwrap();
        let folder = tempfile::tempdir().unwrap();
        bundle.save(folder.path()).unwrap();
        let read = |file: &str| std::fs::read(folder.path().join(file)).unwrap();
        let digest = bundle_digest(folder.path()).unwrap();
        let made =
            Version { config: read("config.json"), weights: read("model.safetensors"), digest: digest.to_string() };
        self.versions.lock().unwrap().insert(version.to_owned(), made);
        (bundle, digest.to_string())
    }

    /// Changes a registered version's files or digest.
    pub(crate) fn tamper(&self, version: &str, change: impl FnOnce(&mut Version)) {
        change(self.versions.lock().unwrap().get_mut(version).unwrap());
    }

    /// Whether every request is answered with 500 from now on.
    pub(crate) fn fail(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }

    /// How often a version's weights were downloaded.
    pub(crate) async fn downloads(&self, version: &str) -> usize {
        let suffix = format!("/m/{version}/model.safetensors");
        let requests = self.server.received_requests().await.unwrap();
        requests.iter().filter(|request| request.url.path().ends_with(&suffix)).count()
    }
}

impl Version {
    pub(crate) fn flip_a_bit(&mut self) {
        if let Some(last) = self.weights.last_mut() {
            *last ^= 1;
        }
    }
}

struct Answers {
    versions: Versions,
    down: Arc<Mutex<bool>>,
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        if *self.down.lock().unwrap() {
            return ResponseTemplate::new(500)
                .set_body_json(json!({"error_code": "INTERNAL_ERROR", "message": "down"}));
        }
        let versions = self.versions.lock().unwrap();
        let asked = |key: &str| request.url.query_pairs().find(|(k, _)| k == key).map(|(_, value)| value.into_owned());
        let missing = || {
            ResponseTemplate::new(404)
                .set_body_json(json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such version"}))
        };
        let described = |name: &str, version: &str, made: &Version| {
            let tags = json!([{"key": "slipway.digest", "value": made.digest}]);
            json!({"name": name, "version": version, "status": "READY", "tags": tags})
        };
        let path = request.url.path();
        if let Some(file) = path.strip_prefix("/api/2.0/mlflow-artifacts/artifacts/m/") {
            let Some((made, file)) = file.split_once('/').and_then(|(v, file)| Some((versions.get(v)?, file))) else {
                return missing();
            };
            let bytes = if file == "config.json" { &made.config } else { &made.weights };
            return ResponseTemplate::new(200).set_body_bytes(bytes.clone());
        }
        if path.ends_with("/model-versions/search") {
            let of_mnist = asked("filter").is_some_and(|filter| filter.is_empty() || filter.contains("'mnist'"));
            let found = versions.iter().filter(|_| of_mnist).map(|(version, made)| described("mnist", version, made));
            return ResponseTemplate::new(200).set_body_json(json!({"model_versions": found.collect::<Vec<_>>()}));
        }
        let found = asked("version").filter(|_| asked("name").as_deref() == Some("mnist"));
        let Some((version, made)) = found.as_ref().and_then(|version| versions.get_key_value(version)) else {
            return missing();
        };
        if path.ends_with("/get-download-uri") {
            return ResponseTemplate::new(200)
                .set_body_json(json!({"artifact_uri": format!("mlflow-artifacts:/m/{version}")}));
        }
        ResponseTemplate::new(200).set_body_json(json!({"model_version": described("mnist", version, made)}))
    }
}
