//! From an empty cluster to one that follows git: what has to be put into it once, in order, each step waited for.
//!
//! Every step asks what is there first, so the whole may be run again at any time: after a break it goes on where it was.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use crate::applications::{Component, components};
use crate::apply::Outcome;
use crate::connection::Cluster;
use crate::diagnosis::examine;
use crate::error::{Error, Result};
use crate::fields::text;
use crate::order;
use crate::rollout::waiting_for;
use crate::secrets::{self, Credential};
use crate::waiting::{Deadline, Look};

/// The field manager that Argo CD itself applies as: what it takes over is already its own.
const ARGOCD: &str = "argocd-controller";

/// The field manager of what stays ours.
const OURS: &str = "slipway";

/// The environment that a cluster was set up as, on Argo CD's namespace.
const ENVIRONMENT: &str = "slipway.dev/environment";

/// What goes into a cluster.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The environment's name.
    pub environment: String,
    /// Argo CD's namespace.
    pub argocd_namespace: String,
    /// The tree's Namespaces.
    pub namespaces: Vec<Value>,
    /// Secrets that are not in git.
    pub credentials: Vec<Credential>,
    /// Argo CD, as it will manage itself.
    pub argocd: Vec<Value>,
    /// The root Application and its project.
    pub root: Vec<Value>,
    /// The Applications that will be there.
    pub applications: Vec<Expected>,
}

/// An Application that will be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// Whether it must be healthy; else it is enough that it is synced, as with jobs that run as long as they run.
    pub healthy: bool,
}

/// How.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Ask the server what would change, and change nothing.
    pub dry_run: bool,
    /// Take over an Argo CD that is there already.
    pub adopt: bool,
    /// How long the whole may take.
    pub timeout: Duration,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// The tree's Namespaces.
    Namespaces,
    /// Secrets that are not in git.
    Credentials,
    /// Argo CD.
    ArgoCd,
    /// The root Application.
    Root,
    /// Argo CD brings the rest.
    Tree,
}

/// How many objects a step touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Were not there.
    pub created: usize,
    /// Held something else.
    pub changed: usize,
    /// Were as they must be.
    pub unchanged: usize,
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Changed => self.changed += 1,
            Outcome::Unchanged => self.unchanged += 1,
        }
    }
}

/// What happens, as it happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step begins.
    Began(Step),
    /// An object was dealt with.
    Applied(Step, String, Outcome),
    /// A step waits for this.
    Waiting(Step, Vec<String>),
    /// The Applications, with how long each has been as it should be since the tree began to grow.
    Tree(Vec<(Component, Option<Duration>)>),
    /// A step is done.
    Done(Step, Duration, Summary),
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each step with its time.
    pub steps: Vec<(Step, Duration, Summary)>,
    /// Each Application with the time from the root's creation until it was as it should be.
    pub components: Vec<(String, Duration)>,
}

/// Sets a cluster up. What happens is told to `tell`.
///
/// # Errors
/// When the cluster belongs to another environment or to an Argo CD of somebody else's, when the server refuses something, or when
/// time is up; then running it again goes on.
pub async fn bootstrap(
    cluster: &Cluster,
    what: &Bootstrap,
    options: Options,
    tell: &(dyn Fn(Event) + Sync),
) -> Result<Report> {
    taken(cluster, what, options.adopt).await?;
    let run = Run { cluster, options, deadline: Deadline::after(options.timeout), tell };
    let mut report = Report::default();
    report.steps.push(run.namespaces(what).await?);
    report.steps.push(run.credentials(what).await?);
    report.steps.push(run.argocd(what).await?);
    report.steps.push(run.root(what).await?);
    if !options.dry_run {
        let begun = Instant::now();
        tell(Event::Began(Step::Tree));
        report.components = run.tree(what, begun).await?;
        report.steps.push(run.done(Step::Tree, begun, Summary::default()));
    }
    Ok(report)
}

/// Refuses a cluster that is set up as something else.
async fn taken(cluster: &Cluster, what: &Bootstrap, adopt: bool) -> Result<()> {
    let namespace = &what.argocd_namespace;
    let found = cluster.get(&format!("/api/v1/namespaces/{namespace}")).await?.unwrap_or_default();
    let environment =
        found.pointer("/metadata/annotations").and_then(|all| all.get(ENVIRONMENT)).and_then(Value::as_str);
    let context = cluster.context();
    match environment {
        Some(environment) if environment == what.environment => Ok(()),
        Some(other) => Err(Error::Taken(format!(
            "the cluster of context {context} is environment `{other}`, not `{}`: name the right one with --context; if it is to change, \
             remove the annotation {ENVIRONMENT} of namespace {namespace} first",
            what.environment
        ))),
        None => {
            let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/argocd-application-controller");
            if !adopt && cluster.get(&path).await?.is_some() {
                return Err(Error::Taken(format!(
                    "the cluster of context {context} has an Argo CD in namespace {namespace} that was not installed from here: --adopt takes \
                     it over, in the version that this repository names"
                )));
            }
            Ok(())
        }
    }
}

struct Run<'a> {
    cluster: &'a Cluster,
    options: Options,
    deadline: Deadline,
    tell: &'a (dyn Fn(Event) + Sync),
}

type Done = (Step, Duration, Summary);

impl Run<'_> {
    fn done(&self, step: Step, begun: Instant, summary: Summary) -> Done {
        let took = begun.elapsed();
        (self.tell)(Event::Done(step, took, summary));
        (step, took, summary)
    }

    /// Applies objects; an API server that is away for a moment is waited for.
    async fn apply(&self, step: Step, objects: &[Value], manager: &str, summary: &mut Summary) -> Result<()> {
        for object in objects {
            let outcome = self
                .deadline
                .until(async || Ok(Look::Done(self.cluster.apply(object, manager, self.options.dry_run).await?)));
            let outcome = outcome.await?;
            summary.add(outcome);
            (self.tell)(Event::Applied(step, crate::fields::title(object), outcome));
        }
        Ok(())
    }

    async fn namespaces(&self, what: &Bootstrap) -> Result<Done> {
        let (begun, mut summary) = (Instant::now(), Summary::default());
        (self.tell)(Event::Began(Step::Namespaces));
        self.apply(Step::Namespaces, &what.namespaces, ARGOCD, &mut summary).await?;
        let mark = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": what.argocd_namespace, "annotations": { ENVIRONMENT: what.environment } },
        });
        self.cluster.apply(&mark, OURS, self.options.dry_run).await?;
        Ok(self.done(Step::Namespaces, begun, summary))
    }

    async fn credentials(&self, what: &Bootstrap) -> Result<Done> {
        let (begun, mut summary) = (Instant::now(), Summary::default());
        (self.tell)(Event::Began(Step::Credentials));
        for (title, outcome) in secrets::ensure(self.cluster, &what.credentials, self.options.dry_run).await? {
            summary.add(outcome);
            (self.tell)(Event::Applied(Step::Credentials, title, outcome));
        }
        Ok(self.done(Step::Credentials, begun, summary))
    }

    async fn argocd(&self, what: &Bootstrap) -> Result<Done> {
        let (begun, mut summary) = (Instant::now(), Summary::default());
        (self.tell)(Event::Began(Step::ArgoCd));
        let mut objects = what.argocd.clone();
        order::sort(&mut objects);
        let is_definition = |object: &Value| text(object, "/kind") == "CustomResourceDefinition";
        let (definitions, rest): (Vec<Value>, Vec<Value>) = objects.into_iter().partition(is_definition);
        self.apply(Step::ArgoCd, &definitions, ARGOCD, &mut summary).await?;
        self.settled(&definitions).await?;
        self.apply(Step::ArgoCd, &rest, ARGOCD, &mut summary).await?;
        self.settled(&rest).await?;
        Ok(self.done(Step::ArgoCd, begun, summary))
    }

    /// Waits until definitions are established and workloads are available.
    async fn settled(&self, objects: &[Value]) -> Result<()> {
        if self.options.dry_run {
            return Ok(());
        }
        let look = async || {
            let mut waiting = Vec::new();
            for object in objects {
                if matches!(
                    text(object, "/kind"),
                    "CustomResourceDefinition" | "Deployment" | "StatefulSet" | "DaemonSet"
                ) {
                    let now = self.cluster.get(&self.cluster.path_of(object).await?).await?;
                    match now {
                        Some(now) => waiting.extend(waiting_for(&now)),
                        None => waiting.push(format!("{} (gone)", crate::fields::title(object))),
                    }
                }
            }
            if waiting.is_empty() {
                return Ok(Look::Done(()));
            }
            (self.tell)(Event::Waiting(Step::ArgoCd, waiting.clone()));
            Ok(Look::Waiting(waiting))
        };
        match self.deadline.until(look).await {
            Err(Error::Timeout { after, waiting }) => Err(self.explained(objects, after, waiting).await),
            other => other,
        }
    }

    /// A timeout with what the pods say.
    async fn explained(&self, objects: &[Value], after: Duration, mut waiting: Vec<String>) -> Error {
        for object in objects {
            let Ok(path) = self.cluster.path_of(object).await else { continue };
            let Ok(Some(now)) = self.cluster.get(&path).await else { continue };
            if let Ok(Some(trouble)) = examine(self.cluster, &now).await {
                for pod in trouble.pods {
                    waiting.push(format!("pod {} {}: {} {}", pod.pod, pod.container, pod.reason, pod.message));
                }
                waiting.extend(trouble.warning);
            }
        }
        Error::Timeout { after, waiting }
    }

    async fn root(&self, what: &Bootstrap) -> Result<Done> {
        let (begun, mut summary) = (Instant::now(), Summary::default());
        (self.tell)(Event::Began(Step::Root));
        let mut objects = what.root.clone();
        order::sort(&mut objects);
        self.apply(Step::Root, &objects, OURS, &mut summary).await?;
        Ok(self.done(Step::Root, begun, summary))
    }

    /// Waits until every Application is as it should be.
    async fn tree(&self, what: &Bootstrap, begun: Instant) -> Result<Vec<(String, Duration)>> {
        let mut since: BTreeMap<String, Duration> = BTreeMap::new();
        let look = async || {
            let now = components(self.cluster, Some(&what.argocd_namespace)).await?;
            let mut waiting = Vec::new();
            let mut shown = Vec::new();
            for expected in &what.applications {
                let component = now.iter().find(|one| one.name == expected.name).cloned();
                let component =
                    component.unwrap_or_else(|| Component { name: expected.name.clone(), ..Component::default() });
                if component.sync == "Synced" && (!expected.healthy || component.health == "Healthy") {
                    since.entry(expected.name.clone()).or_insert_with(|| begun.elapsed());
                } else {
                    // what was well and is so no more has to become so again
                    since.remove(&expected.name);
                    let message =
                        if component.message.is_empty() { String::new() } else { format!(": {}", component.message) };
                    waiting.push(format!("{} ({}{message})", component.name, component.state()));
                }
                let well = since.get(&expected.name).copied();
                shown.push((component, well));
            }
            (self.tell)(Event::Tree(shown));
            Ok(if waiting.is_empty() { Look::Done(()) } else { Look::Waiting(waiting) })
        };
        self.deadline.until(look).await?;
        Ok(since.into_iter().collect())
    }
}
