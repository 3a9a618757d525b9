//! The pull request that starts experiments.

use std::collections::{BTreeMap, BTreeSet};

use slipway_deployment::Kustomize;
use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_project::{Changes, Plan, Project, Tree, cluster, count, rendered, trainer_folder};
use slipway_source::Finding;

use crate::base::{Base, Proposal};
use crate::{Error, Opening, Remote, Result};

/// Experiment files, the declarations of their datasets, the code of their programs with its images, and their rendered TrainJobs, on top of
/// the remote's default branch. The work tree, the index and the current branch stay as they are.
#[derive(Debug)]
pub struct ExperimentProposal {
    /// What the proposal starts, stops and costs.
    pub plan: Plan,
    /// What is probably not meant in the named files.
    pub warnings: Vec<Finding>,
    base: Base,
    names: BTreeSet<String>,
    /// What differs from the base: the named files, what they need, and their rendered TrainJobs.
    changes: Changes,
    /// Files of the changes that can be executed.
    executables: BTreeSet<String>,
}

impl ExperimentProposal {
    /// Prepares the proposal of `files`, experiment files by path in the project, as they are in the tree `here`. A file that exists on
    /// the remote but not in `here` withdraws its experiment.
    ///
    /// # Errors
    /// [`Error::NotAnExperiment`], [`Error::Ignored`] and [`Error::NoSuchFile`]; [`Error::Invalid`] when the files, or what they refer to, have
    /// mistakes; when the remote cannot be fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, here: &Tree, files: &[String]) -> Result<Self> {
        // it is there for the person, though not in the tree: that is not a withdrawal
        if let Some(file) = ignored(git, files)? {
            return Err(Error::Ignored(file.clone()));
        }
        Self::on(Base::fetch(git, remote).await?, here, files)
    }

    /// Prepares the proposal of experiment files that no work tree has, by path in the project: all else is as the remote's default branch
    /// has it.
    ///
    /// # Errors
    /// [`Error::NotAnExperiment`]; [`Error::Invalid`] when the files, or what they refer to, have mistakes; when the remote cannot be
    /// fetched from.
    pub async fn of_texts(git: &Repository, remote: &Remote, texts: &BTreeMap<String, String>) -> Result<Self> {
        let base = Base::fetch(git, remote).await?;
        let mut here = base.tree.clone();
        for (file, text) in texts {
            here.insert(file, text.clone().into_bytes());
        }
        let files: Vec<String> = texts.keys().cloned().collect();
        Self::on(base, &here, &files)
    }

    /// Prepares it on a base.
    fn on(base: Base, here: &Tree, files: &[String]) -> Result<Self> {
        let before = Project::read(&base.tree);
        let (proposed, sources) = with_sources(here, &base.tree, files)?;
        let project = Project::read(&proposed);
        let names = experiments(&before, &project, files)?;
        let plan = Plan::new(&before, &project, Some(&names));
        let mut changes = sources;
        changes.extend(rendered::changes(&project, Some(&names)));
        let warnings = project.warnings.into_iter().filter(|warning| files.contains(&warning.file)).collect();
        Ok(Self { plan, warnings, base, names, changes, executables: proposed.executables().clone() })
    }

    /// The commit of the remote's default branch that it is on top of.
    #[must_use]
    pub fn base_commit(&self) -> &str {
        &self.base.commit
    }

    /// Whether the remote already has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Commits, pushes and opens the pull request. If one is already open for the same content, returns that one.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        opening: Opening,
    ) -> Result<Opened> {
        let title = self.title();
        let head = git.commit_with_executables(Some(&self.base.commit), &self.changes, &self.executables, &title)?;
        let name = self.names.first().map_or("experiment", String::as_str).to_owned();
        let body = self.base.body(&self.plan, &self.base.tree.with(&self.changes), kustomize, &opening);
        let proposal = Proposal { name, by_name: false, label: "train", title, body };
        self.base.open(git, remote, &head, proposal, opening).await
    }

    /// The pull request's title, such as `Train mnist-cnn (2 TrainJobs)`.
    fn title(&self) -> String {
        let starts: usize = self.plan.changes.iter().map(|change| change.starts.len()).sum();
        let names = self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if starts > 0 { format!("Train {names} ({})", count(starts, "TrainJob")) } else { format!("Change {names}") }
    }
}

/// The first of the files that git ignores in the work tree.
fn ignored<'a>(git: &Repository, files: &'a [String]) -> Result<Option<&'a String>> {
    let Some(ignored) = git.ignored()? else { return Ok(None) };
    for file in files {
        if git.root().join(git.path_at_top(file)).exists() && ignored.holds(file)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// The base with the named files, and with what they need, as it is in `here`: the declarations of their datasets, the code of their
/// programs, and the images of that code. Also returns the files that differ.
fn with_sources(here: &Tree, base: &Tree, files: &[String]) -> Result<(Tree, Changes)> {
    let mut tree = base.clone();
    let mut sources = Changes::new();
    let take = |tree: &mut Tree, sources: &mut Changes, file: &str| {
        if here.bytes(file) != base.bytes(file) {
            let content = here.bytes(file).map(<[u8]>::to_vec);
            match &content {
                Some(bytes) => {
                    tree.insert(file, bytes.clone());
                    tree.copy_mode(file, here);
                }
                None => tree.remove(file),
            }
            sources.insert(file.to_owned(), content);
        }
    };
    for file in files {
        if !file.starts_with("experiments/") {
            return Err(Error::NotAnExperiment(file.clone()));
        }
        if here.bytes(file).or(base.bytes(file)).is_none() {
            return Err(Error::NoSuchFile(file.clone()));
        }
        take(&mut tree, &mut sources, file);
    }
    // rendered jobs do not decide which dataset an experiment names, and there may be thousands
    let local = Project::read(&here.limited_to(&["clusters", "datasets", "experiments", "trainers"]));
    let named =
        || local.experiments.iter().filter(|source| files.contains(&source.file)).map(|source| &source.experiment);
    let datasets: BTreeSet<&String> =
        named().filter_map(|experiment| Some(&local.datasets.get(&experiment.spec.dataset)?.file)).collect();
    for file in datasets {
        take(&mut tree, &mut sources, file);
    }
    let trainers = named().filter_map(|experiment| Some((experiment, experiment.spec.work.program()?.trainer()?)));
    for (experiment, name) in trainers {
        let folder = trainer_folder(name);
        let code: BTreeSet<String> = here.files_in(&folder).chain(base.files_in(&folder)).map(str::to_owned).collect();
        for file in &code {
            take(&mut tree, &mut sources, file);
        }
        // a job must not run another image than the one of this code
        for environment in &experiment.spec.environments {
            let image = local.environments.get(environment).and_then(|found| found.cluster.trainers.get(name));
            let Some(image) = image else { continue };
            let file = cluster::path(environment);
            let Some(text) = tree.text(&file) else { continue };
            match cluster::with_trainer(&text, name, image) {
                Some(changed) if changed != text => {
                    tree.insert(&file, changed.clone().into_bytes());
                    sources.insert(file, Some(changed.into_bytes()));
                }
                _ => {}
            }
        }
    }
    Ok((tree, sources))
}

/// The names of the experiments in the files: what the files hold now, and what they held on the base.
fn experiments(before: &Project, project: &Project, files: &[String]) -> Result<BTreeSet<String>> {
    let wrong: Vec<_> = project
        .findings
        .iter()
        .filter(|finding| files.contains(&finding.file) || !finding.file.starts_with("experiments/"))
        .cloned()
        .collect();
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let of = |project: &Project| -> BTreeMap<String, String> {
        let named = project.experiments.iter().filter(|source| files.contains(&source.file));
        named.map(|source| (source.experiment.name.clone(), source.file.clone())).collect()
    };
    Ok(of(before).into_keys().chain(of(project).into_keys()).collect())
}
