//! `slipway-manager`: the training manager of one cluster. Its environment is its only configuration (see `settings`).

// the future of all its work is nested deeper than the compiler looks otherwise
#![recursion_limit = "256"]

use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use slipway_cluster::Candidacy;
use slipway_forge::Forge;
use slipway_mlflow::Client;
use slipway_names::env::GITHUB_APP_ID;
use slipway_service::{Followed, reach, stand};
use slipway_training_manager::challengers::Server;
use slipway_training_manager::history::History;
use slipway_training_manager::manager::{Manager, Published};
use slipway_training_manager::reports::PACE;
use slipway_training_manager::rest::{self, Bare, Connected, Metrics, People, State, Writers};
use slipway_training_manager::settings::{Invalid, Settings};
use slipway_training_manager::waiting::{Awaited, What};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The Lease by which one of several managers is the one that writes.
const LEASE: &str = "training-manager";

/// What is logged unless RUST_LOG says otherwise. kube's client says each failed request, which is said here once.
const FILTER: &str = "warn,kube_client=off,kube_runtime=off,slipway_training_manager=info,slipway_service=info";

/// The exit code of a wrong environment.
const INPUT: u8 = 3;

fn main() -> ExitCode {
    // before any thread starts
    slipway_allocator::share();
    let filter = slipway_log::filter(std::env::var("RUST_LOG").ok().as_deref(), FILTER);
    let messages = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(messages.with_filter(filter)).init();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(event = "failed", "{error:#}");
            // nothing was asked of MLflow yet: its variables are at fault
            let is_input = error.is::<Invalid>() || error.is::<slipway_mlflow::Error>();
            ExitCode::from(if is_input { INPUT } else { 1 })
        }
    }
}

fn start() -> anyhow::Result<()> {
    let settings = Settings::read(|name| std::env::var(name).ok())?;
    let mlflow = Client::from_env()?;
    // one thread: nothing here computes for long, and each further thread keeps memory of its own
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(run(settings, mlflow));
    // what reads the repository at this moment is left alone
    runtime.shutdown_background();
    ran
}

async fn run(settings: Settings, mlflow: Client) -> anyhow::Result<()> {
    let (awaited, published, metrics) = (Awaited::default(), Published::default(), Metrics::new()?);
    let connected = Arc::new(OnceLock::new());
    let state = State {
        trainings: published.trainings.subscribe(),
        missing: awaited.changes(),
        environment: settings.common.environment.clone(),
        namespace: settings.training_namespace.clone(),
        mlflow: mlflow.clone(),
        metrics: metrics.clone(),
        connected: Arc::clone(&connected),
    };
    let listen = settings.common.listen;
    let parts = Parts { settings, mlflow, metrics, awaited, published, connected };
    slipway_service::run(listen, rest::router(state), async |candidacy: &mut Option<Candidacy>| {
        parts.work(candidacy).await
    })
    .await
}

/// What the manager is made of, before it has reached anything.
struct Parts {
    settings: Settings,
    mlflow: Client,
    metrics: Metrics,
    awaited: Awaited,
    published: Published,
    connected: Arc<OnceLock<Connected>>,
}

impl Parts {
    /// Waits for what the manager needs, and manages. `candidacy` is given back by whoever ends this.
    async fn work(&self, candidacy: &mut Option<Candidacy>) -> anyhow::Result<Infallible> {
        let Self { settings, mlflow, awaited, published, .. } = self;
        let managing = async {
            let (followed, (cluster, patient)) = tokio::join!(
                awaited.until(What::Repository, async || reach::repository(&settings.common.place).await),
                awaited.until(What::Cluster, reach::cluster),
            );
            if followed.is_read_only() {
                let how = format!("set {GITHUB_APP_ID} and the app's private key");
                tracing::warn!("there are no credentials for GitHub, so no reports and promotions are written: {how}");
            }
            let leadership = stand(&cluster, &settings.common.lease_namespace, LEASE, candidacy)?;
            // it is set nowhere else
            let _ = self.connected.set(Connected {
                read: published.ready.subscribe(),
                leader: leadership.changes(),
                cluster: patient,
                writers: writers(&followed, settings.token_file.as_deref()),
            });
            let history = History {
                followed: followed.clone(),
                mlflow: mlflow.clone(),
                environment: settings.common.environment.clone(),
            };
            let manager = Manager {
                cluster,
                namespace: settings.training_namespace.clone(),
                environment: settings.common.environment.clone(),
                followed,
                mlflow: mlflow.clone(),
                pages: settings.mlflow_pages.clone(),
                server: settings.server.clone().map(Server::new).transpose()?,
                archive: Some(history),
                leadership,
                pace: PACE,
                metrics: self.metrics.clone(),
            };
            Ok(tokio::join!(manager.run(published), awaited.follow(What::Content, published.ready.subscribe())).0)
        };
        // reports can do without MLflow for a while, so nothing waits for it but readiness
        let tracking = async {
            awaited.until(What::Mlflow, async || reach::mlflow(mlflow).await).await;
            Ok(())
        };
        tokio::try_join!(managing, tracking).map(|(never, ())| never)
    }
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
