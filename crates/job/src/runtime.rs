//! The asynchronous runtime of a worker.

use tokio::runtime::{Builder, Runtime};

use crate::{Failure, Result};

/// A runtime with one thread, which is enough: neither training nor a program of one's own is asynchronous.
///
/// # Errors
/// When the thread cannot be started.
pub fn runtime() -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::Unexpected(format!("cannot start the asynchronous runtime: {error}")))
}
