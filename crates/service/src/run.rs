//! The life of a service: it listens, works until it is asked to stop, and then ends in order.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use slipway_cluster::Candidacy;
use slipway_names::env::LISTEN;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::http::serve;
use crate::memory::give_memory_back;

/// How long requests may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(3);

/// Why a service cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// Its address cannot be listened at.
    #[error("listening on {address}; choose another {}", LISTEN)]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says about it.
        source: io::Error,
    },
    /// Signals cannot be waited for, or nobody can be told where it listens.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Listens, says on standard output where, answers with `router`, and works until SIGTERM or SIGINT. Then `work` is dropped, and requests have
/// 3 s to end. In the same time the Lease is given back whose candidacy `work` has left in the place that it was given.
///
/// # Errors
/// [`NotStarted`]; what `work` fails with.
pub async fn run<E: From<NotStarted>>(
    address: SocketAddr,
    router: Router,
    work: impl AsyncFnOnce(&mut Option<Candidacy>) -> Result<Infallible, E>,
) -> Result<(), E> {
    let mut terminate = signal(SignalKind::terminate()).map_err(NotStarted::Io)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(NotStarted::Io)?;
    let listener = listen(address).await?;
    let (ending, ended) = watch::channel(false);
    let server = tokio::spawn(serve(listener, router, ended));
    let mut candidacy = None;
    tokio::select! {
        // in a box, because the compiler looks only so deep into the layout of a future
        failed = Box::pin(work(&mut candidacy)) => match failed? {},
        never = give_memory_back() => match never {},
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!(event = "ending", "asked to stop");
    ending.send_replace(true);
    // what only a leader does has ended above
    let release = async {
        if let Some(candidacy) = candidacy {
            candidacy.release().await;
        }
    };
    if tokio::time::timeout(GRACE, async { tokio::join!(server, release) }).await.is_err() {
        tracing::warn!(event = "late", "some requests did not end within {} s", GRACE.as_secs());
    }
    Ok(())
}

/// Listens, and says where: the port may be one that the system chose.
async fn listen(address: SocketAddr) -> Result<TcpListener, NotStarted> {
    let listener = TcpListener::bind(address).await.map_err(|source| NotStarted::Listen { address, source })?;
    let address = listener.local_addr()?;
    writeln!(io::stdout().lock(), "{}", serde_json::json!({ "listening": address.to_string() }))?;
    Ok(listener)
}
