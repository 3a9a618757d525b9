//! `slipway trace`: what a version, a run or a TrainJob came from.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use slipway_git::Repository;
use slipway_lineage::{CommitLineage, History, Lineage, Origin, Part, resolve};
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag;
use slipway_project::{Project, Tree, history, serving};
use slipway_proposal::numbered_version;

use crate::context::Context;
use crate::failure::Failure;
use crate::remote::RemoteArgs;
use crate::running::LoopArgs;
use crate::services;
use crate::versions::unknown_model;

#[derive(Debug, Args)]
#[command(
    after_help = "Looks up the exact content of the experiment, the commit of the default branch that brought it, and its pull request, whichever way \
                  that was merged, and the code of a program. Only the pull request needs the forge; versions and runs are asked of MLflow. Exit code 0 if everything but the \
                  pull request was found.\n\n\
                  Examples:\n  slipway trace mnist                # a model's newest version, served or not\n  slipway trace mnist@3\n  \
                  slipway trace mnist-cnn-60e09a4e   # a TrainJob\n  slipway trace 0123456789abcdef0123456789abcdef -o json   # a run of MLflow"
)]
pub(crate) struct Trace {
    /// A model, a version of it (`mnist@3`), a TrainJob, or the id of a run
    subject: String,
    /// The revision whose history is searched [default: the remote's default branch, as it was fetched last]
    #[arg(long, value_name = "REV")]
    branch: Option<String>,
    /// The environment that the job ran in [default: whichever has it]
    #[arg(long, value_name = "ENV")]
    environment: Option<String>,
    #[command(flatten)]
    remote: RemoteArgs,
    #[command(flatten)]
    running: LoopArgs,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Traced {
    /// The version that was asked for; `None` for a run or a TrainJob.
    version: Option<TracedVersion>,
    /// The run that was asked for, or that made the version.
    run: Option<String>,
    #[serde(flatten)]
    lineage: Lineage,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TracedVersion {
    model: String,
    version: String,
    /// Whether only the model was named, whose newest version it is.
    is_newest_of_model: bool,
    /// The version of the model that is in service in each environment that has one, as the searched branch says.
    in_service: BTreeMap<String, u64>,
    /// The digest of its content.
    digest: Option<String>,
}

impl TracedVersion {
    /// Why it is this version that is traced; `None` if it was named.
    fn why(&self) -> Option<String> {
        let Self { model, in_service, .. } = self;
        let services: Vec<String> =
            in_service.iter().map(|(environment, version)| format!("{model}@{version} in {environment}")).collect();
        let services = match services.is_empty() {
            true => "none is in service".to_owned(),
            false => format!("in service: {}", services.join(", ")),
        };
        self.is_newest_of_model
            .then(|| format!("the newest of {model}; {services}; `slipway trace {model}@N` traces another"))
    }
}

/// What is traced: its own origin, and the version and the run that name it.
struct Subject {
    origin: Origin,
    version: Option<TracedVersion>,
    run: Option<String>,
}

impl Trace {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let git = Repository::project(&context.root)?;
        let running = self.running.find(context)?.map(|(_, state)| state);
        let remote = self.remote.find(&git, running.as_ref());
        let history = match &self.branch {
            Some(branch) => History::at(&git, branch),
            None => {
                let found = remote.as_ref().ok();
                // the remote's history is here even if nothing leads to its forge
                let name = found.map_or_else(|| self.remote.name(), |remote| remote.name.as_str());
                History::of_remote(&git, Some(name), found.map(|remote| &remote.forge))?
            }
        };
        if let Some(warning) = &history.warning {
            context.warn(format!("{warning}; or name a branch with --branch"));
        }
        let mlflow = || services::mlflow(running.as_ref());
        let subject = self.subject(&history, mlflow).await?;
        let mut lineage = resolve(&history, &subject.origin)?;
        let forge = remote.as_ref().map(|remote| &remote.forge).map_err(ToString::to_string);
        lineage.find_pull_requests(&history, forge).await;
        let traced = Traced { version: subject.version, run: subject.run, lineage };
        if !context.is_json() {
            show(context, &history, &traced);
        }
        context.json(&traced)?;
        match (traced.lineage.is_resolved(), traced.lineage.history.complete) {
            (true, _) => Ok(()),
            // this machine lacks a part of the history
            (false, false) => Err(Failure::Reported(5)),
            (false, true) => Err(Failure::Reported(3)),
        }
    }

    async fn subject(
        &self,
        history: &History,
        mlflow: impl Fn() -> Result<Client, Failure>,
    ) -> Result<Subject, Failure> {
        let name = self.subject.as_str();
        if let Some((model, version)) = name.rsplit_once('@') {
            let number: u64 = version.parse().map_err(|_| {
                Failure::Input(format!("{name}: `{version}` is not a version's number: name one as in {model}@3"))
            })?;
            let mlflow = mlflow()?;
            let versions = mlflow.search_model_versions(model).await?;
            if versions.is_empty() {
                return Err(unknown_model(&mlflow, model).await?.into());
            }
            return self.of_version(history, numbered_version(model, number, &versions)?, false);
        }
        if name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let run = mlflow()?.get_run(name).await?;
            let origin = Origin::of_tags(&run.tags).ok_or_else(|| no_train_job(&format!("run {name}")))?;
            return Ok(Subject { origin: self.located(origin), version: None, run: Some(run.run_id) });
        }
        let origin = self.located(Origin::of_train_job(name));
        let is_job = resolve(history, &origin)?.train_job.file.is_some();
        if is_job {
            return Ok(Subject { origin, version: None, run: None });
        }
        if let Some(jobs) = jobs_of(history, name)? {
            return Err(Failure::Input(format!(
                "{name} is an experiment: name one of its TrainJobs: {jobs}; or a version of a model, as in {name}@1"
            )));
        }
        let looks_like_a_job = name
            .rsplit_once('-')
            .is_some_and(|(_, hash)| hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let mlflow = match mlflow() {
            Ok(mlflow) => mlflow,
            // the lineage itself says why it was not found
            Err(_) if looks_like_a_job => return Ok(Subject { origin, version: None, run: None }),
            Err(failure) => {
                return Err(failure.during(&format!(
                    "{name} is not a TrainJob of {}, and no model can be looked up",
                    history.branch
                )));
            }
        };
        match mlflow.latest_model_version(name).await? {
            Some(version) => self.of_version(history, &version, true),
            None if looks_like_a_job => Ok(Subject { origin, version: None, run: None }),
            None => Err(unknown_model(&mlflow, name).await?.into()),
        }
    }

    fn of_version(
        &self,
        history: &History,
        version: &ModelVersion,
        is_newest_of_model: bool,
    ) -> Result<Subject, Failure> {
        let named = format!("{} version {}", version.name, version.version);
        let origin = Origin::of_tags(&version.tags).ok_or_else(|| no_train_job(&named))?;
        let digest = version.tags.get(tag::DIGEST).cloned();
        let (model, number) = (version.name.clone(), version.version.clone());
        let in_service = in_service(history, &model)?;
        Ok(Subject {
            origin: self.located(origin),
            version: Some(TracedVersion { model, version: number, is_newest_of_model, in_service, digest }),
            run: version.run_id.clone(),
        })
    }

    fn located(&self, origin: Origin) -> Origin {
        origin.in_environment(self.environment.as_deref())
    }
}

fn no_train_job(what: &str) -> Failure {
    Failure::Input(format!("{what} has no tag {}: no TrainJob of Slipway made it", tag::TRAINJOB))
}

/// The version of a model that is in service in each environment that has one. A list with a mistake counts as none: `slipway check` says it.
fn in_service(history: &History, model: &str) -> Result<BTreeMap<String, u64>, Failure> {
    let tree = Tree::at(&history.repository, &history.revision)?;
    let version = |environment: &str| Some(serving::read(&tree, environment).ok()?.get(model)?.version);
    let mut found = BTreeMap::new();
    for environment in tree.folders_in("overlays") {
        if let Some(version) = version(&environment) {
            found.insert(environment, version);
        }
    }
    Ok(found)
}

/// The TrainJobs of an experiment of this name, with commas; `None` if there is no such experiment.
fn jobs_of(history: &History, name: &str) -> Result<Option<String>, Failure> {
    let project = Project::read(&Tree::at(&history.repository, &history.revision)?);
    if !project.experiments.iter().any(|source| source.experiment.name == name) {
        return Ok(None);
    }
    let all = project.environments.keys().flat_map(|environment| project.rendered(name, environment));
    let mut jobs: Vec<&str> = all.map(|(_, file)| file.job.name.as_str()).collect();
    let archived = project.environments.values().flat_map(|target| &target.archived);
    jobs.extend(archived.map(String::as_str).filter(|job| history::is_of(job, name)));
    jobs.sort_unstable();
    jobs.dedup();
    Ok(Some(if jobs.is_empty() { "none is rendered yet".to_owned() } else { jobs.join(", ") }))
}

fn show(context: &Context, history: &History, traced: &Traced) {
    let line = |name: &str, text: &str| context.say(format!("{name:<13} {text}"));
    let heading = |name: &str, text: &str| context.say(context.paint("1", &format!("{name:<13} {text}")));
    let Lineage { train_job, experiment, program, dataset, unresolved, .. } = &traced.lineage;
    if let Some(version) = &traced.version {
        heading("version", &format!("{}@{}", version.model, version.version));
        if let Some(why) = version.why() {
            line("  chosen", &why);
        }
        if let Some(digest) = &version.digest {
            line("  content", digest);
        }
    }
    if let Some(run) = &traced.run {
        heading("run", run);
    }
    heading("TrainJob", &train_job.name);
    for (name, value) in [("  file", &train_job.file), ("  record", &train_job.record), ("  image", &train_job.image)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    // mostly one commit brings both
    show_commit(context, train_job.commit.as_ref().filter(|commit| Some(*commit) != experiment.commit.as_ref()));
    heading("experiment", experiment.file.as_deref().unwrap_or("unknown"));
    if let Some(blob) = &experiment.blob {
        line("  content", &format!("blob {blob}"));
    }
    show_commit(context, experiment.commit.as_ref());
    if let (Some(commit), Some(file)) = (&experiment.commit, &experiment.file) {
        line(
            "  to read it",
            &format!("{} show {}:{}", git(history), short(&commit.id), history.repository.path_at_top(file)),
        );
    }
    if let Some(program) = program {
        heading("program", program.folder.as_deref().unwrap_or("unknown"));
        line("  content", &format!("tree {}", program.tree));
        show_commit(context, program.commit.as_ref().filter(|commit| Some(*commit) != train_job.commit.as_ref()));
        if program.commit.is_some() {
            line("  to list it", &format!("{} ls-tree -r --full-tree {}", git(history), short(&program.tree)));
        }
    }
    if let Some(dataset) = dataset {
        heading("dataset", dataset.name.as_deref().unwrap_or("unknown"));
        line("  content", &dataset.digest);
    }
    line("searched", &format!("{} at {}", traced.lineage.history.branch, short(&traced.lineage.history.commit)));
    for one in unresolved {
        let color = if one.part == Part::PullRequest { "33" } else { "31" };
        context.say(context.paint(color, &format!("{}: {}", one.part, one.reason)));
    }
}

/// A git command for the repository, as a person types it where `slipway` was started.
fn git(history: &History) -> String {
    let root = history.repository.root();
    let is_inside = std::env::current_dir().is_ok_and(|folder| folder.starts_with(root));
    if is_inside && !history.repository.is_bare() { "git".to_owned() } else { format!("git -C '{}'", root.display()) }
}

fn show_commit(context: &Context, commit: Option<&CommitLineage>) {
    let Some(commit) = commit else { return };
    context.say(format!("{:<13} {} {}", "  commit", short(&commit.id), commit.subject));
    if let Some(pull_request) = &commit.pull_request {
        let url = pull_request.url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        context.say(format!("{:<13} #{}{url}", "  pull request", pull_request.number));
    }
}

/// The first eight digits of a commit's id.
fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
