//! Waiting for the Applications that the root Application brings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Api, DynamicObject};

use crate::applications::{Component, application_resource};
use crate::connection::Cluster;
use crate::deadline::Deadline;
use crate::error::Result;

/// An Application that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The Application's name.
    pub name: String,
    /// What is waited for.
    pub goal: Goal,
    /// Whether it becomes healthy only if the registry holds what git names, which a new cluster's does not before a restore.
    pub needs_registry: bool,
}

/// The state that an Application must reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Argo CD has compared it with git: enough for one that is held back.
    Seen,
    /// Synced: enough for jobs, which run as long as they run.
    Synced,
    /// Synced and healthy.
    Healthy,
}

impl Expected {
    fn is_met(&self, component: &Component) -> bool {
        match self.goal {
            Goal::Seen => !component.sync.is_empty(),
            Goal::Synced => component.sync == "Synced",
            Goal::Healthy => component.is_green(),
        }
    }
}

/// Watches the Applications of a namespace until each is as expected, and returns after how long each was. `on_change` hears of all
/// of them at each change, with that time; `None` for those that are not as expected.
///
/// # Errors
/// When time is up, with the Applications that are not as expected; or when the API server refuses.
pub(crate) async fn wait_for_tree(
    cluster: &Cluster,
    namespace: &str,
    expected: &[Expected],
    deadline: Deadline,
    on_change: &(dyn Fn(Vec<(Component, Option<Duration>)>) + Sync),
) -> Result<Vec<(String, Duration)>> {
    let resource = application_resource();
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().clone(), namespace, &resource);
    let applications = cluster.watch_list(api, resource, "the Applications of Argo CD".to_owned());
    let mut tree = Tree { expected, start: Instant::now(), met: BTreeMap::new() };
    let pending = |found: Vec<Arc<DynamicObject>>| {
        let (shown, waiting) = tree.update(found.iter().map(|application| Component::of(application)).collect());
        on_change(shown);
        waiting
    };
    deadline.follow(applications, pending).await?;
    Ok(tree.met.into_iter().collect())
}

struct Tree<'a> {
    expected: &'a [Expected],
    start: Instant,
    /// Since when each Application is as expected.
    met: BTreeMap<String, Duration>,
}

impl Tree<'_> {
    /// Takes the Applications as they are; returns the expected ones with the time of each, and what is still waited for.
    fn update(&mut self, found: Vec<Component>) -> (Vec<(Component, Option<Duration>)>, Vec<String>) {
        let mut found: BTreeMap<String, Component> = found.into_iter().map(|one| (one.name.clone(), one)).collect();
        let (mut shown, mut waiting) = (Vec::new(), Vec::new());
        for expected in self.expected {
            let missing = || Component { name: expected.name.clone(), ..Component::default() };
            let component = found.remove(&expected.name).unwrap_or_else(missing);
            if expected.is_met(&component) {
                self.met.entry(expected.name.clone()).or_insert_with(|| self.start.elapsed());
            } else {
                // one that was well and no longer is has to become so again
                self.met.remove(&expected.name);
                let message =
                    if component.message.is_empty() { String::new() } else { format!(": {}", component.message) };
                waiting.push(format!("{} ({}{message})", component.name, component.state()));
            }
            shown.push((component, self.met.get(&expected.name).copied()));
        }
        (shown, waiting)
    }
}
