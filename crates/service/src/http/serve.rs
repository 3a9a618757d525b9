//! Connections: how many there may be, how long each may make the service wait, and their end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service as _;

use super::connection::Connection;
use super::ended::Ended;
use super::guard::Arrived;

/// Connections at once; others wait until one ends.
const CONNECTIONS: usize = 512;
/// How long a connection may be idle, and the head of a request may take: hyper has one limit for both.
const HEAD: Duration = Duration::from_secs(60);
/// The longest head, and the most headers in it.
const HEAD_BYTES: usize = 32 << 10;
const HEADERS: usize = 64;
/// The pause after a failure to accept, such as a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(500);

/// Answers on a listener until `ended` is true, then finishes the requests in flight; events and logs come to an end. Whoever waits for
/// that decides for how long.
pub async fn serve(listener: TcpListener, router: Router, mut ended: watch::Receiver<bool>) {
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(HEADERS);
    // a buffer may be filled beyond its bound by one read, a head may not be longer
    http.max_buf_size(HEAD_BYTES).max_header_size(HEAD_BYTES);
    // whoever sends nothing more is looked after below HTTP
    http.half_close(true);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            accepted = accept(&listener, &places) => accepted,
            // so that those that have ended are forgotten
            Some(_) = connections.join_next() => continue,
        };
        let (http, router, ended) = (http.clone(), router.clone(), ended.clone());
        connections.spawn(async move {
            // small answers and events are sent at once
            let _ = stream.set_nodelay(true);
            if let Ok(here) = stream.local_addr() {
                answer(http, stream, router, Arrived(here), ended).await;
            }
            drop(place);
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // it is never closed
        let Ok(place) = Arc::clone(places).acquire_owned().await else { continue };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(event = "not_accepted", "a connection cannot be accepted: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether only the connection that was to be accepted is at fault.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Answers the requests of one connection.
async fn answer(http: Builder, stream: TcpStream, router: Router, arrived: Arrived, mut ended: watch::Receiver<bool>) {
    let ending = Ended::new(ended.clone());
    let begun = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&begun);
    let service = service_fn(move |request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(arrived);
        request.extensions_mut().insert(ending.clone());
        let answer = router.clone().call(request);
        // in a box, so that the connection can be taken apart at its end
        Box::pin(async move { Ok::<Response<Body>, Infallible>(answer.await.unwrap_or_else(|never| match never {})) })
    });
    let mut connection = http.serve_connection(TokioIo::new(Connection::new(stream)), service);
    let mut is_ending = false;
    loop {
        tokio::select! {
            done = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = done {
                    tracing::debug!(event = "connection_failed", "{error}");
                }
                break;
            }
            _ = ended.wait_for(|ended| *ended), if !is_ending => {
                is_ending = true;
                // hyper would wait for its first request
                if !begun.load(Ordering::Relaxed) {
                    return;
                }
                // closes what is idle, and lets a request that is in flight be the last
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    }
    connection.into_parts().io.into_inner().close().await;
}
