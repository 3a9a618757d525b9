//! A manager's REST interface on loopback, with a state that a test sets.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use slipway_mlflow::Client;
use slipway_training_manager::rest::{Connected, Metrics, State, Writers, router, serve};
use slipway_training_manager::view::{
    Cost, Experiment, Lineage, Progress, PullRequest, Run, Trainings, Trial, TrialState, Worker,
};
use slipway_training_manager::waiting::Missing;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longer than anything here takes on a slow, busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// What a manager answers from.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) trainings: Trainings,
    /// The address of Kubernetes' API; nothing answers there otherwise.
    pub(crate) cluster: Option<String>,
    /// MLflow; nothing answers there otherwise.
    pub(crate) mlflow: Option<Client>,
    pub(crate) writers: Option<Arc<dyn Writers>>,
}

/// The interface, and the ends by which a test moves it.
pub(crate) struct Manager {
    pub(crate) url: String,
    pub(crate) publish: watch::Sender<Arc<Trainings>>,
    pub(crate) missing: watch::Sender<Missing>,
    pub(crate) read: watch::Sender<Result<(), String>>,
    pub(crate) leader: watch::Sender<bool>,
    pub(crate) metrics: Metrics,
    pub(crate) client: reqwest::Client,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Manager {
    pub(crate) async fn start(setup: Setup) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (publish, trainings) = watch::channel(Arc::new(setup.trainings));
        let (missing, read, leader) = (watch::Sender::default(), watch::Sender::new(Ok(())), watch::Sender::new(true));
        let (stop, stopped) = watch::channel(false);
        let metrics = Metrics::new().unwrap();
        let connected = OnceLock::from(Connected {
            read: read.subscribe(),
            leader: leader.subscribe(),
            cluster: kube(setup.cluster.as_deref().unwrap_or("http://127.0.0.1:1")),
            writers: setup.writers,
        });
        let router = router(State {
            trainings,
            missing: missing.subscribe(),
            environment: "local".to_owned(),
            namespace: "training".to_owned(),
            mlflow: setup.mlflow.unwrap_or_else(|| Client::new("http://127.0.0.1:1").unwrap()),
            metrics: metrics.clone(),
            connected: Arc::new(connected),
        });
        let serving = tokio::spawn(serve(listener, router, stopped));
        let client = slipway_http::loopback(LONG).unwrap();
        Self { url, publish, missing, read, leader, metrics, client, stop, serving }
    }

    /// One with the trials of [`trainings`].
    pub(crate) async fn with_trials() -> Self {
        Self::start(Setup { trainings: trainings(), ..Setup::default() }).await
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(Method::from_bytes(method.as_bytes()).unwrap(), format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    /// Asks for something to be written.
    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        Answer::of(self.request("POST", path).bearer_auth(token).json(body)).await
    }

    /// Tells the service to end, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(LONG, self.serving).await.expect("it does not end").unwrap();
    }

    /// Tells the service to end.
    pub(crate) fn begin_to_stop(&self) {
        self.stop.send_replace(true);
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The body of an answer that all went well.
    #[track_caller]
    pub(crate) fn fine(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// The kind of the problem that this is, after checking that it is one.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header(CONTENT_TYPE.as_str()), "application/problem+json", "{self:?}");
        assert_eq!(self.header("cache-control"), "no-store", "{self:?}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(!problem["title"].as_str().unwrap().is_empty() && !problem["detail"].as_str().unwrap().is_empty());
        problem["type"].as_str().unwrap().strip_prefix("urn:slipway:problem:").unwrap().to_owned()
    }
}

/// A client of Kubernetes' API as main makes it for logs: without retries, without a limit for silence.
fn kube(url: &str) -> kube::Client {
    let mut config = kube::Config::new(url.parse().unwrap());
    config.default_retry = false;
    config.proxy_url = None;
    kube::Client::try_from(config).unwrap()
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LONG, "{what} does not come true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A trial that runs.
pub(crate) fn running(name: &str) -> Trial {
    let (experiment, _) = name.rsplit_once('-').unwrap();
    Trial {
        name: name.to_owned(),
        experiment: experiment.to_owned(),
        environment: "local".to_owned(),
        state: TrialState::Running,
        parameters: BTreeMap::from([("training.optimizer.learningRate".to_owned(), json!(0.001))]),
        created: Some("2026-01-02T03:04:05Z".to_owned()),
        started: Some("2026-01-02T03:04:35Z".to_owned()),
        seconds: Some(12.5),
        progress: Some(Progress { percent: 40, remaining_seconds: Some(18) }),
        metrics: BTreeMap::from([("loss".to_owned(), 0.25), ("diverged".to_owned(), f64::NAN)]),
        workers: 2,
        worker_states: (0..2)
            .map(|rank| Worker {
                rank,
                pod: format!("{name}-node-0-{rank}-abcde"),
                node: "node-a".to_owned(),
                phase: "Running".to_owned(),
                restarts: 0,
            })
            .collect(),
        cpu_hours: Some(0.5),
        cost: Some(Cost { amount: 0.25, currency: "EUR".to_owned() }),
        run: Some(Run { id: "0123456789abcdef0123456789abcdef".to_owned(), url: None }),
        model: Some("mnist".to_owned()),
        lineage: Lineage {
            dataset: "ten".to_owned(),
            experiment_file: "experiments/digits.yaml".to_owned(),
            pull_request: Some(PullRequest { number: 1, url: "https://example.org/pull/1".to_owned() }),
            ..Lineage::default()
        },
        ..Trial::default()
    }
}

/// The trials by name.
pub(crate) fn by_name(trials: impl IntoIterator<Item = Trial>) -> BTreeMap<String, Arc<Trial>> {
    trials.into_iter().map(|trial| (trial.name.clone(), Arc::new(trial))).collect()
}

/// Trials of two experiments in several states, with text that would like to be something else.
pub(crate) fn trainings() -> Trainings {
    let ended = |name: &str, state, created: &str| Trial {
        state,
        created: Some(created.to_owned()),
        ended: Some("2026-01-05T00:00:00Z".to_owned()),
        progress: None,
        worker_states: Vec::new(),
        ..running(name)
    };
    let hostile = "<script>alert(1)</script>\r\n\r\ndata: x\u{202e}\u{0}\"'`";
    let trials = [
        running("digits-00000001"),
        ended("digits-00000002", TrialState::Finished, "2026-01-01T00:00:00Z"),
        Trial {
            reason: Some(hostile.to_owned()),
            ..ended("digits-00000003", TrialState::Failed, "2026-01-03T00:00:00Z")
        },
        Trial {
            created: None,
            started: None,
            ended: None,
            run: None,
            ..ended("letters-00000004", TrialState::Waiting, "")
        },
        Trial {
            environment: "staging".to_owned(),
            ..ended("letters-00000006", TrialState::Refused, "2025-12-02T00:00:00Z")
        },
    ];
    let archived = Trial {
        archived: true,
        version: Some(3),
        ..ended("digits-00000005", TrialState::Finished, "2025-12-01T00:00:00Z")
    };
    let experiment = |name: &str| Experiment {
        name: name.to_owned(),
        file: format!("experiments/{name}.yaml"),
        source: "apiVersion: slipway.dev/v1alpha1\n".to_owned(),
        dataset: "ten".to_owned(),
        environments: vec!["local".to_owned()],
        states: BTreeMap::from([(TrialState::Running, 1)]),
        cpu_hours: 1.5,
        ..Experiment::default()
    };
    Trainings {
        commit: "0123456789012345678901234567890123456789".to_owned(),
        experiments: ["digits", "letters"].map(|name| (name.to_owned(), Arc::new(experiment(name)))).into(),
        trials: by_name(trials),
        archived: Arc::new(by_name([archived])),
    }
}
