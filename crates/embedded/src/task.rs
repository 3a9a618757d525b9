//! A part of the loop that runs in this process and should run as long as the loop does.

use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, Result};

/// A part of the loop in this process. Aborted when dropped.
#[derive(Debug)]
pub(crate) struct Task {
    name: &'static str,
    handle: AbortOnDropHandle<()>,
    /// Whether its end was returned already.
    reported: bool,
}

impl Task {
    /// Watches over a part, which has a name for messages.
    pub(crate) fn new(name: &'static str, handle: JoinHandle<()>) -> Self {
        Self { name, handle: AbortOnDropHandle::new(handle), reported: false }
    }

    /// Returns when the part has ended by itself, which it should not. May be dropped and called again; then it never returns a second time.
    pub(crate) async fn failure(&mut self) -> Error {
        if self.reported {
            return std::future::pending().await;
        }
        let ended = (&mut self.handle).await;
        self.reported = true;
        self.error(ended.err())
    }

    /// Waits for a part that was told to end.
    ///
    /// # Errors
    /// When it panicked.
    pub(crate) async fn join(mut self) -> Result<()> {
        if self.reported {
            return Ok(());
        }
        match (&mut self.handle).await {
            Err(error) if error.is_panic() => Err(self.error(Some(error))),
            _ => Ok(()),
        }
    }

    /// Ends the part and waits until it is gone.
    ///
    /// # Errors
    /// When it had panicked before.
    pub(crate) async fn abort(self) -> Result<()> {
        self.handle.abort();
        self.join().await
    }

    fn error(&self, ended: Option<JoinError>) -> Error {
        let reason = ended.map_or_else(|| "it ended by itself".to_owned(), |error| error.to_string());
        Error::Part { name: self.name, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_reported_with_the_name_of_its_part() {
        let mut part = Task::new("the test", tokio::spawn(async { panic!("on purpose") }));
        let text = part.failure().await.to_string();
        assert!(text.contains("the test") && text.contains("on purpose"), "{text}");
        part.join().await.unwrap();
        let part = Task::new("the test", tokio::spawn(async { panic!("on purpose") }));
        assert!(part.join().await.is_err(), "joined before anybody asked");
    }

    #[tokio::test]
    async fn an_end_on_request_is_no_failure() {
        Task::new("the test", tokio::spawn(std::future::pending())).abort().await.unwrap();
        let mut part = Task::new("the test", tokio::spawn(async {}));
        assert!(part.failure().await.to_string().contains("ended by itself"));
    }
}
