//! Stops the worker on SIGTERM: a deleted job, a deadline, a node that is drained.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use slipway_experiment::Trial;
use slipway_mlflow::{Client, RunStatus};
use slipway_names::exit;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::orphan::end_orphaned_run;
use crate::{Failure, Result, RunHandle};

/// How long a signal may take that ends all workers of a job, after the first of them has ended.
const SETTLING: Duration = Duration::from_secs(3);

/// Decides who concludes a run: the worker, by registering or failing, or the signal that stops it. The first to claim it wins, so
/// that a stopped run is never registered and a registration is never interrupted.
#[derive(Clone, Debug, Default)]
pub struct Conclusion {
    claim: Arc<Mutex<()>>,
    /// The worker's claim. It is never released, because the process exits next.
    workers: Arc<OnceLock<OwnedMutexGuard<()>>>,
    run: Arc<OnceLock<RunHandle>>,
}

impl Conclusion {
    /// Listens for SIGTERM from now on. Otherwise the first process of a container ignores it.
    ///
    /// A worker that is stopped waits for `before`, marks its run as killed, and calls `end` with its exit code; `end` must not wait for
    /// what other threads do.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub fn listen(
        runtime: &Runtime,
        before: impl Future<Output = ()> + Send + 'static,
        end: fn(u8) -> !,
    ) -> Result<Self> {
        let conclusion = Self::default();
        let _inside = runtime.enter();
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| Failure::Unexpected(format!("listening for signals: {error}")))?;
        let stopped = conclusion.clone();
        runtime.spawn(async move {
            if terminate.recv().await.is_some() {
                stopped.stop(before, end).await;
            }
        });
        Ok(conclusion)
    }

    /// Sets the run that a signal marks as killed.
    pub fn set_run(&self, run_handle: RunHandle) {
        let _ = self.run.set(run_handle);
    }

    /// Claims the conclusion for the worker; it may be called twice. If a signal came first, the process exits during this call.
    pub fn claim(&self, runtime: &Runtime) {
        self.workers.get_or_init(|| runtime.block_on(Arc::clone(&self.claim).lock_owned()));
    }

    /// Claims the conclusion for a worker that failed with this exit code.
    ///
    /// Whoever stops a job sends its signals one after the other, so another worker may be gone before this one's arrives: the job was
    /// stopped then, and has not failed. So the worker with the run, if it has lost another one, gives the signal a moment.
    pub fn claim_failed(&self, runtime: &Runtime, code: u8) {
        if code == exit::PEER && self.run.get().is_some() {
            runtime.block_on(async { tokio::time::sleep(SETTLING).await });
        }
        self.claim(runtime);
    }

    /// Ends the run of a failed attempt, after [`Self::claim_failed`]. A worker without the run ends it if it has lost the one that has it:
    /// `rank_0` is where that one listened, and when it began, in milliseconds since 1970.
    pub async fn end_failed(
        &self,
        client: &Client,
        trial: &Trial,
        rank_0: Option<(SocketAddr, i64)>,
        code: u8,
        reason: &str,
    ) {
        match (self.run.get(), rank_0) {
            (Some(run_handle), _) => run_handle.end(RunStatus::Failed, reason).await,
            (None, Some((rank_0, begun))) if code == exit::PEER => end_orphaned_run(client, trial, rank_0, begun).await,
            (None, _) => {}
        }
    }

    async fn stop(self, before: impl Future<Output = ()>, end: fn(u8) -> !) {
        tracing::warn!(
            event = "stopping",
            "asked to stop (SIGTERM): the job was deleted, its deadline has passed, or its node is being drained"
        );
        // if a registration is in progress, it finishes, and the process exits by itself
        let _claim = self.claim.lock().await;
        before.await;
        if let Some(run_handle) = self.run.get() {
            run_handle.end(RunStatus::Killed, "stopped from outside (SIGTERM)").await;
        }
        tracing::warn!(event = "stopped", "nothing is registered");
        end(exit::TERMINATED);
    }
}
