//! `slipway-server`: serves models. Its environment is its only configuration (see `settings`); the library holds its parts.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use slipway_names::env::{LISTEN, LISTEN_INTERNAL};
use slipway_server::address::{App, Versions};
use slipway_server::body::Memory;
use slipway_server::cache::{Cache, temporary};
use slipway_server::challenge::{self, Challengers};
use slipway_server::connections::{Connections, limit};
use slipway_server::drain::Drain;
use slipway_server::fatal::Fatal;
use slipway_server::feedback::Feedback;
use slipway_server::follow::follow;
use slipway_server::metrics::Metrics;
use slipway_server::models::Models;
use slipway_server::registry::Registry;
use slipway_server::room::Room;
use slipway_server::routes::routes;
use slipway_server::sampling;
use slipway_server::settings::Settings;
use slipway_server::trial;
use slipway_server::workers::Workers;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// How long the last samples of requests may take to be stored: a cluster gives drain, grace and five seconds.
const LAST_SAMPLES: Duration = Duration::from_secs(4);

fn main() -> ExitCode {
    // Before any thread starts: the allocator then keeps the memory of a call's temporaries for the next call.
    slipway_allocator::keep();
    // so that what only the start and the loading of models need can be given back
    slipway_allocator::files::remember();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,slipway_server=info".into()),
        )
        .init();
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            tracing::error!(event = "failed", "{fatal}");
            fatal.into()
        }
    }
}

fn start() -> Result<(), Fatal> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => {
            let settings = Settings::read(|name| std::env::var(name).ok())?;
            // The only folder that it may write to. No thread has started yet.
            slipway_c10d::set_temporary_folder(&temporary(&settings.cache));
            let runtime = tokio::runtime::Runtime::new().map_err(unexpected("threads"))?;
            runtime.block_on(serve(settings))
        }
        (Some(command), Some(folder), None) if command == "bench" => {
            print_line(&slipway_server::bench::bench(&PathBuf::from(folder))?)
        }
        (Some(command), Some(folder), Some(room)) if command == trial::COMMAND => {
            let room = room.to_str().and_then(|room| room.parse().ok());
            let room = room.ok_or_else(|| Fatal::Input("the room for a trial is a number of bytes".to_owned()))?;
            print_line(&trial::run(&PathBuf::from(folder), room))?;
            // libtorch's destructors have nothing to do any more.
            slipway_c10d::exit_at_once(0)
        }
        _ => Err(Fatal::Input(
            "usage: slipway-server (configured by its environment), or slipway-server bench FOLDER".to_owned(),
        )),
    }
}

async fn serve(settings: Settings) -> Result<(), Fatal> {
    let metrics = Metrics::new().map_err(|error| Fatal::Unexpected(error.to_string()))?;
    let cache = Cache::open(&settings.cache, settings.cache_bytes);
    let room = Room::new(settings.model_memory);
    let registry = Registry::new(&settings.mlflow, cache, settings.workers, room)
        .map_err(|error| Fatal::Input(error.to_string()))?;
    let workers =
        Workers::start(settings.workers, settings.queue, metrics.clone()).map_err(unexpected("starting workers"))?;
    metrics.workers.set(i64::try_from(settings.workers).unwrap_or(i64::MAX));
    let challengers = Challengers::new(settings.workers, settings.queue, metrics.clone());
    let models = Arc::new(Models::new(registry, challengers));
    let (readiness, ready) = watch::channel(Err("the first list of models has not been read yet".to_owned()));
    let following = tokio::spawn(follow(settings.models, Arc::clone(&models), metrics.clone(), readiness));
    let trying = tokio::spawn(challenge::follow(Arc::clone(&models)));

    let public = listen(settings.listen, LISTEN).await?;
    let internal = listen(settings.internal, LISTEN_INTERNAL).await?;
    let drain = Drain::default();
    let (end_sampling, sampling_ends) = oneshot::channel::<()>();
    let (sampler, writing) = match &settings.sampling {
        None => (None, None),
        Some(sampling) => {
            let (sampler, writer) = sampling::start(sampling).await?;
            // its end is also that of the server
            let writing = writer.start(async { drop(sampling_ends.await) }).map_err(unexpected("starting a thread"))?;
            (Some(sampler), Some(writing))
        }
    };
    let feedback = match settings.feedback {
        Some(feedback) => Some(Arc::new(Feedback::new(feedback, &metrics).await?)),
        None => None,
    };
    let app = App {
        models: Arc::clone(&models),
        workers: Arc::new(workers),
        metrics,
        ready,
        drain: drain.clone(),
        memory: Memory::default(),
        sampler,
        feedback,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(unexpected("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unexpected("signals"))?;
    let (ending, ended) = watch::channel(false);
    print_line(&listening(&public, &internal)?)?;
    let most = limit(settings.connections);
    let mut serving = JoinSet::new();
    for (listener, versions) in [(public, Versions::InService), (internal, Versions::Registered)] {
        let Some(listener) = listener else { continue };
        serving.spawn(Connections::new(most, ended.clone()).serve(listener, routes(app.clone(), versions)));
    }

    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    drain.begin();
    tracing::info!(
        event = "draining",
        seconds = settings.drain.as_secs(),
        "asked to stop; requests are still accepted"
    );
    tokio::time::sleep(settings.drain).await;
    tracing::info!(event = "ending", "finishing the requests in flight");
    ending.send_replace(true);
    if tokio::time::timeout(settings.grace, serving.join_all()).await.is_err() {
        tracing::warn!(event = "late", "some requests did not finish within {} s", settings.grace.as_secs());
    }
    if let Some(writing) = writing {
        let _ = end_sampling.send(());
        if tokio::time::timeout(LAST_SAMPLES, writing).await.is_err() {
            tracing::warn!(
                event = "samples_lost",
                "the last samples were not stored within {} s",
                LAST_SAMPLES.as_secs()
            );
        }
    }
    following.abort();
    trying.abort();
    if models.challengers.have_begun() {
        // a version that was tried may be inside a call, and libtorch's destructors would run beside it
        slipway_c10d::exit_at_once(0);
    }
    Ok(())
}

/// Listens at an address of the settings.
async fn listen(address: Option<SocketAddr>, variable: &str) -> Result<Option<TcpListener>, Fatal> {
    let Some(address) = address else { return Ok(None) };
    let failed = |error| Fatal::Input(format!("listening on {address}: {error}; choose another {variable}"));
    TcpListener::bind(address).await.map(Some).map_err(failed)
}

/// Where the server listens, as JSON: `listening` for versions in service, `internal` for every registered version.
fn listening(public: &Option<TcpListener>, internal: &Option<TcpListener>) -> Result<String, Fatal> {
    let mut addresses = serde_json::Map::new();
    for (name, listener) in [("listening", public), ("internal", internal)] {
        if let Some(listener) = listener {
            let address = listener.local_addr().map_err(unexpected("own address"))?;
            addresses.insert(name.to_owned(), address.to_string().into());
        }
    }
    Ok(serde_json::Value::from(addresses).to_string())
}

fn print_line(line: &str) -> Result<(), Fatal> {
    writeln!(std::io::stdout().lock(), "{line}").map_err(unexpected("standard output"))
}

fn unexpected(what: &'static str) -> impl FnOnce(std::io::Error) -> Fatal {
    move |error| Fatal::Unexpected(format!("{what}: {error}"))
}
