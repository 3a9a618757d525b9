//! The child processes that should run as long as the loop does.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::JoinMap;

use crate::child::Child;
use crate::{Error, Result};

/// The pause before a service is started again: it doubles as long as the service ends soon.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const LONGEST: Duration = Duration::from_secs(60);
/// A service that has run for so long did not end soon.
const LONG: Duration = Duration::from_secs(120);

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

    /// Adds one that is started again whenever it ends, as a Deployment does in a cluster: the others go on without it.
    pub(crate) fn keep(
        &mut self,
        name: &'static str,
        mut child: Child,
        start: impl Fn() -> Result<Child> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.ends.spawn(name, async move {
            let mut pause = PAUSE;
            loop {
                let started = Instant::now();
                tokio::select! {
                    exit = child.wait() => tracing::warn!("{}\nit is started again", child.ended(name, exit).await),
                    () = stop.cancelled() => {
                        child.stop().await;
                        return None;
                    }
                }
                if started.elapsed() > LONG {
                    pause = PAUSE;
                }
                child = loop {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return None,
                    }
                    pause = (pause * 2).min(LONGEST);
                    match start() {
                        Ok(again) => break again,
                        // its program is not there while it is built anew
                        Err(error) => tracing::warn!("{name} cannot be started again yet: {error}"),
                    }
                };
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
