//! `slipway-manager`: the training manager of one cluster. Its environment is its only configuration (see `settings`).

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use slipway_cluster::{Cluster, Election};
use slipway_forge::Forge;
use slipway_mlflow::Client;
use slipway_names::env::LISTEN;
use slipway_training_manager::history::History;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::reports::PACE;
use slipway_training_manager::repository::Followed;
use slipway_training_manager::rest::{self, Bare, Metrics, People, State, Writers};
use slipway_training_manager::settings::{Invalid, Settings};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How long requests may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// The Lease by which one of several managers is the one that writes.
const LEASE: &str = "training-manager";

/// The exit code of a wrong environment.
const INPUT: u8 = 3;

fn main() -> ExitCode {
    let filter = slipway_log::filter(std::env::var("RUST_LOG").ok().as_deref(), "warn,slipway_training_manager=info");
    let messages = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(messages.with_filter(filter)).init();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "failed", "{error:#}");
            ExitCode::from(if error.is::<Invalid>() { INPUT } else { 1 })
        }
    }
}

fn start() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    // one thread: nothing here computes for long, and each further thread keeps memory of its own
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(run(settings));
    // what reads the repository at this moment is left alone
    runtime.shutdown_background();
    ran
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(settings.listen).await;
    let listener = listener.with_context(|| format!("listening on {}; choose another {LISTEN}", settings.listen))?;
    let address = listener.local_addr()?;
    let followed = Followed::open(&settings.repository, &settings.project, &settings.cache)?;
    let cluster = Cluster::connect(None).await?;
    let identity = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_default();
    let candidacy = Election::new(&cluster, &settings.lease_namespace, LEASE, &identity)?.start();
    let mlflow = Client::from_env()?;
    let metrics = Metrics::new()?;
    let published = Published::default();
    let state = State {
        trainings: published.trainings.subscribe(),
        ready: published.ready.subscribe(),
        leader: candidacy.leadership().changes(),
        environment: settings.environment.clone(),
        namespace: settings.training_namespace.clone(),
        cluster: cluster.patient_client()?,
        mlflow: mlflow.clone(),
        writers: writers(&followed, settings.token_file.as_deref()),
        metrics: metrics.clone(),
    };
    let history =
        History { followed: followed.clone(), mlflow: mlflow.clone(), environment: settings.environment.clone() };
    let manager = Manager {
        cluster,
        namespace: settings.training_namespace,
        environment: settings.environment,
        followed,
        mlflow,
        pages: settings.mlflow_pages,
        archive: Some(history),
        is_leader: candidacy.leadership().changes(),
        pace: PACE,
        metrics,
    };
    let (ending, ended) = watch::channel(false);
    let server = tokio::spawn(rest::serve(listener, rest::router(state), ended));
    writeln!(std::io::stdout().lock(), "{}", serde_json::json!({ "listening": address.to_string() }))?;
    tokio::select! {
        never = manager.run(&published) => match never {},
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(event = "ending", "asked to stop");
    ending.send_replace(true);
    // what only a leader does has ended above
    let leaving = async { tokio::join!(server, candidacy.release()) };
    if tokio::time::timeout(GRACE, leaving).await.is_err() {
        tracing::warn!(event = "late", "some requests did not end within {} s", GRACE.as_secs());
    }
    Ok(())
}

/// Who may open pull requests by the REST interface: people with their own tokens on GitHub; with a bare repository, whoever has the token in
/// the file.
fn writers(followed: &Followed, token_file: Option<&Path>) -> Option<Arc<dyn Writers>> {
    let (git, remote) = (followed.git.clone(), Arc::clone(&followed.remote));
    match &followed.remote.forge {
        Forge::GitHub(_) => Some(Arc::new(People::new(git, remote))),
        Forge::Bare(bare) => Some(Arc::new(Bare::new(git, bare.path().to_owned(), token_file?.to_owned()))),
    }
}
