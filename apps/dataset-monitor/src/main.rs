//! `slipway-monitor`: the dataset monitor of one environment. Its environment is its only configuration (see `settings`).
//!
//! `slipway-monitor build [DATASET]…` builds datasets once and ends: the pipeline as a job (see `once`).

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use slipway_cluster::Candidacy;
use slipway_dataset::{RetryBudget, Store};
use slipway_dataset_monitor::hints::Hints;
use slipway_dataset_monitor::http::{Interface, router};
use slipway_dataset_monitor::metrics::Metrics;
use slipway_dataset_monitor::once::{Failed, build_once};
use slipway_dataset_monitor::published::Published;
use slipway_dataset_monitor::settings::{Invalid, Settings};
use slipway_dataset_monitor::waiting::{Awaited, What};
use slipway_dataset_monitor::watch::Watcher;
use slipway_mlflow::Client;
use slipway_names::env::GITHUB_APP_ID;
use slipway_samples::Reader;
use slipway_service::settings::Place;
use slipway_service::{reach, stand};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The Lease by which one of several monitors is the one that writes.
const LEASE: &str = "dataset-monitor";

/// What is logged unless RUST_LOG says otherwise. kube's client says each failed request, which is said here once.
const FILTER: &str = "warn,kube_client=off,kube_runtime=off,slipway_dataset_monitor=info,slipway_service=info";

/// The exit code of a wrong environment, and of a build that would fail in the same way again.
const INPUT: u8 = 3;

fn main() -> ExitCode {
    let filter = slipway_log::filter(std::env::var("RUST_LOG").ok().as_deref(), FILTER);
    let messages = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(messages.with_filter(filter)).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        None => start(),
        Some((command, datasets)) if command == "build" => start_build(datasets),
        Some((other, _)) => {
            Err(Failed::Input(format!("`{other}` is unknown: no argument, or `build [DATASET]…`")).into())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "failed", "{error:#}");
            // nothing was asked of MLflow and the store yet: their variables are at fault
            let is_input = error.is::<Invalid>()
                || error.is::<slipway_mlflow::Error>()
                || error.is::<slipway_dataset::Error>()
                || matches!(error.downcast_ref::<Failed>(), Some(Failed::Input(_)));
            ExitCode::from(if is_input { INPUT } else { 1 })
        }
    }
}

fn start() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let mlflow = Client::from_env()?;
    // one thread that computes, and one that answers meanwhile
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ran = runtime.block_on(async {
        let store = Store::from_env(RetryBudget::Interactive).await?;
        run(settings, mlflow, store).await
    });
    // what reads the repository at this moment is left alone
    runtime.shutdown_background();
    ran
}

/// Builds once, or until it is told to stop: as the first process of a container it would otherwise not notice, and be killed when its time is up.
fn start_build(datasets: &[String]) -> anyhow::Result<()> {
    let place = Place::read(|name| std::env::var(name).ok()).map_err(Invalid::from)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let built: anyhow::Result<()> = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let build = async {
            let store = Store::from_env(RetryBudget::Interactive).await?;
            let followed = reach::repository(&place).await.map_err(Failed::Unavailable)?;
            build_once(&followed, &store, &place.cache, datasets).await.map_err(anyhow::Error::from)
        };
        let stopped = || Failed::Unavailable("stopped before the end: start it again".to_owned());
        tokio::select! {
            built = build => built,
            _ = terminate.recv() => Err(stopped().into()),
            _ = interrupt.recv() => Err(stopped().into()),
        }
    });
    // what reads or writes at this moment is left alone
    runtime.shutdown_background();
    built
}

async fn run(settings: Settings, mlflow: Client, store: Store) -> anyhow::Result<()> {
    let (awaited, published, metrics) = (Awaited::default(), Published::default(), Metrics::new()?);
    let leader = Arc::new(OnceLock::new());
    let hints = Hints::default();
    let interface = Interface {
        missing: awaited.changes(),
        watched: published.watched.subscribe(),
        leader: Arc::clone(&leader),
        hints: hints.clone(),
        heads: store.uri().trim_start_matches("s3://").to_owned(),
        metrics: metrics.clone(),
        token_file: settings.token_file.clone(),
    };
    let listen = settings.common.listen;
    let parts = Parts { settings, mlflow, store, metrics, awaited, published, leader, hints };
    slipway_service::run(listen, router(interface), async |candidacy: &mut Option<Candidacy>| {
        parts.work(candidacy).await
    })
    .await
}

/// What the monitor is made of, before it has reached anything.
struct Parts {
    settings: Settings,
    mlflow: Client,
    store: Store,
    metrics: Metrics,
    awaited: Awaited,
    published: Published,
    leader: Arc<OnceLock<watch::Receiver<bool>>>,
    hints: Hints,
}

impl Parts {
    /// Waits for what the monitor needs, and watches. `candidacy` is given back by whoever ends this.
    async fn work(&self, candidacy: &mut Option<Candidacy>) -> anyhow::Result<Infallible> {
        let Self { settings, awaited, published, .. } = self;
        let (followed, (cluster, _), ()) = tokio::join!(
            awaited.until(What::Repository, async || reach::repository(&settings.common.place).await),
            awaited.until(What::Cluster, reach::cluster),
            awaited.until(What::Store, async || self.store.ensure_bucket().await.map_err(|error| error.to_string())),
        );
        if followed.is_read_only() {
            let how = format!("set {GITHUB_APP_ID} and the app's private key");
            tracing::warn!("there are no credentials for GitHub, so no pull requests and issues are opened: {how}");
        }
        let leadership = stand(&cluster, &settings.common.lease_namespace, LEASE, candidacy)?;
        // it is set nowhere else
        let _ = self.leader.set(leadership.changes());
        let watcher = Watcher {
            followed,
            store: self.store.clone(),
            requests: Reader::new(self.store.beside(&settings.requests)),
            mlflow: self.mlflow.clone(),
            server: settings.server.clone(),
            environment: settings.common.environment.clone(),
            cache: settings.common.place.cache.clone(),
            leadership,
            metrics: self.metrics.clone(),
            hints: self.hints.clone(),
        };
        let follow = awaited.follow(What::Content, published.ready.subscribe());
        Ok(tokio::join!(watcher.run(published), follow).0)
    }
}
