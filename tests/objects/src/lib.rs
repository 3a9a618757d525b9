//! A real S3 endpoint for tests, over a folder: the one of the embedded loop.

use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

/// The only access key that the endpoint accepts, and its secret.
pub const KEYS: (&str, &str) = ("key", "secret");

/// Serves a folder, which must exist, on loopback until the runtime ends. Returns the endpoint's URL.
///
/// # Panics
/// When the folder cannot be served: the test has failed.
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
pub async fn serve(folder: &Path) -> String {
    let service = slipway_s3::service(folder, KEYS.0, KEYS.1).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let http = Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service.clone()).into_owned());
        }
    });
    format!("http://{address}")
}
