//! What only one of several replicas does: the one that leads.

use std::convert::Infallible;
use std::future;

use slipway_cluster::{Candidacy, Cluster, Election, Leadership};

/// Another replica may write by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this replica is no longer the leader, so it writes nothing")]
pub struct NotLeader;

/// Stands for election by the Lease of this name, under the name of this pod. `candidacy` is given back by whoever ends the service.
///
/// # Errors
/// When the system gives no random numbers.
pub fn stand(
    cluster: &Cluster,
    namespace: &str,
    lease: &str,
    candidacy: &mut Option<Candidacy>,
) -> slipway_cluster::Result<Leadership> {
    let identity = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).unwrap_or_default();
    let election = Election::new(cluster, namespace, lease, &identity)?;
    Ok(candidacy.insert(election.start()).leadership())
}

/// Does something for as long as this replica is the leader, and begins again when it becomes that again.
pub async fn lead(leadership: &Leadership, work: impl AsyncFn() -> Infallible) -> Infallible {
    let mut is_leader = leadership.changes();
    loop {
        if is_leader.wait_for(|leader| *leader).await.is_err() {
            // nobody can make it the leader any more
            future::pending::<()>().await;
        }
        tracing::info!("this replica is the leader");
        let ended = async {
            if is_leader.wait_for(|leader| !leader).await.is_err() {
                // nobody can take that away any more
                future::pending::<()>().await;
            }
        };
        tokio::select! {
            never = work() => match never {},
            () = ended => tracing::info!("this replica is no longer the leader"),
        }
    }
}

/// To be asked right before anything is written: a replica that stood still for longer than its Lease, stopped or on a machine that slept, goes on
/// where it was before it is told that another one leads.
///
/// # Errors
/// [`NotLeader`].
pub fn must_lead(leadership: &Leadership) -> Result<(), NotLeader> {
    if leadership.is_leader() { Ok(()) } else { Err(NotLeader) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::watch;
    use tokio::time::{Instant, advance, pause, resume};

    use super::*;

    /// How long a leader of these tests leads.
    const LEASE: Duration = Duration::from_secs(10);

    /// One that leads for a while, and is never told when that has ended.
    fn leads() -> Leadership {
        let (is_leader, until) = (watch::Sender::new(true), watch::Sender::new(Some(Instant::now() + LEASE)));
        Leadership::told(is_leader.subscribe(), until.subscribe())
    }

    /// The whole process stands still for longer than that.
    async fn stand_still() {
        pause();
        advance(LEASE).await;
        resume();
    }

    #[tokio::test]
    async fn whoever_stood_still_leads_no_more_before_it_is_told() {
        let leadership = leads();
        assert!(must_lead(&leadership).is_ok());
        stand_still().await;
        assert!(*leadership.changes().borrow(), "it was not told");
        assert!(matches!(must_lead(&leadership), Err(NotLeader)));
    }
}
