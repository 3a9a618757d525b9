//! Everything that is known, from all who find something out.

use std::sync::Arc;

use tokio::sync::watch;

use crate::declared::Declared;
use crate::missing::Missing;
use crate::origins::Origins;
use crate::recorded::Recorded;
use crate::stalled::{Stalled, is_quiet};
use crate::trial::Sources;
use crate::view::PullRequest;
use crate::watch::Observed;

/// Where everything that is known arrives.
#[derive(Clone, Debug)]
pub struct Known {
    /// What git declares.
    pub declared: watch::Receiver<Arc<Declared>>,
    /// What the cluster holds.
    pub observed: watch::Receiver<Arc<Observed>>,
    /// What MLflow has.
    pub recorded: watch::Receiver<Arc<Recorded>>,
    /// Which pull requests there were.
    pub origins: watch::Receiver<Arc<Origins>>,
    /// What the cluster lacks.
    pub missing: watch::Receiver<Arc<Missing>>,
    /// The trainings that have no data.
    pub stalled: watch::Receiver<Arc<Stalled>>,
}

/// Everything that is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What git declares.
    pub declared: Arc<Declared>,
    /// What the cluster holds.
    pub observed: Arc<Observed>,
    /// What MLflow has.
    pub recorded: Arc<Recorded>,
    /// Which pull requests there were.
    pub origins: Arc<Origins>,
    /// What the cluster lacks.
    pub missing: Arc<Missing>,
    /// The trainings that have no data.
    pub stalled: Arc<Stalled>,
}

impl Known {
    /// Everything that is known now.
    pub fn now(&mut self) -> Facts {
        Facts {
            declared: Arc::clone(&self.declared.borrow_and_update()),
            observed: Arc::clone(&self.observed.borrow_and_update()),
            recorded: Arc::clone(&self.recorded.borrow_and_update()),
            origins: Arc::clone(&self.origins.borrow_and_update()),
            missing: Arc::clone(&self.missing.borrow_and_update()),
            stalled: Arc::clone(&self.stalled.borrow_and_update()),
        }
    }

    /// Returns when something has changed since the last [`now`](Self::now).
    pub async fn changed(&mut self) {
        // whoever finds something out lives as long as the manager
        tokio::select! {
            _ = self.declared.changed() => {}
            _ = self.observed.changed() => {}
            _ = self.recorded.changed() => {}
            _ = self.origins.changed() => {}
            _ = self.missing.changed() => {}
            _ = self.stalled.changed() => {}
        }
    }
}

impl Facts {
    /// Whether git and the cluster have been read, so that what is not here is not there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.observed.is_complete && !self.declared.commit.is_empty()
    }

    /// A job in the cluster, or as one that is missing there. One whose workers run and have no data is one that waits.
    #[must_use]
    pub fn training(&self, job: &str) -> Option<&Arc<slipway_cluster::Training>> {
        match self.observed.trainings.get(job) {
            // it may have begun since its workers were asked
            Some(there) if is_quiet(there) => self.stalled.get(job).or(Some(there)),
            there => there.or_else(|| self.missing.get(job)),
        }
    }

    /// The pull request that started a job, as far as that is known.
    pub(crate) fn pull_request(&self, job: &str) -> Option<&Arc<PullRequest>> {
        self.origins.pull_requests.get(&self.declared.commits.first(job)?.commit)
    }

    /// Whether the forge was asked which pull request started a job, or nobody knows what to ask it about.
    pub(crate) fn is_asked(&self, job: &str) -> bool {
        self.declared.commits.first(job).is_none_or(|brought| self.origins.asked.contains(&brought.commit))
    }

    /// What a trial is put together from.
    pub(crate) fn sources(&self, job: &str) -> Sources {
        let commit = self.declared.commits.first(job).map(|brought| brought.commit.clone()).unwrap_or_default();
        Sources {
            declared: self.declared.job(job).map(Arc::clone),
            removed: self.declared.removed.get(job).map(|one| one.removal),
            training: self.training(job).map(Arc::clone),
            run: self.recorded.runs.get(job).map(Arc::clone),
            pull_request: self.pull_request(job).map(Arc::clone),
            commit,
            tick: 0,
        }
    }
}
