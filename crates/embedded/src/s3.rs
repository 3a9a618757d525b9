//! The S3 endpoint: s3s over a folder, in this process.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Credentials, Error, Result, files};

/// Buckets that are there from the start.
const BUCKETS: [&str; 2] = ["datasets", "mlflow"];

/// A running endpoint; dropped, it ends.
#[derive(Debug)]
pub(crate) struct S3 {
    pub(crate) url: String,
    task: JoinHandle<()>,
}

impl S3 {
    /// Serves the folder on a free loopback port to whoever has the keys.
    pub(crate) async fn start(folder: &Path, credentials: &Credentials) -> Result<Self> {
        for bucket in BUCKETS {
            files::make_folder(&folder.join(bucket))?;
        }
        let error = |reason: String| Error::S3 { path: folder.to_owned(), reason };
        let store = s3s_fs::FileSystem::new(folder).map_err(|said| error(format!("{said:?}")))?;
        let mut builder = S3ServiceBuilder::new(store);
        builder.set_auth(SimpleAuth::from_single(credentials.access_key.clone(), credentials.secret_key.clone()));
        let service = builder.build();
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .await
            .map_err(|source| Error::Port { port: 0, source })?;
        let address = listener.local_addr().map_err(|source| Error::Port { port: 0, source })?;
        let task = tokio::spawn(async move {
            // no client here speaks HTTP/2 without TLS
            let http = http1::Builder::new();
            // They end with the endpoint.
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    Some(_) = connections.join_next() => continue,
                };
                let socket = match accepted {
                    Ok((socket, _)) => socket,
                    Err(error) => {
                        // Out of descriptors, most likely: others must end first.
                        tracing::warn!("S3 cannot accept a connection: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let _ = socket.set_nodelay(true);
                let connection = http.serve_connection(TokioIo::new(socket), service.clone());
                connections.spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!("an S3 connection ended: {error}");
                    }
                });
            }
        });
        Ok(Self { url: format!("http://{address}"), task })
    }

    /// Ends it and waits until nobody can connect any more.
    pub(crate) async fn shutdown(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.task.abort();
    }
}
