//! An endpoint that can be killed.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

use crate::{Faults, accept};

/// Longer than any single step of a request takes.
const STEP: Duration = Duration::from_secs(60);

/// An endpoint over a folder, with threads of its own, which is killed and started again at the same address. It ends with this value.
#[derive(Debug)]
pub struct Endpoint {
    folder: PathBuf,
    faults: Faults,
    address: SocketAddr,
    /// `None` while it is dead.
    runtime: Option<Runtime>,
}

#[allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that panics has failed")]
impl Endpoint {
    /// Serves a folder, which must exist, on loopback.
    #[must_use]
    pub fn start(folder: &Path, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut endpoint = Self { folder: folder.to_owned(), faults, address, runtime: None };
        endpoint.serve(listener);
        endpoint
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it: every connection breaks, and whatever a request had begun is cut off between two of its steps, each of which is one call of the
    /// system. The folder stays as it is then.
    pub async fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // waits for its threads, which an asynchronous task may not
            spawn_blocking(move || runtime.shutdown_timeout(STEP)).await.unwrap();
        }
    }

    /// Starts it again after a kill, at the same address.
    pub fn start_again(&mut self) {
        self.serve(TcpListener::bind(self.address).unwrap());
    }

    fn serve(&mut self, listener: TcpListener) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        listener.set_nonblocking(true).unwrap();
        let inside = runtime.enter();
        accept(tokio::net::TcpListener::from_std(listener).unwrap(), &self.folder, self.faults.clone());
        drop(inside);
        self.runtime = Some(runtime);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
