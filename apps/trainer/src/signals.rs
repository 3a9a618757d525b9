//! Being stopped from outside: a deleted job, a deadline, a node that is drained.

use std::sync::{Arc, OnceLock};

use slipway_mlflow::RunStatus;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::failure::{Failure, Result};
use crate::recorder::Ending;

/// Exit code of a program that SIGTERM ended, as shells and Kubernetes count it.
const TERMINATED: u8 = 128 + 15;

/// Who concludes a run: the worker, by registering or failing, or the signal that stops it. The first to claim it does, so that a
/// stopped run is never registered and a registration is never cut in two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conclusion {
    claim: Arc<Mutex<()>>,
    /// The worker's claim. It is never given up: the process ends next.
    workers: Arc<OnceLock<OwnedMutexGuard<()>>>,
    run: Arc<OnceLock<Ending>>,
}

impl Conclusion {
    /// Listens for SIGTERM from now on. The first process of a container ignores it otherwise.
    pub(crate) fn listen(runtime: &Runtime) -> Result<Self> {
        let conclusion = Self::default();
        let _inside = runtime.enter();
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| Failure::Unexpected(format!("listening for signals: {error}")))?;
        let stopped = conclusion.clone();
        runtime.spawn(async move {
            if terminate.recv().await.is_some() {
                stopped.stop().await;
            }
        });
        Ok(conclusion)
    }

    /// Names the run that a signal marks as killed.
    pub(crate) fn of_run(&self, ending: Ending) {
        let _ = self.run.set(ending);
    }

    /// Claims the conclusion for the worker, which may have done so before. If a signal was first, the process ends in here.
    pub(crate) fn claim(&self, runtime: &Runtime) {
        self.workers.get_or_init(|| runtime.block_on(Arc::clone(&self.claim).lock_owned()));
    }

    async fn stop(self) {
        tracing::warn!(
            event = "stopping",
            "asked to stop (SIGTERM): the job was deleted, its deadline has passed, or its node is being drained"
        );
        // a registration under way is finished; the process then ends by itself
        let _claim = self.claim.lock().await;
        if let Some(ending) = self.run.get() {
            ending.end(RunStatus::Killed, "stopped from outside (SIGTERM)").await;
        }
        tracing::warn!(event = "stopped", "nothing is registered");
        slipway_c10d::exit_at_once(TERMINATED);
    }
}
