//! The child processes that should run as long as the loop does.

use tokio_util::sync::CancellationToken;
use tokio_util::task::JoinMap;

use crate::Error;
use crate::child::Child;

/// Child processes by name. When dropped, all of them end.
#[derive(Default)]
pub(crate) struct Services {
    /// Why each ended; `None` once it was told to end.
    ends: JoinMap<&'static str, Option<Error>>,
    stop: CancellationToken,
}

impl Services {
    pub(crate) fn add(&mut self, name: &'static str, mut child: Child) {
        let stop = self.stop.clone();
        self.ends.spawn(name, async move {
            tokio::select! {
                exit = child.wait() => Some(child.ended(name, exit).await),
                () = stop.cancelled() => {
                    child.stop().await;
                    None
                }
            }
        });
    }

    /// Returns when one of them has ended. May be dropped and called again.
    pub(crate) async fn failure(&mut self) -> Error {
        loop {
            match self.ends.join_next().await {
                Some((_, Ok(Some(error)))) => return error,
                Some((name, Err(error))) => return Error::Part { name, reason: error.to_string() },
                Some((_, Ok(None))) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Ends all of them and waits until they are gone.
    pub(crate) async fn shutdown(mut self) {
        self.stop.cancel();
        while let Some((name, ended)) = self.ends.join_next().await {
            match ended {
                Ok(None) => {}
                Ok(Some(error)) => tracing::warn!("{error}"),
                Err(error) => tracing::error!("{name} was no longer watched when it was stopped: {error}"),
            }
        }
    }
}
