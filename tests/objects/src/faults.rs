//! What can go wrong between a client and its store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

/// Faults of an endpoint, to be switched on and off by a test. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    away: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    held: Arc<Mutex<Option<Held>>>,
}

/// A request that waits, or is going to.
#[derive(Clone, Debug)]
struct Held {
    method: String,
    path: String,
    taken: Arc<AtomicBool>,
    arrived: Arc<Semaphore>,
    go_on: Arc<Semaphore>,
}

/// A request that is held back.
#[derive(Debug)]
pub struct Holding(Held);

impl Faults {
    /// While it is away, every request is answered with 503.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// The next so many writes (PUT) are carried out and answered with 500.
    pub fn lose_answers(&self, count: u64) {
        self.lost.store(count, Ordering::SeqCst);
    }

    /// Holds back the next request with this method whose path contains `path`, until the result is dropped.
    #[must_use]
    pub fn hold(&self, method: &str, path: &str) -> Holding {
        let held = Held {
            method: method.to_owned(),
            path: path.to_owned(),
            taken: Arc::default(),
            arrived: Arc::new(Semaphore::new(0)),
            go_on: Arc::new(Semaphore::new(0)),
        };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held.clone());
        Holding(held)
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::SeqCst)
    }

    /// Whether the answer to a request is to be lost.
    pub(crate) fn loses(&self, method: &str) -> bool {
        let less = |left: u64| left.checked_sub(1);
        method == "PUT" && self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// Returns when the request may go on.
    pub(crate) async fn pass(&self, method: &str, path: &str) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(held) = held.filter(|held| held.method == method && path.contains(&held.path)) else { return };
        if held.taken.swap(true, Ordering::SeqCst) {
            return;
        }
        held.arrived.add_permits(1);
        // closed once nobody holds it back any more
        let _ = held.go_on.acquire().await;
    }
}

impl Holding {
    /// Returns when the request has arrived.
    pub async fn arrived(&self) {
        if let Ok(arrival) = self.0.arrived.acquire().await {
            arrival.forget();
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.0.go_on.close();
    }
}
