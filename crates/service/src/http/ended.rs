//! The end of this service, which long answers wait for.

use axum::http::Extensions;
use tokio::sync::watch;

/// Becomes true when the service ends. [`serve`](super::serve) gives it to each request; without it, an answer never has to end.
#[derive(Clone, Debug, Default)]
pub struct Ended(Option<watch::Receiver<bool>>);

impl Ended {
    /// One that `ended` announces.
    pub fn new(ended: watch::Receiver<bool>) -> Self {
        Self(Some(ended))
    }

    /// That of a request.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Waits for the end. If nobody can announce it any more, it has come.
    pub async fn wait(&mut self) {
        match &mut self.0 {
            Some(ended) => drop(ended.wait_for(|ended| *ended).await),
            None => std::future::pending().await,
        }
    }
}
