//! A real S3 endpoint for tests, over a folder: the one of the embedded loop.

mod endpoint;
mod faults;

use std::path::Path;

use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

pub use endpoint::Endpoint;
pub use faults::{Faults, Holding};

/// The only access key that the endpoint accepts, and its secret.
pub const KEYS: (&str, &str) = ("key", "secret");

/// Serves a folder, which must exist, on loopback until the runtime ends. Returns the endpoint's URL.
///
/// # Panics
/// When the folder cannot be served: the test has failed.
pub async fn serve(folder: &Path) -> String {
    serve_with(folder, Faults::default()).await
}

/// The same with faults.
///
/// # Panics
/// When the folder cannot be served: the test has failed.
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
pub async fn serve_with(folder: &Path, faults: Faults) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    accept(listener, folder, faults);
    format!("http://{address}")
}

/// Answers whoever connects, until the runtime ends.
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
fn accept(listener: TcpListener, folder: &Path, faults: Faults) {
    let service = slipway_s3::service(folder, KEYS.0, KEYS.1).unwrap();
    let answer = service_fn(move |request: Request<Incoming>| {
        let (service, faults) = (service.clone(), faults.clone());
        async move {
            let refusal = |status| {
                let mut refusal = Response::new(s3s::Body::empty());
                *refusal.status_mut() = status;
                Ok(refusal)
            };
            if faults.is_away() {
                return refusal(StatusCode::SERVICE_UNAVAILABLE);
            }
            let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
            faults.pass(&method, &path).await;
            let answer = Service::call(&service, request).await;
            if faults.loses(&method) { refusal(StatusCode::INTERNAL_SERVER_ERROR) } else { answer }
        }
    });
    tokio::spawn(async move {
        let http = Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(http.serve_connection(TokioIo::new(socket), answer.clone()).into_owned());
        }
    });
}
