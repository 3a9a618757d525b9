//! The runtime for commands that speak to services. A command that only reads files starts none.

use crate::failure::Failure;

/// Runs work to its end on a new runtime.
pub(crate) fn wait<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::Unexpected(format!("threads: {error}")))?;
    let result = runtime.block_on(work);
    // a blocking call that still hangs must not delay the end of the command
    runtime.shutdown_background();
    Ok(result?)
}
