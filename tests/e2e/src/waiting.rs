//! Waiting for a condition.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Calls `check` until it succeeds, and returns its result and how long that took. `check` returns `Ok(Err(…))` with the current state if
/// the condition does not hold yet; an error of `check` itself may also be temporary.
///
/// # Errors
/// If it does not succeed within `limit`; the error holds the last state.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<Result<T, String>>,
) -> Result<(T, Duration)> {
    let began = Instant::now();
    loop {
        let last = match check() {
            Ok(Ok(found)) => return Ok((found, began.elapsed())),
            Ok(Err(state)) => state,
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > limit {
            bail!("not within {} s: {what}; last: {last}", limit.as_secs());
        }
        sleep(PAUSE);
    }
}
