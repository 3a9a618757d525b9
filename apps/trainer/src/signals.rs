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

/// Who says how a run ended: the worker, by registering or failing, or the signal. Whoever takes the last word first has it,
/// so that a run that is stopped is never registered, and a registration under way is not cut in two.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWord {
    taken: Arc<Mutex<()>>,
    /// The worker's hold of it. It is not given back: what follows is the process's end.
    workers: Arc<OnceLock<OwnedMutexGuard<()>>>,
    run: Arc<OnceLock<Ending>>,
}

impl LastWord {
    /// Listens for SIGTERM from now on. As the first process of a container this one would not end by it otherwise.
    pub(crate) fn listen(runtime: &Runtime) -> Result<Self> {
        let word = Self::default();
        let _inside = runtime.enter();
        let mut terminate = signal(SignalKind::terminate())
            .map_err(|error| Failure::Unexpected(format!("listening for signals: {error}")))?;
        let stopped = word.clone();
        runtime.spawn(async move {
            if terminate.recv().await.is_some() {
                stopped.stop().await;
            }
        });
        Ok(word)
    }

    /// The run that is to be marked when a signal has the last word.
    pub(crate) fn of_run(&self, ending: Ending) {
        let _ = self.run.set(ending);
    }

    /// Takes the last word for the worker, which may have it already; when a signal has it, the process ends in here.
    pub(crate) fn take(&self, runtime: &Runtime) {
        self.workers.get_or_init(|| runtime.block_on(Arc::clone(&self.taken).lock_owned()));
    }

    async fn stop(self) {
        tracing::warn!(
            event = "stopping",
            "asked to stop (SIGTERM): the job was deleted, its deadline is over, or its node is needed"
        );
        // a registration under way is finished; the process then ends by itself
        let _taken = self.taken.lock().await;
        if let Some(ending) = self.run.get() {
            ending.end(RunStatus::Killed, "stopped from outside (SIGTERM)").await;
        }
        tracing::warn!(event = "stopped", "nothing is registered");
        slipway_c10d::exit_at_once(TERMINATED);
    }
}
