//! The TrainJobs of the cluster, as their objects show them.

mod objects;
mod store;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt as _, select_all};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::runtime::watcher;
use kube::{Api, Resource};
use slipway_cluster::{Cluster, JOBSET, JobSet, TrainJob, Training, WARNINGS, Warning, WorkerPod};
use tokio::sync::watch;
use tokio::time::Instant;

use objects::{Change, Objects};
use store::Step;

use slipway_service::Warned;

/// How long changes are gathered before they are shown: a job of fifty workers changes its state fifty times within a moment.
const GATHERING: Duration = Duration::from_millis(150);
/// The objects that one answer of a list holds. A JobSet has 30 KB on a real cluster, and a page is in memory twice while it is read.
const PAGE: u32 = 100;

/// What is known of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The TrainJobs by name.
    pub trainings: BTreeMap<String, Arc<Training>>,
    /// Whether every kind was listed once, so that what is not here is not in the cluster.
    pub is_complete: bool,
}

/// Follows the TrainJobs of a namespace for ever: one list of each kind, then every change. A watch that breaks is taken up again, and what was
/// missed meanwhile is listed; until then everything stays as it was.
pub async fn follow(cluster: &Cluster, namespace: &str, observed: &watch::Sender<Arc<Observed>>) -> Infallible {
    let mut changes = changes(cluster, namespace);
    let (mut objects, mut shown) = (Objects::default(), Observed::default());
    let mut warned: BTreeMap<&str, Warned> = BTreeMap::new();
    let mut due: Option<Instant> = None;
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => None,
        };
        match change {
            Some((kind, Ok(change))) => {
                warned.entry(kind).or_default().clear();
                objects.apply(change);
                if objects.is_complete() && objects.has_changed(shown.is_complete) {
                    due.get_or_insert_with(|| Instant::now() + GATHERING);
                }
            }
            Some((kind, Err(error))) => {
                let what = format!("the {kind} of the namespace {namespace} are not up to date");
                warned.entry(kind).or_default().warn(&what, &error);
            }
            None => {
                due = None;
                objects.show(&mut shown.trainings);
                shown.is_complete = true;
                observed.send_replace(Arc::new(shown.clone()));
            }
        }
    }
}

type Changes = BoxStream<'static, (&'static str, slipway_cluster::Result<Change>)>;

/// The changes of all kinds. They never end.
fn changes(cluster: &Cluster, namespace: &str) -> futures::stream::SelectAll<Changes> {
    // what it needs was read when the cluster was reached; if it is gone since, watches begin again a little more often
    let watching = cluster.watching_client().unwrap_or_else(|_| cluster.client().clone());
    let client = || watching.clone();
    let all = || watcher::Config::default().page_size(PAGE);
    let jobs = cluster.watch_all(Api::<TrainJob>::namespaced(client(), namespace), all());
    let sets = cluster.watch_all(Api::<JobSet>::namespaced(client(), namespace), all());
    // every pod that a JobSet made, and no other
    let of_sets = all().labels(JOBSET);
    let pods = cluster.watch_all(Api::<Pod>::namespaced(client(), namespace), of_sets);
    let warnings = all().fields(WARNINGS);
    let events = cluster.watch_all(Api::<Event>::namespaced(client(), namespace), warnings);
    select_all([
        named("TrainJobs", jobs, by_name, Change::Job),
        named("JobSets", sets, by_name, Change::Set),
        named("pods", pods, |pod| WorkerPod::of(&pod).map(|pod| (Objects::key(&pod.job, &pod.pod), pod)), Change::Pod),
        named(
            "events",
            events,
            |event| Warning::of(event).map(|warning| (Objects::key(warning.owner(), &warning.name), warning)),
            Change::Warning,
        ),
    ])
}

/// An object by its name, without what nobody reads here: its version, which changes more often than the rest; its annotations; and who set which of
/// its fields, which takes more memory than the rest.
fn by_name<K: Resource>(mut object: K) -> Option<(String, K)> {
    let meta = object.meta_mut();
    (meta.resource_version, meta.managed_fields, meta.annotations) = (None, None, None);
    Some((object.meta().name.clone()?, object))
}

/// The changes of one kind, each object as it is kept.
fn named<K: 'static, V: 'static>(
    kind: &'static str,
    events: impl futures::Stream<Item = slipway_cluster::Result<watcher::Event<K>>> + Send + 'static,
    keep: impl Fn(K) -> Option<(String, V)> + Send + 'static,
    change: impl Fn(Step<V>) -> Change + Send + 'static,
) -> Changes {
    events.map(move |event| (kind, event.map(|event| change(Step::of(event, &keep))))).boxed()
}
