//! What only one manager does: the one that leads.

use slipway_cluster::Leadership;
pub(crate) use slipway_service::lead;

use crate::error::{Error, Result};

/// To be asked right before anything is written.
///
/// # Errors
/// [`Error::NotLeader`].
pub(crate) fn must_lead(leadership: &Leadership) -> Result<()> {
    slipway_service::must_lead(leadership).map_err(|_| Error::NotLeader)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use tokio::sync::watch;
    use tokio::time::{Instant, advance, pause, resume};

    use super::*;

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
}
