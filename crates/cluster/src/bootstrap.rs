//! From an empty cluster to one that follows git: what has to be put into it once, in order, and each step waited for.
//!
//! Every step compares with what exists, so the whole may be run again at any time: after an interruption it continues.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, Patch, PatchParams, TypeMeta};
use serde::Serialize;
use serde_json::json;
use slipway_names::annotation::ENVIRONMENT;

use crate::applications::{Component, is_held};
use crate::apply::{ApplyOptions, Outcome};
use crate::connection::Cluster;
use crate::deadline::Deadline;
use crate::diagnosis::examine;
use crate::error::{Error, Result};
use crate::fields::{namespace, title};
use crate::secrets::{self, Credential};
use crate::tree::{Expected, Goal, wait_for_tree};

/// The field manager that Argo CD itself applies as: what it takes over is already its own.
const ARGOCD: &str = "argocd-controller";

/// The field manager of what remains ours.
const SLIPWAY: &str = "slipway";

/// More training jobs than this are not started in a new cluster unless someone asks for it.
const HANDFUL: usize = 5;

/// What goes into a cluster.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The environment's name.
    pub environment: String,
    /// Argo CD's namespace.
    pub argocd_namespace: String,
    /// The tree's Namespaces.
    pub namespaces: Vec<DynamicObject>,
    /// Secrets that are not in git.
    pub credentials: Vec<Credential>,
    /// Argo CD, as it will manage itself.
    pub argocd: Vec<DynamicObject>,
    /// The root Application and its project.
    pub root: Vec<DynamicObject>,
    /// The Applications that the root brings, itself included.
    pub applications: Vec<Expected>,
    /// The training jobs; `None` if the environment has no Application for them.
    pub jobs: Option<TrainingJobs>,
}

/// The Application that deploys training jobs.
#[derive(Clone, Debug)]
pub struct TrainingJobs {
    /// It, as the root applies it.
    pub application: DynamicObject,
    /// How many jobs it deploys.
    pub count: usize,
}

/// Whether training jobs may start. They are held back by turning the automated sync of their Application off, which git says nothing
/// about: Argo CD shows what it would create, and creates none of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JobsPolicy {
    /// As it is. In a cluster that does not have the Application yet, more than a handful of jobs are held back: nothing there says which
    /// of them ran before.
    #[default]
    Keep,
    /// Hold them back.
    Hold,
    /// Start them.
    Start,
}

/// How to set a cluster up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Ask the server what would change, and change nothing.
    pub dry_run: bool,
    /// Take over an existing Argo CD.
    pub adopt: bool,
    /// How long the whole may take.
    pub timeout: Duration,
    /// Whether training jobs may start.
    pub jobs: JobsPolicy,
}

/// A step of the set-up, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// The tree's Namespaces.
    Namespaces,
    /// Secrets that are not in git.
    Credentials,
    /// Argo CD.
    ArgoCd,
    /// Whether training jobs may start.
    Jobs,
    /// The root Application.
    Root,
    /// Argo CD brings the rest.
    Tree,
}

/// How many objects a step touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Did not exist.
    pub created: usize,
    /// Were different.
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
    /// An object was applied, or a Secret was completed.
    Applied(Step, String, Outcome),
    /// What a step waits for.
    Waiting(Step, Vec<String>),
    /// The Applications, each with the time from the root's creation until it was as expected; `None` while it is not.
    Applications(Vec<(Component, Option<Duration>)>),
    /// A step is done.
    Done(Step, Duration, Summary),
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each step with its duration.
    pub steps: Vec<(Step, Duration, Summary)>,
    /// Each Application with the time from the root's creation until it was as expected.
    pub components: Vec<(String, Duration)>,
    /// How many training jobs are held back.
    pub held_jobs: usize,
}

/// Sets a cluster up. `on_event` hears what happens.
///
/// # Errors
/// When the cluster belongs to another environment or to an Argo CD that was not installed from here, when the server refuses
/// something, or when time is up; then running it again continues.
pub async fn bootstrap(
    cluster: &Cluster,
    content: &Bootstrap,
    options: Options,
    on_event: &(dyn Fn(Event) + Sync),
) -> Result<Report> {
    let deadline = Deadline::after(options.timeout);
    check_owner(cluster, content, options.adopt).await?;
    let run = Run { cluster, content, options, deadline, on_event };
    let mut report = Report::default();
    report.steps.push(run.namespaces().await?);
    report.steps.push(run.credentials().await?);
    report.steps.push(run.argocd().await?);
    let (done, jobs) = run.jobs().await?;
    report.steps.push(done);
    report.held_jobs = content.jobs.as_ref().filter(|_| jobs.are_held).map_or(0, |jobs| jobs.count);
    report.steps.push(run.root().await?);
    if !options.dry_run {
        let begun = run.begin(Step::Tree);
        report.components = run.tree(jobs).await?;
        report.steps.push(run.done(Step::Tree, begun, Summary::default()));
    }
    Ok(report)
}

/// Refuses a cluster that is set up as something else.
async fn check_owner(cluster: &Cluster, content: &Bootstrap, adopt: bool) -> Result<()> {
    let namespace = &content.argocd_namespace;
    let context = cluster.context();
    let found = Api::<Namespace>::all(cluster.client().clone()).get_opt(namespace).await;
    let found = found.map_err(|error| cluster.failed(&format!("Namespace {namespace}"), error))?;
    match found.as_ref().and_then(|found| found.annotations().get(ENVIRONMENT)) {
        Some(environment) if *environment == content.environment => Ok(()),
        Some(other) => Err(Error::Taken(format!(
            "the cluster of context {context} is environment `{other}`, not `{}`: name the right one with --context; to turn it into \
             the other environment, remove the annotation {ENVIRONMENT} of namespace {namespace} first",
            content.environment
        ))),
        None if adopt => Ok(()),
        None => {
            const CONTROLLER: &str = "argocd-application-controller";
            let api: Api<StatefulSet> = Api::namespaced(cluster.client().clone(), namespace);
            let found = api.get_opt(CONTROLLER).await;
            match found.map_err(|error| cluster.failed(&format!("StatefulSet {namespace}/{CONTROLLER}"), error))? {
                None => Ok(()),
                Some(_) => Err(Error::Taken(format!(
                    "the cluster of context {context} has an Argo CD in namespace {namespace} that was not installed from here: --adopt \
                     takes it over, in the version that this repository names"
                ))),
            }
        }
    }
}

struct Run<'a> {
    cluster: &'a Cluster,
    content: &'a Bootstrap,
    options: Options,
    deadline: Deadline,
    on_event: &'a (dyn Fn(Event) + Sync),
}

type Done = (Step, Duration, Summary);

/// The training jobs of a cluster after their step.
#[derive(Clone, Copy, Debug, Default)]
struct Jobs {
    /// Whether the cluster had no Application for them before.
    are_new: bool,
    are_held: bool,
}

impl Run<'_> {
    fn begin(&self, step: Step) -> Instant {
        (self.on_event)(Event::Began(step));
        Instant::now()
    }

    fn done(&self, step: Step, begun: Instant, summary: Summary) -> Done {
        let duration = begun.elapsed();
        (self.on_event)(Event::Done(step, duration, summary));
        (step, duration, summary)
    }

    fn apply_options<'m>(&'m self, manager: &'m str) -> ApplyOptions<'m> {
        ApplyOptions {
            manager,
            namespace: &self.content.argocd_namespace,
            dry_run: self.options.dry_run,
            // one at a time: what a person sees, and the error that ends it, are the same each time
            concurrency: 1,
            deadline: self.deadline,
        }
    }

    async fn apply(&self, step: Step, objects: &[DynamicObject], manager: &str) -> Result<Summary> {
        let summary = Mutex::new(Summary::default());
        let on_applied = |object: &DynamicObject, outcome| {
            summary.lock().unwrap_or_else(PoisonError::into_inner).add(outcome);
            (self.on_event)(Event::Applied(step, title(object), outcome));
        };
        self.cluster.apply(objects, self.apply_options(manager), &on_applied).await?;
        Ok(summary.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    async fn namespaces(&self) -> Result<Done> {
        let begun = self.begin(Step::Namespaces);
        let summary = self.apply(Step::Namespaces, &self.content.namespaces, ARGOCD).await?;
        self.cluster.apply_one(&self.mark(), self.apply_options(SLIPWAY)).await?;
        Ok(self.done(Step::Namespaces, begun, summary))
    }

    /// Argo CD's namespace with the name of the environment.
    fn mark(&self) -> DynamicObject {
        let types = TypeMeta { api_version: "v1".to_owned(), kind: "Namespace".to_owned() };
        let mut mark = DynamicObject { types: Some(types), metadata: Default::default(), data: serde_json::json!({}) };
        mark.metadata.name = Some(self.content.argocd_namespace.clone());
        mark.annotations_mut().insert(ENVIRONMENT.to_owned(), self.content.environment.clone());
        mark
    }

    async fn credentials(&self) -> Result<Done> {
        let (begun, mut summary) = (self.begin(Step::Credentials), Summary::default());
        let dry_run = self.options.dry_run;
        for (title, outcome) in secrets::ensure(self.cluster, &self.content.credentials, dry_run, self.deadline).await?
        {
            summary.add(outcome);
            (self.on_event)(Event::Applied(Step::Credentials, title, outcome));
        }
        Ok(self.done(Step::Credentials, begun, summary))
    }

    async fn argocd(&self) -> Result<Done> {
        let begun = self.begin(Step::ArgoCd);
        let objects = &self.content.argocd;
        let summary = self.apply(Step::ArgoCd, objects, ARGOCD).await?;
        if !self.options.dry_run {
            let on_pending = |waiting: &[String]| (self.on_event)(Event::Waiting(Step::ArgoCd, waiting.to_vec()));
            let namespace = &self.content.argocd_namespace;
            match self.cluster.wait_for_rollout(objects, namespace, self.deadline, &on_pending).await {
                Err(Error::Timeout { after, waiting }) => return Err(self.explained(after, waiting).await),
                other => other?,
            }
        }
        Ok(self.done(Step::ArgoCd, begun, summary))
    }

    /// A timeout with what the pods say.
    async fn explained(&self, after: Duration, mut waiting: Vec<String>) -> Error {
        for object in &self.content.argocd {
            let Some(types) = &object.types else { continue };
            let found = self.cluster.find(types, namespace(object), &object.name_any()).await;
            let Ok(Some(found)) = found else { continue };
            if let Ok(Some(trouble)) = examine(self.cluster, &found).await {
                for pod in trouble.pods {
                    waiting.push(format!("pod {} {}: {} {}", pod.pod, pod.container, pod.reason, pod.message));
                }
                waiting.extend(trouble.warning);
            }
        }
        Error::Timeout { after, waiting }
    }

    /// Holds training jobs back, or lets them start.
    async fn jobs(&self) -> Result<(Done, Jobs)> {
        let (begun, mut summary) = (self.begin(Step::Jobs), Summary::default());
        // without automated sync, git itself holds them back
        let is_automated = |jobs: &&TrainingJobs| {
            jobs.application.data.pointer("/spec/syncPolicy/automated").is_some_and(serde_json::Value::is_object)
        };
        let Some(TrainingJobs { application, count }) = self.content.jobs.as_ref().filter(is_automated) else {
            return Ok((self.done(Step::Jobs, begun, summary), Jobs::default()));
        };
        let types = application.types.clone().unwrap_or_default();
        let (namespace, name) = (namespace(application), application.name_any());
        let found = self.deadline.retry(async || self.cluster.find(&types, namespace, &name).await).await?;
        let are_new = found.is_none();
        let was_held = found.as_ref().is_some_and(is_held);
        let hold = match self.options.jobs {
            JobsPolicy::Hold => true,
            JobsPolicy::Start => false,
            JobsPolicy::Keep if are_new => *count > HANDFUL,
            JobsPolicy::Keep => was_held,
        };
        match found {
            // the root creates it
            None if !hold => {}
            None => {
                let mut held = application.clone();
                held.data["spec"]["syncPolicy"]["automated"]["enabled"] = json!(false);
                summary = self.apply(Step::Jobs, &[held], ARGOCD).await?;
            }
            Some(_) if hold == was_held => summary.add(Outcome::Unchanged),
            Some(_) => {
                if !self.options.dry_run {
                    // `null` removes the field, so that git decides alone again
                    let enabled = if hold { json!(false) } else { json!(null) };
                    let change = json!({"spec": {"syncPolicy": {"automated": {"enabled": enabled}}}});
                    let params = PatchParams { field_manager: Some(SLIPWAY.to_owned()), ..PatchParams::default() };
                    self.deadline
                        .retry(async || {
                            let api = self.cluster.api_of(Some(&types), namespace).await?;
                            let patched = api.patch(&name, &params, &Patch::Merge(&change)).await;
                            patched.map_err(|error| self.cluster.failed(&title(application), error))
                        })
                        .await?;
                }
                summary.add(Outcome::Changed);
                (self.on_event)(Event::Applied(Step::Jobs, title(application), Outcome::Changed));
            }
        }
        Ok((self.done(Step::Jobs, begun, summary), Jobs { are_new, are_held: hold }))
    }

    async fn root(&self) -> Result<Done> {
        let begun = self.begin(Step::Root);
        let summary = self.apply(Step::Root, &self.content.root, SLIPWAY).await?;
        Ok(self.done(Step::Root, begun, summary))
    }

    async fn tree(&self, state: Jobs) -> Result<Vec<(String, Duration)>> {
        let Bootstrap { argocd_namespace, applications, jobs, .. } = self.content;
        let held = jobs.as_ref().filter(|_| state.are_held).map(|jobs| jobs.application.name_any());
        let mut applications = applications.clone();
        for expected in &mut applications {
            if held.as_ref() == Some(&expected.name) {
                expected.goal = Goal::Seen;
            } else if expected.needs_registry && (state.are_new || state.are_held) {
                expected.goal = Goal::Synced;
            }
        }
        let on_change = |applications| (self.on_event)(Event::Applications(applications));
        wait_for_tree(self.cluster, argocd_namespace, &applications, self.deadline, &on_change).await
    }
}
