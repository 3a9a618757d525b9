//! The part of Kubernetes' API that the training manager uses, for the jobs of this loop: so the manager does not know where it runs.
//!
//! It is read-only but for Leases and for what workers report about their progress: jobs come from files on main. It answers on
//! loopback, over TLS, to whoever has the token in the kubeconfig of the state folder.
//!
//! ```text
//! scheduler --Listing--> feed --objects--> store --> get, list, watch     <-- manager, kubectl
//!     ^---------notes---------- reports of progress                       <-- workers
//! ```

mod access;
mod authority;
mod connections;
mod discovery;
mod feed;
mod form;
mod identity;
mod job;
mod kubeconfig;
mod leases;
mod logs;
mod object;
mod progress;
mod query;
mod reading;
mod refusal;
mod resource;
mod routes;
mod selection;
mod store;
mod table;
mod tokens;
mod watching;

use std::fmt::{self, Debug};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub use progress::StatusServer;

use crate::task::Task;
use crate::{Error, Queue, Result};
use authority::{Authority, HOST};
use feed::Feed;
use routes::Api;
use store::Store;
use tokens::{Tokens, token};

/// The API, which has an address and does not answer yet.
pub struct Kubernetes {
    listener: TcpListener,
    url: String,
    authority: Authority,
    token: String,
    tokens: Tokens,
}

/// The authority holds a key.
impl Debug for Kubernetes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Kubernetes").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The API while it answers. Dropped, it ends.
#[derive(Debug)]
pub struct Serving {
    /// Its address.
    pub url: String,
    /// The file by which clients find it and may ask it.
    pub kubeconfig: PathBuf,
    task: Task,
}

impl Kubernetes {
    /// Takes a free port on loopback, and makes certificates and a token.
    ///
    /// # Errors
    /// When there is no port, or the certificates cannot be made.
    pub async fn bind() -> Result<Self> {
        let authority = Authority::new()?;
        let listener = TcpListener::bind(SocketAddr::from((HOST, 0))).await;
        let listener = listener.map_err(|source| Error::Port { port: 0, source })?;
        let address = listener.local_addr().map_err(|source| Error::Port { port: 0, source })?;
        let token = token()?;
        let tokens = Tokens::new(&token);
        Ok(Self { listener, url: format!("https://{address}"), authority, token, tokens })
    }

    /// Where the workers of a queue say how far they are: for its [`TrainingRuntime`](crate::TrainingRuntime).
    pub fn status_server(&self) -> StatusServer {
        StatusServer {
            url: self.url.clone(),
            certificate: self.authority.certificate.clone(),
            tokens: self.tokens.clone(),
        }
    }

    /// Shows the jobs of a queue, whose folders are in `jobs`, and writes `kubeconfig` into the state folder. Who asks before the queue knows
    /// which jobs there are waits for that.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn serve(self, queue: &Queue, jobs: &Path, state: &Path) -> Result<Serving> {
        let Self { listener, url, authority, token, tokens } = self;
        let kubeconfig = kubeconfig::write(state, &url, &authority.certificate, &token)?;
        let store = Arc::new(Store::new());
        let api = Api { store: store.clone(), notes: queue.notes(), jobs: Arc::new(jobs.to_owned()) };
        let (listing, router) = (queue.listing(), routes::router(api, tokens));
        let acceptor = TlsAcceptor::from(authority.server);
        let task = tokio::spawn(async move {
            let mut feed = Feed::new(listing);
            // whoever is told of no job believes that it is gone
            feed.complete(&store).await;
            tokio::join!(feed.follow(&store), connections::serve(listener, acceptor, router));
        });
        Ok(Serving { url, kubeconfig, task: Task::new("the Kubernetes API", task) })
    }
}

impl Serving {
    /// Returns when it has ended by itself. May be dropped and called again.
    pub async fn failure(&mut self) -> Error {
        self.task.failure().await
    }

    /// Ends it and waits until nobody can connect.
    ///
    /// # Errors
    /// When it had panicked before.
    pub async fn shutdown(self) -> Result<()> {
        self.task.abort().await
    }
}
