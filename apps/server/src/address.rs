//! What an address answers for.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use slipway_samples::Sampler;
use tokio::sync::watch;

use crate::body::Memory;
use crate::drain::Drain;
use crate::feedback::Feedback;
use crate::follow::Readiness;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::refusal::Refusal;
use crate::workers::Workers;

/// Which versions an address answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Those in service: for everybody.
    InService,
    /// Every registered version, which is loaded when it is asked for: for the page and for people inside.
    Registered,
}

/// The state that all handlers share.
#[derive(Clone)]
pub struct App {
    /// The models that answer.
    pub models: Arc<Models>,
    /// The threads that run them.
    pub workers: Arc<Workers>,
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the first list is in service.
    pub ready: watch::Receiver<Readiness>,
    /// Whether the server was asked to stop.
    pub drain: Drain,
    /// The memory for requests' bodies.
    pub memory: Memory,
    /// Takes requests into the sample, if there is one.
    pub sampler: Option<Sampler>,
    /// What takes feedback, if it is on.
    pub feedback: Option<Arc<Feedback>>,
}

/// One address, and what it answers for.
#[derive(Clone)]
pub struct Address {
    /// What all addresses share.
    pub app: Arc<App>,
    /// The versions that it answers for.
    pub versions: Versions,
}

/// A version in the list of the protocol's repository extension.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// `READY` or `UNAVAILABLE`.
    pub state: &'static str,
    /// Why it is not ready.
    pub reason: &'static str,
}

impl App {
    /// Whether requests should be sent here.
    ///
    /// # Errors
    /// 503 with the reason why not.
    pub fn is_ready(&self) -> Result<(), Refusal> {
        if self.drain.has_begun() {
            return Err(Refusal::unavailable("the server was asked to stop; it still answers for a while"));
        }
        self.ready.borrow().clone().map_err(Refusal::unavailable)
    }
}

impl Address {
    /// What takes feedback at this address, if it is on here.
    pub fn feedback(&self) -> Option<&Arc<Feedback>> {
        let here = |feedback: &&Arc<Feedback>| self.versions == Versions::Registered || feedback.is_public();
        self.app.feedback.as_ref().filter(here)
    }

    /// A model's version in service, or the version that is asked for.
    ///
    /// # Errors
    /// 404 when this address does not answer for it; 503 when it cannot be loaded now.
    pub async fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, Refusal> {
        match (self.versions, version) {
            (Versions::Registered, Some(version)) => self.app.models.find_registered(name, version).await,
            _ => self.app.models.find_in_service(name, version),
        }
    }

    /// The versions of every model that this address answers for, the one in service first and then the newest; and whether they are
    /// complete. Without MLflow, the versions in service still answer.
    pub async fn versions(&self) -> (BTreeMap<String, Vec<String>>, bool) {
        let in_service = self.app.models.in_service();
        let mut versions: BTreeMap<String, Vec<String>> =
            in_service.iter().map(|(name, loaded)| (name.clone(), vec![loaded.version.clone()])).collect();
        if self.versions == Versions::InService {
            return (versions, true);
        }
        let Some(registered) = self.app.models.registered().await else { return (versions, false) };
        for version in registered.iter() {
            let of_model = versions.entry(version.name.clone()).or_default();
            if of_model.first() != Some(&version.version) {
                of_model.push(version.version.clone());
            }
        }
        (versions, true)
    }

    /// The loaded versions that this address answers for.
    pub fn loaded(&self) -> Vec<Arc<Loaded>> {
        match self.versions {
            Versions::Registered => self.app.models.loaded(),
            Versions::InService => self.app.models.in_service().values().cloned().collect(),
        }
    }

    /// The loaded versions, or those of a model: the one in service or the one that is asked for.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub async fn counted(&self, name: &str, version: Option<&str>) -> Result<Vec<Arc<Loaded>>, Refusal> {
        if name.is_empty() { Ok(self.loaded()) } else { Ok(vec![self.find(name, version).await?]) }
    }

    /// Every version that this address answers for, or every one that is loaded.
    pub async fn index(&self, only_ready: bool) -> Vec<Entry> {
        let (versions, _) = self.versions().await;
        let loaded = self.loaded();
        let all = versions
            .into_iter()
            .flat_map(|(name, versions)| versions.into_iter().map(move |version| (name.clone(), version)));
        all.filter_map(|(name, version)| {
            let ready = loaded.iter().any(|loaded| loaded.name == name && loaded.version == version);
            let (state, reason) = if ready { ("READY", "") } else { ("UNAVAILABLE", "loaded when it is asked for") };
            (ready || !only_ready).then_some(Entry { name, version, state, reason })
        })
        .collect()
    }
}
