//! The requests of the version in service: when its sample is looked at, and what a look is.

use std::sync::Arc;
use std::time::Duration;

use slipway_evidence::{Decision, requests, unix_seconds};
use slipway_experiment::{Dataset, Monitor};
use slipway_service::backoff;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::act::{Hands, act_on_requests, is_issue};
use crate::declared::Declared;
use crate::error::Result;
use crate::published::{Published, show};
use crate::remembered::RememberedRequests;
use crate::watch::{PAUSE, Watcher};

/// The longest pause after failures.
const LONGEST: Duration = Duration::from_secs(600);
/// So long the hours of one dataset are read before others have their turn.
const SLICE: Duration = Duration::from_secs(20);

/// Whether the requests of a dataset's version are watched.
pub(crate) fn are_watched(dataset: &Dataset) -> bool {
    dataset.spec.monitor.as_ref().is_some_and(|monitor| monitor.enabled && monitor.requests.is_some())
}

impl Watcher {
    /// Looks at the requests, remembers when they are due again, and shows what came of it.
    pub(crate) async fn visit_requests(
        &self,
        declared: &Declared,
        newest: &watch::Sender<Arc<Declared>>,
        dataset: &Dataset,
        memory: &mut RememberedRequests,
        published: &Published,
    ) {
        let done = self.look_at_requests(declared, newest, dataset, memory, published).await;
        memory.commit.clone_from(&declared.commit);
        let pause = match done {
            Ok(again) => {
                memory.failures = 0;
                memory.warned.clear();
                show(published, &dataset.name, |state| state.requests.get_or_insert_default().failure = None);
                // by the clock, which is ahead of when it was looked
                Duration::from_secs(again.saturating_sub(unix_seconds()).max(1).unsigned_abs())
            }
            Err(error) => {
                self.metrics.failures.with_label_values(&["requests"]).inc();
                memory.warned.warn("the requests cannot be looked at", &format!("{}: {error}", dataset.name));
                let failure = Some(error.to_string());
                show(published, &dataset.name, |state| state.requests.get_or_insert_default().failure = failure);
                let pause = backoff(PAUSE, memory.failures, LONGEST);
                memory.failures = memory.failures.saturating_add(1);
                pause
            }
        };
        memory.due = Some(Instant::now() + pause);
    }

    /// Judges the hours that are over, and does what was decided, unless the newest commit does not want that any more. Gives when it is to be looked again,
    /// in seconds since 1970.
    async fn look_at_requests(
        &self,
        declared: &Declared,
        newest: &watch::Sender<Arc<Declared>>,
        dataset: &Dataset,
        memory: &mut RememberedRequests,
        published: &Published,
    ) -> Result<i64> {
        let cache = self.evidence_cache(dataset);
        let sources = requests::Sources {
            samples: &self.requests,
            store: &self.store,
            cache: &cache,
            mlflow: Some(&self.mlflow),
            server: self.server.as_deref(),
            forge: Some(&self.followed.remote.forge),
            slice: Some(SLICE),
        };
        let now = unix_seconds();
        let look = requests::look(&declared.tree, &self.environment, dataset, sources, &mut memory.watch, now);
        // its layout would make that of the future that watches deeper than the compiler looks
        let requests::Look { evidence, decision, again } = Box::pin(look).await?;
        let before = published.watched.borrow().get(&dataset.name).and_then(|state| state.requests.clone());
        if before.and_then(|before| before.decision).as_ref() != Some(&decision) {
            tracing::info!(event = "decided", "requests of {}: {}: {}", dataset.name, decision.what(), decision.why());
        }
        let about = evidence.as_ref().map(|evidence| (evidence.model.clone(), evidence.reference.digest));
        let is_other = about.is_some() && about != memory.about;
        if is_other {
            (memory.about, memory.reported) = (about, None);
        }
        show(published, &dataset.name, |state| {
            let shown = state.requests.get_or_insert_default();
            if is_other {
                shown.opened = None;
            }
            shown.evidence.clone_from(&evidence);
            shown.decision = Some(decision.clone());
            shown.looked_at = Some(now);
        });
        let Some(evidence) = evidence else { return Ok(again) };
        if self.followed.is_read_only() {
            return Ok(again);
        }
        let commit = Arc::clone(&newest.borrow());
        if !commit.datasets.iter().any(|one| one.name == dataset.name && are_watched(one)) {
            return Ok(again);
        }
        // what is said once about a version is not looked for at each look, nor is it said less of it later
        let matters = evidence.matters();
        let is_reported = memory.reported.is_some_and(|reported| reported || !matters);
        if is_reported && matches!(decision, Decision::Issue { .. }) {
            return Ok(again);
        }
        let monitor = dataset.spec.monitor.clone().unwrap_or_else(Monitor::undeclared);
        let hands = Hands { followed: &self.followed, leadership: &self.leadership, metrics: &self.metrics };
        let opened = act_on_requests(hands, &evidence, &decision, &monitor, is_reported).await?;
        if is_issue(&evidence, &decision) || matches!(decision, Decision::Retrain { .. }) {
            memory.reported = Some(matters);
        }
        // what was opened before is still what there is
        if opened.is_some() || !is_reported {
            show(published, &dataset.name, |state| state.requests.get_or_insert_default().opened = opened);
        }
        Ok(again)
    }
}
