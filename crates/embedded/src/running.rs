//! A loop that is up.

use std::path::Path;

use crate::kubernetes::Serving;
use crate::queue::Queue;
use crate::s3::S3;
use crate::services::Services;
use crate::state::State;
use crate::state_folder::StateFolder;
use crate::task::Task;
use crate::{Error, Jobs, Result};

/// A loop that is up. Dropped, all of it ends; [`Running::shutdown`] also waits for that.
pub struct Running {
    // Dropped in this order: nothing may write to the folder once its lock is gone.
    pub(crate) state: State,
    pub(crate) sync: Task,
    pub(crate) queue: Queue,
    pub(crate) services: Services,
    pub(crate) kubernetes: Serving,
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

    /// Returns when a part has ended by itself, which none should. May be dropped and called again.
    pub async fn failure(&mut self) -> Error {
        tokio::select! {
            error = self.queue.failure() => error,
            error = self.sync.failure() => error,
            error = self.s3.failure() => error,
            error = self.kubernetes.failure() => error,
            error = self.services.failure() => error,
        }
    }

    /// Ends everything and waits until it is gone.
    ///
    /// # Errors
    /// When `state.json` cannot be removed or a part of this process had panicked; everything has ended all the same.
    pub async fn shutdown(self) -> Result<()> {
        let Self { sync, queue, services, kubernetes, s3, folder, state: _ } = self;
        let forgotten = folder.forget();
        let sync = sync.abort().await;
        // Workers first: they still report their end to MLflow.
        let queue = queue.shutdown().await;
        services.shutdown().await;
        let kubernetes = kubernetes.shutdown().await;
        let s3 = s3.shutdown().await;
        drop(folder);
        forgotten.and(sync).and(queue).and(kubernetes).and(s3)
    }
}
