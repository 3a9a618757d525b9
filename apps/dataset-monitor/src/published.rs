//! What leaves the monitor: what is known of each dataset, and whether git was read.

use std::sync::Arc;

use tokio::sync::watch;

use crate::watched::{DatasetState, Watched};

/// Where what is known leaves the monitor.
#[derive(Debug)]
pub struct Published {
    /// What is known of each dataset.
    pub watched: watch::Sender<Arc<Watched>>,
    /// Whether git has been read once; otherwise what is still awaited.
    pub ready: watch::Sender<Result<(), String>>,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            watched: watch::Sender::default(),
            ready: watch::Sender::new(Err("git has not been read yet".to_owned())),
        }
    }
}

/// Changes what is shown of a dataset that is watched.
pub(crate) fn show(published: &Published, name: &str, change: impl FnOnce(&mut DatasetState)) {
    published.watched.send_if_modified(|watched| {
        let Some(state) = watched.get(name) else { return false };
        let mut after = (**state).clone();
        change(&mut after);
        if after == **state {
            return false;
        }
        Arc::make_mut(watched).insert(name.to_owned(), Arc::new(after));
        true
    });
}
