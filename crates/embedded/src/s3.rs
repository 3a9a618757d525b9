//! The S3 endpoint over a folder, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::task::Task;
use crate::{Credentials, Error, Result, files};

/// Buckets that exist from the start.
const BUCKETS: [&str; 4] = ["checkpoints", "datasets", "landing", "mlflow"];

/// A running endpoint. When dropped, it ends.
#[derive(Debug)]
pub(crate) struct S3 {
    pub(crate) url: String,
    task: Task,
}

impl S3 {
    /// Serves the folder on a free loopback port to whoever has the keys.
    pub(crate) async fn start(folder: &Path, credentials: &Credentials) -> Result<Self> {
        for bucket in BUCKETS {
            files::make_folder(&folder.join(bucket))?;
        }
        let service = slipway_s3::service(folder, &credentials.access_key, &credentials.secret_key)
            .map_err(|reason| Error::S3 { path: folder.to_owned(), reason })?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .map_err(|source| Error::Port { port: 0, source })?;
        let address = listener.local_addr().map_err(|source| Error::Port { port: 0, source })?;
        let task = tokio::spawn(async move {
            // no client here uses HTTP/2 without TLS
            let http = http1::Builder::new();
            // All of them end with the endpoint.
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(ended) = connections.join_next() => {
                        if let Err(error) = ended {
                            tracing::error!("an S3 connection failed: {error}");
                        }
                        continue;
                    }
                };
                let socket = match accepted {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        // Most likely there are no file descriptors left: other connections must end first.
                        tracing::warn!("S3 cannot accept a connection: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        continue;
                    }
                };
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!("an S3 connection is slower than it could be: {error}");
                }
                let connection = http.serve_connection(TokioIo::new(socket), service.clone());
                connections.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!("an S3 connection ended: {error}");
                    }
                });
            }
        });
        Ok(Self { url: format!("http://{address}"), task: Task::new("the S3 endpoint", task) })
    }

    /// Returns when it has ended by itself. May be dropped and called again.
    pub(crate) async fn failure(&mut self) -> Error {
        self.task.failure().await
    }

    /// Ends it and waits until nobody can connect.
    ///
    /// # Errors
    /// When it had panicked before.
    pub(crate) async fn shutdown(self) -> Result<()> {
        self.task.abort().await
    }
}
