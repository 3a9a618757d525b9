//! Freed memory goes back to the system.

use std::convert::Infallible;
use std::time::Duration;

/// How often.
const PAUSE: Duration = Duration::from_secs(30);

/// Gives freed memory back to the system, again and again. A service reads a lot when it starts and when something happens, and needs little of that
/// afterwards, but the allocator keeps what lies between blocks in use.
pub(crate) async fn give_memory_back() -> Infallible {
    loop {
        tokio::time::sleep(PAUSE).await;
        slipway_allocator::trim();
    }
}
