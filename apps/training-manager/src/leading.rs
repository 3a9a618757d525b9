//! Leaders for the tests of what only a leader does.

use std::time::Duration;

use slipway_cluster::Leadership;
use tokio::sync::watch;
use tokio::time::{Instant, advance, pause, resume};

/// How long a leader of these tests leads.
const LEASE: Duration = Duration::from_secs(10);

/// One that leads for a while, and is never told when that has ended.
pub(crate) fn leads() -> Leadership {
    let (is_leader, until) = (watch::Sender::new(true), watch::Sender::new(Some(Instant::now() + LEASE)));
    Leadership::told(is_leader.subscribe(), until.subscribe())
}

/// The whole process stands still for longer than that.
pub(crate) async fn stand_still() {
    pause();
    advance(LEASE).await;
    resume();
}
