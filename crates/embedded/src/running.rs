//! A loop that is up.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::begin::AbortOnDrop;
use crate::child::Child;
use crate::queue::{Jobs, Queue};
use crate::s3::S3;
use crate::state::{State, StateFolder};
use crate::{Error, JobStatus, Result};

/// A loop that is up. Dropped, all of it ends; [`Running::shutdown`] also waits for that.
pub struct Running {
    // Dropped in this order: nothing may write to the folder once its lock is gone.
    pub(crate) state: State,
    pub(crate) sync: AbortOnDrop,
    pub(crate) queue: Arc<Queue>,
    pub(crate) services: Services,
    pub(crate) s3: S3,
    pub(crate) folder: StateFolder,
}

impl Running {
    /// Where the parts are.
    pub fn addresses(&self) -> &State {
        &self.state
    }

    /// The state folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A view of the jobs.
    pub fn jobs(&self) -> Jobs {
        self.queue.jobs()
    }

    /// Returns a job's status once it is finished; it need not be on main yet.
    ///
    /// # Errors
    /// When the loop ends before.
    pub async fn wait_for_job(&self, name: &str) -> Result<JobStatus> {
        self.jobs().finished(name).await
    }

    /// Returns when a part has ended that should not have. May be dropped and called again.
    pub async fn failure(&mut self) -> Error {
        self.services.failure().await
    }

    /// Ends everything and waits until it is gone.
    ///
    /// # Errors
    /// When `state.json` cannot be removed; everything has ended all the same.
    pub async fn shutdown(self) -> Result<()> {
        let Self { sync, queue, services, s3, folder, state: _ } = self;
        let forgotten = folder.forget();
        sync.0.abort();
        // Aborted, it lets go of its share of the queue.
        let mut sync = sync;
        let _ = (&mut sync.0).await;
        // Workers first: they still tell MLflow that they end.
        if let Some(queue) = Arc::into_inner(queue) {
            queue.shutdown().await;
        }
        services.shutdown().await;
        s3.shutdown().await;
        drop(folder);
        forgotten
    }
}

/// Children that should run as long as the loop does.
#[derive(Default)]
pub(crate) struct Services {
    tasks: JoinSet<Option<Error>>,
    end: CancellationToken,
}

impl Services {
    pub(crate) fn add(&mut self, name: &'static str, mut child: Child) {
        let end = self.end.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                exit = child.wait() => {
                    Some(Error::Ended { name, how: exit.to_string(), log: child.log.clone(), tail: child.tail(15) })
                }
                () = end.cancelled() => {
                    child.stop().await;
                    None
                }
            }
        });
    }

    async fn failure(&mut self) -> Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Some(error))) => return error,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    async fn shutdown(mut self) {
        self.end.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
