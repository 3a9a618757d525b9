//! What all requests share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;
use super::{Connected, State};
use crate::view::{Experiment, Trainings, Trial};

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) state: State,
    /// Connections that get events.
    pub(crate) events: Places,
    /// Logs that are read.
    pub(crate) logs: Places,
    /// Requests that ask MLflow.
    pub(crate) tracking: Places,
    /// Writes that are done or wait.
    pub(crate) writes: Places,
    /// Only one is done at a time.
    pub(crate) writing: tokio::sync::Mutex<()>,
    /// The document of the interface.
    pub(crate) document: Vec<u8>,
}

impl Shared {
    pub(crate) fn new(state: State, document: Vec<u8>) -> Self {
        Self {
            state,
            events: Places::new(64, "streams of events"),
            logs: Places::new(32, "logs"),
            tracking: Places::new(16, "requests for what MLflow has"),
            writes: Places::new(8, "requests for pull requests"),
            writing: tokio::sync::Mutex::default(),
            document,
        }
    }

    /// What there is once git and the cluster have been read.
    ///
    /// # Errors
    /// Before: what is not known yet would look as if it did not exist.
    pub(crate) fn connected(&self) -> Result<&Connected, Problem> {
        let Some(connected) = self.state.connected.get() else {
            return Err(Problem::not_ready(slipway_service::said(&self.state.missing.borrow())));
        };
        let read = connected.read.borrow().clone();
        read.map(|()| connected).map_err(Problem::not_ready)
    }

    /// Whether this manager holds the lease.
    pub(crate) fn is_leader(&self) -> bool {
        self.state.connected.get().is_some_and(|connected| *connected.leader.borrow())
    }

    /// Everything as it is now.
    pub(crate) fn now(&self) -> Arc<Trainings> {
        Arc::clone(&self.state.trainings.borrow())
    }

    /// A trial by its name.
    pub(crate) fn trial(&self, name: &str) -> Result<Arc<Trial>, Problem> {
        let found = self.now().trial(name).cloned();
        found.ok_or_else(|| {
            Problem::unknown("trial", format!("no trial has the name {name}: /api/v1/trials lists them"))
        })
    }

    /// An experiment by its name.
    pub(crate) fn experiment(&self, name: &str) -> Result<Arc<Experiment>, Problem> {
        let found = self.now().experiments.get(name).cloned();
        found.ok_or_else(|| {
            Problem::unknown("experiment", format!("no experiment has the name {name}: /api/v1/experiments lists them"))
        })
    }
}

/// How many may do something at once.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    most: usize,
    what: &'static str,
}

impl Places {
    fn new(most: usize, what: &'static str) -> Self {
        Self { free: Arc::new(Semaphore::new(most)), most, what }
    }

    /// A place until the value is dropped.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full =
            |_| Problem::busy(format!("at most {} {} are answered at once: ask again later", self.most, self.what));
        Arc::clone(&self.free).try_acquire_owned().map_err(full)
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
    }
}
