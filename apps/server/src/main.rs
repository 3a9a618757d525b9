//! `slipway-server`: serves models. Its environment is its only configuration (see `settings`); the library holds its parts.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use axum::serve::ListenerExt;
use slipway_server::drain::Drain;
use slipway_server::fatal::Fatal;
use slipway_server::follow::follow;
use slipway_server::metrics::Metrics;
use slipway_server::models::Models;
use slipway_server::registry::Registry;
use slipway_server::routes::{App, routes};
use slipway_server::settings::Settings;
use slipway_server::workers::Workers;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

fn main() -> ExitCode {
    // Before any thread starts: the allocator then keeps the memory of a call's temporaries for the next call.
    slipway_c10d::tune_allocator();
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
            let runtime = tokio::runtime::Runtime::new().map_err(unexpected("threads"))?;
            runtime.block_on(serve(settings))
        }
        (Some(command), Some(folder), None) if command == "bench" => {
            print_line(&slipway_server::bench::bench(&PathBuf::from(folder))?)
        }
        _ => Err(Fatal::Input(
            "usage: slipway-server (configured by its environment), or slipway-server bench FOLDER".to_owned(),
        )),
    }
}

async fn serve(settings: Settings) -> Result<(), Fatal> {
    let metrics = Metrics::new().map_err(|error| Fatal::Unexpected(error.to_string()))?;
    let registry = Registry::new(&settings.mlflow, settings.cache, settings.workers)
        .map_err(|error| Fatal::Input(error.to_string()))?;
    let workers =
        Workers::start(settings.workers, settings.queue, metrics.clone()).map_err(unexpected("starting workers"))?;
    let models = Arc::new(Models::new(registry));
    let (readiness, ready) = watch::channel(Err("the first list of models has not been read yet".to_owned()));
    let following = tokio::spawn(follow(settings.models, Arc::clone(&models), metrics.clone(), readiness));

    let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
        Fatal::Input(format!("listening on {}: {error}; choose another SLIPWAY_LISTEN", settings.listen))
    })?;
    let address = listener.local_addr().map_err(unexpected("own address"))?;
    // Answers are small, so each is sent at once.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let drain = Drain::default();
    let app = App { models, workers: Arc::new(workers), metrics, ready, drain: drain.clone() };
    let mut terminate = signal(SignalKind::terminate()).map_err(unexpected("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unexpected("signals"))?;
    let (ending, ended) = watch::channel(false);
    let shutdown = async move {
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
    };
    print_line(&serde_json::json!({ "listening": address.to_string() }).to_string())?;
    let serving = axum::serve(listener, routes(app)).with_graceful_shutdown(shutdown);
    let grace_is_over = async {
        let mut ended = ended;
        if ended.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(settings.grace).await;
    };
    let done = tokio::select! {
        done = async { serving.await } => done.map_err(unexpected("serving")),
        () = grace_is_over => {
            tracing::warn!(event = "late", "some requests did not finish within {} s", settings.grace.as_secs());
            Ok(())
        }
    };
    following.abort();
    done
}

fn print_line(line: &str) -> Result<(), Fatal> {
    writeln!(std::io::stdout().lock(), "{line}").map_err(unexpected("standard output"))
}

fn unexpected(what: &'static str) -> impl FnOnce(std::io::Error) -> Fatal {
    move |error| Fatal::Unexpected(format!("{what}: {error}"))
}
