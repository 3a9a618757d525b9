//! A small world: a repository with a dataset, a store in which images land, a model in service, and a monitor that can be killed.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use slipway_cluster::Leadership;
use slipway_dataset::idx::{write_images, write_labels};
use slipway_dataset::{Credentials, Digest, Store};
use slipway_dataset_monitor::hints::Hints;
use slipway_dataset_monitor::http::{Interface, router};
use slipway_dataset_monitor::metrics::Metrics;
use slipway_dataset_monitor::published::Published;
use slipway_dataset_monitor::waiting::Awaited;
use slipway_dataset_monitor::watch::Watcher;
use slipway_dataset_monitor::watched::DatasetState;
use slipway_evidence::{Found, Look, Sources, look};
use slipway_experiment::{parse_dataset, pin_digest};
use slipway_forge::{MergeMethod, Opened};
use slipway_git::{Repository, Update};
use slipway_mlflow::Client;
use slipway_object_store::{KEYS, serve};
use slipway_pipeline::{Places, Temporary};
use slipway_project::Tree;
use slipway_proposal::Remote;
use slipway_samples::{BUCKET, Hour, Reader, Sample, Sampler, Settings, now};
use slipway_service::Followed;
use slipway_serving::{Pin, Pins};
use slipway_sources::Limits;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tower::ServiceExt as _;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::model;
use crate::pictures::{SIDE, picture, png};

/// How long something may take; what takes longer has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);
const FILE: &str = "datasets/sides.yaml";

const CLUSTER: &str = "apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: {name: local}
spec:
  trainerImage: slipway/trainer:0.1.0
  maxTrials: 20
  prices: {cpuHour: 0.5, currency: EUR}
";

const EXPERIMENT: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: sides-cnn}
spec:
  dataset: sides
  model: {architecture: cnn}
  training: {epochs: 1, batchSize: 16, optimizer: {name: adam, learningRate: 0.001}, seed: 7}
  workers: {count: 1, cpu: \"1\", memory: 512Mi}
  budget: {cpuHours: 4, deadline: 30m}
  register: {model: sides}
";

fn dataset(monitor: &str) -> String {
    format!(
        "apiVersion: slipway.dev/v1alpha1
kind: Dataset
metadata: {{name: sides}}
spec:
  source: {{idx: {{images: datasets/files/images, labels: datasets/files/labels}}}}
  classes: 2
  shape: [{SIDE}, {SIDE}]
  split: {{validation: 0.25, test: 0.25, seed: 0}}
  pipeline: {{read: {{landing: [s3://landing/sides/]}}}}
  monitor: {monitor}
"
    )
}

/// A monitor that looks rarely, so that only events and new commits make it look.
pub(crate) const RARELY: &str = "{every: 1h, cooldown: 1h, retrain: {experiments: [sides-cnn]}}";
/// One that looks as often as it may.
pub(crate) const OFTEN: &str = "{every: 1s, cooldown: 1h, retrain: {experiments: [sides-cnn]}}";

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) git: Repository,
    pub(crate) remote: Remote,
    pub(crate) first: Digest,
    /// The address of the store.
    pub(crate) s3: String,
    /// The address of the model server.
    pub(crate) server: String,
    /// The registry.
    pub(crate) mlflow: MockServer,
}

/// A monitor that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) app: Router,
    pub(crate) published: Arc<Published>,
    pub(crate) metrics: Metrics,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    /// Kills it where it is: what it waits for is dropped, with the runtime that it runs in.
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

impl World {
    /// A world in which the version in service was trained on what there is, and nothing has landed.
    pub(crate) async fn new(monitor: &str) -> Self {
        Self::of(monitor, picture).await
    }

    /// The same with a dataset of what `make` makes, of both classes.
    pub(crate) async fn of(monitor: &str, make: fn(u8, u64) -> Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let s3 = folder.path().join("s3");
        std::fs::create_dir_all(s3.join("landing")).unwrap();
        let s3 = serve(&s3).await;
        let store = store(&s3);
        let items: Vec<(Vec<u8>, u8)> =
            (0..800).map(|number| (make((number % 2) as u8, number), (number % 2) as u8)).collect();
        let pixels: Vec<u8> = items.iter().flat_map(|(levels, _)| levels).copied().collect();
        let labels: Vec<u8> = items.iter().map(|(_, label)| *label).collect();
        let (images, labels) = (write_images(SIDE, SIDE, &pixels).unwrap(), write_labels(&labels).unwrap());
        // built as a person would, at home
        let home = folder.path().join("home");
        std::fs::create_dir_all(home.join("datasets/files")).unwrap();
        std::fs::write(home.join("datasets/files/images"), &images).unwrap();
        std::fs::write(home.join("datasets/files/labels"), &labels).unwrap();
        let text = dataset(monitor);
        let temporary = Temporary::new(&folder.path().join("temporary")).unwrap();
        let (cache, limits) = (folder.path().join("home-cache"), Limits::default());
        let places = Places {
            sources: slipway_sources::Places { project: home, cache, repin: false, limits },
            npm: None,
            temporary: temporary.path().to_owned(),
        };
        let declaration = parse_dataset(FILE, &text).unwrap();
        let first = slipway_pipeline::build(&declaration, &places, &store, |_| ()).await.unwrap().digest;
        let path = folder.path().join("forge.git");
        let git = Repository::init_bare(&path).unwrap();
        let pins = Pins::default().with(Pin { name: "sides".to_owned(), version: 1, digest: Digest::of("model") });
        let files: BTreeMap<String, Option<Vec<u8>>> = [
            (FILE, pin_digest(FILE, &text, &first.to_string()).unwrap().into_bytes()),
            ("datasets/files/images", images),
            ("datasets/files/labels", labels),
            ("experiments/sides-cnn.yaml", EXPERIMENT.into()),
            ("clusters/local/cluster.yaml", CLUSTER.into()),
            ("overlays/local/server/models.yaml", pins.to_string().into_bytes()),
        ]
        .map(|(path, content)| (path.to_owned(), Some(content)))
        .into();
        let commit = git.commit(None, &files, "first").unwrap();
        assert!(git.update(&[Update { name: "refs/heads/main", to: &commit, from: None }]).unwrap());
        let remote = Remote::at(&path).unwrap();
        Self { store, git, remote, first, s3, server: model::serve(false).await, mlflow: mlflow(&first).await, folder }
    }

    /// Starts a monitor that leads; each has a cache of its own, as after a move to another node, unless it is given one.
    pub(crate) fn start(&self, cache: &str) -> Running {
        let cache = self.folder.path().join(cache);
        let path = self.folder.path().join("forge.git").display().to_string();
        let followed = Followed::open(&path, "", &cache).unwrap();
        let (published, metrics) = (Arc::new(Published::default()), Metrics::new().unwrap());
        let hints = Hints::default();
        let watcher = Watcher {
            followed,
            // connections of its own, as a process has
            store: store(&self.s3),
            requests: Reader::new(store(&self.s3).beside(BUCKET)),
            mlflow: Client::new(&self.mlflow.uri()).unwrap(),
            server: Some(self.server.clone()),
            environment: "local".to_owned(),
            cache,
            leadership: leads(),
            metrics: metrics.clone(),
            hints: hints.clone(),
        };
        let awaited = Awaited::default();
        let interface = Interface {
            missing: awaited.changes(),
            watched: published.watched.subscribe(),
            leader: Arc::new(OnceLock::new()),
            hints,
            heads: "datasets".to_owned(),
            metrics: metrics.clone(),
            token_file: None,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn({
            let published = Arc::clone(&published);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    tokio::select! {
                        never = watcher.run(&published) => match never {},
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            }
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Running { app: router(interface), published, metrics, stop, thread }
    }

    /// An image lands.
    pub(crate) fn land(&self, class: u8, name: &str, levels: &[u8]) {
        self.land_file(class, name, &png(levels));
    }

    /// A file lands that should be an image.
    pub(crate) fn land_file(&self, class: u8, name: &str, content: &[u8]) {
        let path = self.folder.path().join(format!("s3/landing/sides/{class}/{name}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // as an object comes: whole, or not at all
        let part = self.folder.path().join("part");
        std::fs::write(&part, content).unwrap();
        std::fs::rename(part, path).unwrap();
    }

    /// So many images land that `make` makes, of both classes.
    pub(crate) fn land_all(&self, name: &str, numbers: std::ops::Range<u64>, make: fn(u8, u64) -> Vec<u8>) {
        for number in numbers {
            let class = (number % 2) as u8;
            self.land(class, &format!("{name}-{number}"), &make(class, number));
        }
    }

    /// So many requests that `make` makes, of both classes, are answered by the version in service and sampled as the server does it, so many hours ago.
    pub(crate) async fn ask(&self, ago: i64, numbers: std::ops::Range<u64>, make: fn(u8, u64) -> Vec<u8>) {
        let settings = Settings {
            share: 1.0,
            memory: 64 << 20,
            file: 1 << 30,
            age: Duration::from_secs(3600),
            rows_per_hour: usize::MAX,
            days: 7,
            replica: "server-0".to_owned(),
        };
        let (sampler, writer) = Sampler::new(store(&self.s3).beside(BUCKET), settings).unwrap();
        let (end, ended) = oneshot::channel::<()>();
        let written = writer.start(async { drop(ended.await) }).unwrap();
        let begun = Hour::of(now());
        for number in numbers {
            let levels = make((number % 2) as u8, number);
            let inputs: Vec<f32> = levels.iter().map(|level| f32::from(*level) / 255.0).collect();
            let (outputs, features) = (model::answer(&inputs).to_vec(), model::features(&inputs).to_vec());
            let sample = Sample::new(now(), "", 0, 1, inputs, outputs).with_features(features);
            let bytes = sample.bytes();
            sampler.draw(bytes).unwrap().fill("sides", 1, bytes, Box::new(move || vec![sample]));
        }
        end.send(()).unwrap();
        written.await.unwrap();
        // it writes what is answered now: the hour is in the name
        let all = self.folder.path().join("s3").join(BUCKET).join("sides/1");
        let then = all.join(begun.after(-ago).to_string());
        std::fs::create_dir_all(&then).unwrap();
        for hour in [begun, begun.after(1)].map(|hour| all.join(hour.to_string())) {
            for file in std::fs::read_dir(&hour).into_iter().flatten() {
                let file = file.unwrap();
                std::fs::rename(file.path(), then.join(file.file_name())).unwrap();
            }
        }
    }

    /// All pull requests in any state.
    pub(crate) async fn pull_requests(&self) -> Vec<Opened> {
        self.remote.forge.newest().await.unwrap()
    }

    /// The digest of the head, which is whole with all that it names.
    pub(crate) async fn head(&self) -> Digest {
        let seen = self.store.head("sides").await.unwrap().unwrap();
        self.store.verify(&seen.head.manifest).await.unwrap();
        self.store.report(&seen.head.manifest, &seen.head.report).await.unwrap();
        seen.head.manifest
    }

    /// The files of a commit.
    pub(crate) fn tree(&self, commit: &str) -> Tree {
        Tree::at(&self.git, commit).unwrap()
    }

    /// What `slipway drift` computes at home at this time, with a cache of its own.
    pub(crate) async fn drift(&self, now: i64) -> Found {
        let tree = self.tree("main");
        let declaration = parse_dataset(FILE, &tree.text(FILE).unwrap()).unwrap();
        let temporary = Temporary::new(&self.folder.path().join("drift-temporary")).unwrap();
        let (project, cache) = (self.folder.path().join("home"), self.folder.path().join("drift-cache"));
        let places = Places {
            sources: slipway_sources::Places { project, cache, repin: false, limits: Limits::default() },
            npm: None,
            temporary: temporary.path().to_owned(),
        };
        let mlflow = Client::new(&self.mlflow.uri()).unwrap();
        let sources = Sources {
            store: &self.store,
            places: &places,
            mlflow: Some(&mlflow),
            server: Some(&self.server),
            forge: Some(&self.remote.forge),
            must_know: false,
            silent: None,
        };
        match look(&tree, "local", &declaration, sources, now).await.unwrap() {
            Look::Found(found) => *found,
            other => panic!("{other:?}"),
        }
    }

    /// The training of a dataset ends, and registers a version. What is said with a smaller number counts.
    pub(crate) async fn register(&self, number: u64, trained_on: &Digest, priority: u8) {
        self.register_all(&[(number, "0.9")], trained_on, priority).await;
    }

    /// The same of several versions with their accuracies.
    pub(crate) async fn register_all(&self, versions: &[(u64, &str)], trained_on: &Digest, priority: u8) {
        let mut all = vec![version(1, &self.first, "0.9")];
        all.extend(versions.iter().map(|(number, accuracy)| version(*number, trained_on, accuracy)));
        let all = json!({ "model_versions": all });
        let answer = ResponseTemplate::new(200).set_body_json(all);
        let search = Mock::given(method("GET")).and(path_regex("model-versions/search$"));
        search.respond_with(answer).with_priority(priority).mount(&self.mlflow).await;
    }

    /// How often somebody has asked which versions there are.
    pub(crate) async fn searches(&self) -> usize {
        let requests = self.mlflow.received_requests().await.unwrap();
        requests.iter().filter(|request| request.url.path().ends_with("model-versions/search")).count()
    }

    /// Waits until they were asked for again, and what was done about the answer is over.
    pub(crate) async fn searched(&self) {
        let before = self.searches().await;
        let again = async {
            while self.searches().await < before + 2 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(LIMIT, again).await.unwrap();
    }

    /// Merges as a person would.
    pub(crate) async fn merge(&self, opened: &Opened) -> String {
        self.remote.forge.merge(opened.number, MergeMethod::Merge, &opened.head).await.unwrap()
    }
}

impl Running {
    /// Waits until what is known of the dataset is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&DatasetState) -> bool) -> DatasetState {
        let mut watched = self.published.watched.subscribe();
        let waited = tokio::time::timeout(LIMIT, async {
            let found = watched.wait_for(|watched| watched.get("sides").is_some_and(|state| is_so(state))).await;
            DatasetState::clone(&found.unwrap()["sides"])
        });
        let last = || self.published.watched.borrow().get("sides").map(|state| format!("{:?}", state.decision));
        waited.await.unwrap_or_else(|_| panic!("not {what}: {:?}", last()))
    }

    /// The object store sends a notification.
    pub(crate) async fn notify(&self, key: &str) -> StatusCode {
        let body = json!({"Records": [{"s3": {"bucket": {"name": "landing"}, "object": {"key": key}}}]});
        self.post(body.to_string()).await
    }

    pub(crate) async fn post(&self, body: impl Into<Body>) -> StatusCode {
        let request = Request::post("/events").header("host", "monitor").body(body.into()).unwrap();
        self.app.clone().oneshot(request).await.unwrap().status()
    }
}

fn store(s3: &str) -> Store {
    let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    Store::new(s3, "datasets", keys, "us-east-1").unwrap()
}

/// One that leads as long as the test runs.
fn leads() -> Leadership {
    let until = Instant::now() + Duration::from_secs(100_000);
    let (is_leader, until) = (watch::Sender::new(true), watch::Sender::new(Some(until)));
    let leadership = Leadership::told(is_leader.subscribe(), until.subscribe());
    // nobody takes it away
    std::mem::forget((is_leader, until));
    leadership
}

/// A registry with the version in service, which was trained on this dataset.
async fn mlflow(trained_on: &Digest) -> MockServer {
    let server = MockServer::start().await;
    let version = version(1, trained_on, "0.9");
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "model_version": version }));
    Mock::given(method("GET")).and(path_regex("model-versions/get$")).respond_with(answer).mount(&server).await;
    let all = ResponseTemplate::new(200).set_body_json(json!({ "model_versions": [version] }));
    Mock::given(method("GET")).and(path_regex("model-versions/search$")).respond_with(all).mount(&server).await;
    server
}

/// A version of the model as the registry has it.
fn version(number: u64, trained_on: &Digest, accuracy: &str) -> Value {
    let tags = [
        ("slipway.dataset", "sides".to_owned()),
        ("slipway.dataset-digest", trained_on.to_string()),
        ("slipway.digest", Digest::of(number.to_string()).to_string()),
        ("slipway.accuracy", accuracy.to_owned()),
    ];
    let tags: Vec<Value> = tags.map(|(key, value)| json!({"key": key, "value": value})).into();
    json!({"name": "sides", "version": number.to_string(), "status": "READY", "tags": tags})
}
