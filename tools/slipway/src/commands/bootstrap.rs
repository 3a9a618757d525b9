//! `slipway bootstrap`: from an empty cluster to one that follows this repository.

mod progress;

use std::cell::LazyCell;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use slipway_causes::without_password;
use slipway_cluster::{
    Bootstrap as Content, Cluster, Credential, DynamicObject, Error, Examined, Expected, Goal, JobsPolicy, Options,
    Report, Requirements, Template, TrainingJobs, bootstrap, pins_architecture, preflight,
};
use slipway_deployment::{Kustomize, Programs, credentials, environments, examine, render};
use slipway_git::Repository;
use slipway_gitops::{Deployed, Environment};
use slipway_project::{Project, Tree, cluster, count, jobs_folder, serving};

use crate::context::Context;
use crate::examined::{Mark, show};
use crate::failure::Failure;
use crate::renderers::{HelmArgs, KustomizeArgs};
use crate::whole_number::parse_positive_number;
use progress::Progress;

/// The Application that manages Argo CD.
const ARGOCD: &str = "argocd";

/// The Application that installs the Gateway API's definitions.
const GATEWAY_API: &str = "gateway-api";

/// The folders of this repository that Argo CD reads.
const DEPLOYED: [&str; 4] = ["argocd", "base", "clusters", "overlays"];

#[derive(Debug, Args)]
#[command(
    after_help = "Checks the cluster, creates missing namespaces and credentials, installs Argo CD from the source that it later \
                  manages itself with, creates the root Application, and waits until everything is Synced and Healthy. Existing \
                  credentials are never overwritten. It can be run again at any time, also after an interruption. For a private \
                  repository, set SLIPWAY_REPOSITORY_TOKEN: Argo CD reads with it.\n\n\
                  A new cluster does not know which training jobs ran before, so more than five of them are held back there. \
                  Argo CD shows them as missing, and `--jobs start` starts them: after a restore, a job whose version is \
                  registered ends at once.\n\n\
                  Examples:\n  slipway bootstrap local\n  slipway bootstrap production --context prod --dry-run\n  \
                  slipway bootstrap local --jobs start"
)]
pub(crate) struct Bootstrap {
    /// A folder of clusters/
    environment: String,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long)]
    context: Option<String>,
    /// Show what would be created and changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take over an existing Argo CD
    #[arg(long)]
    adopt: bool,
    /// Hold training jobs back, or start them [default: as it is; in a new cluster, hold back more than five]
    #[arg(long, value_enum)]
    jobs: Option<Jobs>,
    /// Time limit for everything, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = parse_positive_number)]
    timeout: u64,
    /// The token that Argo CD reads a private repository with; kept only in the cluster
    #[arg(long, env = "SLIPWAY_REPOSITORY_TOKEN", hide_env_values = true, hide = true)]
    repository_token: Option<String>,
    #[command(flatten)]
    kustomize: KustomizeArgs,
    #[command(flatten)]
    helm: HelmArgs,
}

/// What becomes of training jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Jobs {
    /// Argo CD shows them, and creates none
    Hold,
    /// Argo CD creates them
    Start,
}

impl Bootstrap {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let tree = Tree::of_work_tree(&context.root)?;
        let declared = cluster::read(&tree, &self.environment).map_err(|finding| Failure::Invalid(vec![finding]))?;
        let cluster = Cluster::connect(self.context.as_deref()).await?;
        context.progress(format!("{} on context {} ({})", self.environment, cluster.context(), cluster.server()));
        let requires = &declared.spec.requires;
        // a tree that does not build is refused below
        let built = LazyCell::new(|| self.built(&tree));
        let is_pinned = || built.as_ref().is_some_and(|environment| is_pinned(environment, &requires.architectures));
        let brings_gateway_api =
            || built.as_ref().is_none_or(|environment| environment.application(GATEWAY_API).is_some());
        let required = requirements(requires, &self.environment)?;
        let examined = preflight(&cluster, &required, is_pinned, brings_gateway_api).await?;
        require_fit(context, &examined)?;

        let kustomize = self.kustomize.need()?;
        self.check(context, &tree, &kustomize)?;
        let (mut all, _) = environments(&tree, &kustomize, Some(&self.environment))?;
        let Some(environment) = all.pop() else {
            let folder = slipway_gitops::root_folder(&self.environment);
            return Err(Failure::Input(format!(
                "{} has no {folder}: there is no root Application to create",
                self.environment
            )));
        };
        self.warn_if_not_pushed(context, &environment);
        let helm = self.helm.find()?;
        let programs = Programs { kustomize: &kustomize, helm: helm.as_ref() };
        let mut content = content(&tree, &environment, programs)?;
        let token = self.repository_token.as_deref().filter(|token| !token.is_empty());
        content.credentials.extend(token.map(|token| repository(&environment, &content.argocd_namespace, token)));
        let jobs = match self.jobs {
            None => JobsPolicy::Keep,
            Some(Jobs::Hold) => JobsPolicy::Hold,
            Some(Jobs::Start) => JobsPolicy::Start,
        };
        let timeout = Duration::from_secs(self.timeout);
        let options = Options { dry_run: self.dry_run, adopt: self.adopt, timeout, jobs };
        let progress = Progress::new(context, self.dry_run);
        let done = bootstrap(&cluster, &content, options, &|event| progress.show(event)).await;
        progress.end();
        let report = done.map_err(|error| {
            let resume = format!(
                "; `slipway doctor --cluster` shows why, and `slipway bootstrap {}` continues",
                self.environment
            );
            match error {
                Error::Timeout { .. } => Failure::Service(format!("{error}{resume}")),
                other => other.into(),
            }
        })?;
        if report.held_jobs > 0 {
            context.warn(format!(
                "{} held back: if the registry comes from a backup, restore it first; then `slipway bootstrap {} --jobs start` starts \
                 them, and those whose version is registered end at once",
                match report.held_jobs {
                    1 => "1 training job is".to_owned(),
                    number => format!("{number} training jobs are"),
                },
                self.environment
            ));
        }
        if !context.is_json() {
            context.say(if self.dry_run {
                "dry run: nothing was changed".to_owned()
            } else {
                let total: Duration = report.steps.iter().map(|(_, took, _)| *took).sum();
                format!("{} in {:.1} s", count(report.components.len(), "Application"), total.as_secs_f64())
            });
        }
        context.json(&json_of(&report, &examined))
    }

    /// What the tree declares for the environment; `None` if it cannot be built.
    fn built(&self, tree: &Tree) -> Option<Environment> {
        let kustomize = self.kustomize.need().ok()?;
        environments(tree, &kustomize, Some(&self.environment)).ok()?.0.pop()
    }

    /// Refuses a tree with mistakes.
    fn check(&self, context: &Context, tree: &Tree, kustomize: &Kustomize) -> Result<(), Failure> {
        let mut project = Project::read(tree);
        project.environments.retain(|name, _| *name == self.environment);
        let deployment = examine(tree, &project, Some(kustomize))?;
        for skipped in &deployment.skipped {
            context.warn(format!("not checked: {skipped}"));
        }
        if deployment.findings.is_empty() { Ok(()) } else { Err(Failure::Invalid(deployment.findings)) }
    }

    /// Argo CD reads the remote, not this work tree.
    fn warn_if_not_pushed(&self, context: &Context, environment: &Environment) {
        let clean = Repository::project(&context.root).and_then(|git| git.is_clean(&DEPLOYED));
        let difference = match clean {
            Ok(true) => return,
            Ok(false) => "the deployed folders differ from the last commit".to_owned(),
            Err(error) => format!("cannot compare the deployed folders with the last commit ({error})"),
        };
        let followed = without_password(environment.repository());
        context.warn(format!("{difference}: Argo CD follows {followed}, so push what it should deploy"));
    }
}

/// Whether every pod of the tree names one of these architectures.
fn is_pinned(environment: &Environment, architectures: &[String]) -> bool {
    environment.objects().all(|(_, object)| pins_architecture(&object.to_json(), architectures))
}

fn content(tree: &Tree, environment: &Environment, programs: Programs<'_>) -> Result<Content, Failure> {
    // as their Applications apply them, so that Argo CD finds nothing to change
    let namespaces = environment
        .objects()
        .filter(|(_, object)| object.id.kind == "Namespace")
        .map(|(deployed, object)| deployed.application.applied(object));
    let objects = render(tree, environment, ARGOCD, programs)?;
    let argocd = environment.application(ARGOCD).map(|deployed| &deployed.application);
    let argocd = argocd.into_iter().flat_map(|argocd| objects.iter().map(move |object| argocd.applied(object)));
    let root = environment.root.iter().find(|object| object.id.kind == "Application");
    let pins = serving::read(tree, &environment.name).map_err(|finding| Failure::Invalid(vec![finding]))?;
    let pins = pins.iter().next().map(|_| serving::path(&environment.name));
    let serves_pins = |deployed: &Deployed| {
        let folders = deployed.application.sources.iter().filter_map(|source| source.path.as_deref());
        pins.as_ref().is_some_and(|path| folders.into_iter().any(|folder| path.starts_with(&format!("{folder}/"))))
    };
    let root_name = root.map(|object| object.id.name.as_str()).unwrap_or_default();
    let jobs_name = jobs_application(environment).map(|deployed| deployed.application.name());
    Ok(Content {
        environment: environment.name.clone(),
        argocd_namespace: root.map(|object| object.id.namespace.clone()).unwrap_or_default(),
        namespaces: objects_of(namespaces)?,
        credentials: credentials(tree, &environment.name).map_err(Failure::Invalid)?.made,
        argocd: objects_of(argocd)?,
        root: objects_of(environment.root.iter().map(slipway_gitops::Object::to_json))?,
        applications: environment
            .applications
            .iter()
            .map(|deployed| {
                let name = deployed.application.name();
                // jobs are healthy when they are done, however long they take, and the root when all the others are
                let goal = if name == root_name || Some(name) == jobs_name { Goal::Synced } else { Goal::Healthy };
                Expected { name: name.to_owned(), goal, needs_registry: serves_pins(deployed) }
            })
            .collect(),
        jobs: training_jobs(environment)?,
    })
}

/// The Application that deploys the folder of rendered jobs.
fn jobs_application(environment: &Environment) -> Option<&Deployed> {
    let folder = jobs_folder(&environment.name);
    let deploys = |source: &slipway_gitops::Source| source.path.as_deref() == Some(folder.as_str());
    environment.applications.iter().find(|one| one.application.sources.iter().any(deploys))
}

/// The training jobs, with their Application as the root applies it.
fn training_jobs(environment: &Environment) -> Result<Option<TrainingJobs>, Failure> {
    let Some((jobs, root)) = jobs_application(environment).zip(environment.applications.first()) else {
        return Ok(None);
    };
    let application = objects_of(std::iter::once(root.application.applied(&jobs.application.object)))?.pop();
    let count = jobs.objects.iter().filter(|object| object.id.kind == "TrainJob").count();
    Ok(application.map(|application| TrainingJobs { application, count }))
}

fn objects_of(values: impl Iterator<Item = Value>) -> Result<Vec<DynamicObject>, Failure> {
    let objects = values.map(serde_json::from_value).collect::<Result<_, _>>();
    objects.map_err(|error| Failure::Input(format!("the tree has an object that Kubernetes cannot read: {error}")))
}

/// The Secret in which Argo CD looks for a private repository's credentials.
fn repository(environment: &Environment, namespace: &str, token: &str) -> Credential {
    let data = [("url", environment.repository()), ("type", "git"), ("username", "git"), ("password", token)];
    Credential {
        namespace: namespace.to_owned(),
        name: "repo-creds-slipway".to_owned(),
        labels: [("argocd.argoproj.io/secret-type".to_owned(), "repo-creds".to_owned())].into(),
        data: data.iter().map(|(key, value)| ((*key).to_owned(), Template::literal(value))).collect(),
    }
}

fn requirements(requires: &cluster::Requires, environment: &str) -> Result<Requirements, Failure> {
    let version =
        requires.kubernetes.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let version = version.ok_or_else(|| {
        let path = cluster::path(environment);
        let found = &requires.kubernetes;
        Failure::Input(format!("{path}: requires.kubernetes is `{found}`; write a version such as \"1.33\""))
    })?;
    Ok(Requirements {
        version,
        architectures: requires.architectures.clone(),
        storage_class: requires.storage_class.clone(),
    })
}

fn require_fit(context: &Context, examined: &[Examined]) -> Result<(), Failure> {
    for one in examined {
        let mark = if one.ok { Mark::Good } else { Mark::Bad };
        show(context, mark, &one.what, &one.found, one.how.as_deref());
    }
    match examined.iter().filter(|one| !one.ok).count() {
        0 => Ok(()),
        wrong => {
            context.json(&json!({ "cluster": examined }))?;
            context.say(format!("fix {} first; nothing was changed", count(wrong, "problem")));
            Err(Failure::Reported(5))
        }
    }
}

fn json_of(report: &Report, examined: &[Examined]) -> Value {
    let steps: Vec<Value> = report
        .steps
        .iter()
        .map(|(step, took, summary)| json!({ "step": step, "seconds": took.as_secs_f64(), "objects": summary }))
        .collect();
    let components: Vec<Value> =
        report.components.iter().map(|(name, after)| json!({ "name": name, "seconds": after.as_secs_f64() })).collect();
    json!({ "cluster": examined, "steps": steps, "components": components, "heldJobs": report.held_jobs })
}
