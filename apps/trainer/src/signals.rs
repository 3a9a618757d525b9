//! Being stopped from outside: a deleted job, a deadline.

use slipway_mlflow::RunStatus;
use tokio::runtime::Runtime;

use crate::recorder::Ending;

/// Exit code of a program that a signal ended, as shells and Kubernetes count it.
const TERMINATED: i32 = 128 + 15;

/// On SIGTERM, marks the run as killed and exits.
pub(crate) fn end_run_when_stopped(runtime: &Runtime, ending: Ending) {
    #[cfg(unix)]
    runtime.spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};

        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        if terminate.recv().await.is_some() {
            tracing::warn!(event = "stopped", "asked to stop (SIGTERM): the job was deleted or its deadline is over");
            ending.end(RunStatus::Killed, "stopped from outside").await;
            std::process::exit(TERMINATED);
        }
    });
    #[cfg(not(unix))]
    drop((runtime, ending));
}
