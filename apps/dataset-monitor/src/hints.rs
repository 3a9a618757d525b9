//! Hints: somebody says that a dataset should be looked at.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// The datasets that somebody says are to be looked at. A dataset is named once however many hints there are, so nothing is full, and a busy one is in nobody's
/// way. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Hints(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    named: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Hints {
    /// Names datasets.
    pub fn add(&self, datasets: impl IntoIterator<Item = String>) {
        self.0.named.lock().unwrap_or_else(PoisonError::into_inner).extend(datasets);
        self.0.changed.notify_one();
    }

    /// Takes the datasets that were named, as soon as there are any. For one who takes.
    pub async fn take(&self) -> BTreeSet<String> {
        loop {
            let named = std::mem::take(&mut *self.0.named.lock().unwrap_or_else(PoisonError::into_inner));
            if !named.is_empty() {
                return named;
            }
            self.0.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_dataset_is_forgotten_because_of_another_one() {
        let hints = Hints::default();
        for _ in 0..1000 {
            hints.add(["busy".to_owned()]);
        }
        hints.add(["other".to_owned()]);
        assert_eq!(hints.take().await, ["busy", "other"].map(str::to_owned).into());
        // whoever waits is woken
        let waits = tokio::spawn({
            let hints = hints.clone();
            async move { hints.take().await }
        });
        tokio::task::yield_now().await;
        hints.add(["late".to_owned()]);
        assert_eq!(waits.await.unwrap(), BTreeSet::from(["late".to_owned()]));
    }
}
