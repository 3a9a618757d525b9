//! What the registry lists, kept for a few seconds: however many clients ask, MLflow is asked once.

use std::sync::Arc;
use std::time::Duration;

use slipway_mlflow::ModelVersion;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::registry::Registry;

/// How long a list, or the failure to get one, is kept.
const FRESH: Duration = Duration::from_secs(5);
/// How long listing the registered versions may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Every registered version, the newest of each model first; `None` while the registry does not list them.
pub type Listing = Option<Arc<[ModelVersion]>>;

/// The list, which is read when it is asked for.
#[derive(Debug)]
pub struct Catalog {
    registry: Registry,
    kept: Mutex<Option<(Instant, Listing)>>,
}

impl Catalog {
    /// The list of this registry.
    pub fn new(registry: Registry) -> Self {
        Self { registry, kept: Mutex::default() }
    }

    /// The registered versions as they were at most five seconds ago.
    pub async fn list(&self) -> Listing {
        // Held while the registry is asked, so that everybody else waits for the same answer.
        let mut kept = self.kept.lock().await;
        if let Some((_, listing)) = kept.as_ref().filter(|(read, _)| read.elapsed() < FRESH) {
            return listing.clone();
        }
        let listing = self.read().await;
        *kept = Some((Instant::now(), listing.clone()));
        listing
    }

    async fn read(&self) -> Listing {
        let reason = match tokio::time::timeout(TIMEOUT, self.registry.all()).await {
            Ok(Ok(versions)) => return Some(versions.into()),
            Ok(Err(refusal)) => refusal.message,
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        tracing::warn!(event = "registry_not_listed", "{reason}");
        None
    }
}
