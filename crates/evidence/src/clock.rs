//! The time of a look.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 by the clock of this machine, as [`look`](crate::look()) and [`requests::look`](crate::requests::look()) take them.
#[must_use]
pub fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}
