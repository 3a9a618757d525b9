//! Waiting for a condition.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often is looked.
const AGAIN: Duration = Duration::from_millis(200);

/// Looks until it is so, and gives what was found with how long it took. `look` gives what it found, or says what is there instead;
/// a failed look is one more thing that may pass.
///
/// # Errors
/// It is not so within `limit`; says what was there last.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Result<T, String>>,
) -> Result<(T, Duration)> {
    let began = Instant::now();
    loop {
        let last = match look() {
            Ok(Ok(found)) => return Ok((found, began.elapsed())),
            Ok(Err(instead)) => instead,
            Err(error) => format!("{error:#}"),
        };
        if began.elapsed() > limit {
            bail!("not within {} s: {what}; last: {last}", limit.as_secs());
        }
        sleep(AGAIN);
    }
}
