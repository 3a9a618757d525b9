//! The pull request that starts experiments.

use std::collections::{BTreeMap, BTreeSet};

use slipway_deployment::{Kustomize, in_pull_request};
use slipway_forge::{Opened, PullRequest};
use slipway_git::Repository;
use slipway_project::plan_markdown::markdown_with;
use slipway_project::{Changes, Plan, Project, Tree, count, rendered};

use crate::{Error, Remote, Result};

/// Experiment files, the declarations of their datasets and their rendered TrainJobs, on top of the remote's default branch. The work tree,
/// the index and the current branch stay as they are.
#[derive(Debug)]
pub struct ExperimentProposal {
    /// What the proposal starts, stops and costs.
    pub plan: Plan,
    base: Base,
    names: BTreeSet<String>,
    /// What differs from the base: the named files, the declarations of their datasets, and their rendered TrainJobs.
    changes: Changes,
}

/// What the pull request is merged into.
#[derive(Debug)]
struct Base {
    branch: String,
    commit: String,
    tree: Tree,
}

impl ExperimentProposal {
    /// Prepares the proposal of `files`, experiment files by path in the project, as they are in the tree `here`. A file that exists on
    /// the remote but not in `here` withdraws its experiment.
    ///
    /// # Errors
    /// [`Error::NotAnExperiment`] and [`Error::NoSuchFile`]; [`Error::Invalid`] when the files, or what they refer to, have mistakes; when the remote cannot be
    /// fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, here: &Tree, files: &[String]) -> Result<Self> {
        let branch = remote.forge.default_branch().await?;
        let commit = git.fetch(&remote.name, &branch)?;
        let tree = Tree::at(git, &commit)?;
        let base = Base { branch, commit, tree };
        let before = Project::read(&base.tree);
        let (proposed, sources) = with_sources(here, &base.tree, files)?;
        let project = Project::read(&proposed);
        let names = experiments(&before, &project, files)?;
        let plan = Plan::new(&before, &project, Some(&names));
        let mut changes = sources;
        changes.extend(rendered::changes(&project, Some(&names)));
        Ok(Self { plan, base, names, changes })
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
    pub async fn open(self, git: &Repository, remote: &Remote, kustomize: Option<&Kustomize>) -> Result<Opened> {
        let title = self.title();
        let base = &self.base.commit;
        let head = git.commit(Some(base), &self.changes, &title)?;
        // named by its content, so that the same proposal gets the same branch
        let name = self.names.first().map_or("experiment", String::as_str);
        let branch = format!("slipway/{name}-{}-{}", short(base), short(&git.tree_of(&head)?));
        let deployed = in_pull_request(&self.base.tree, &self.base.tree.with(&self.changes), kustomize);
        let body = markdown_with(&self.plan, &deployed.summary) + &deployed.objects;
        remote.open(git, &head, PullRequest { branch, base: self.base.branch, title, body }).await
    }

    /// The pull request's title, such as `Train mnist-cnn (2 TrainJobs)`.
    fn title(&self) -> String {
        let starts: usize = self.plan.changes.iter().map(|change| change.starts.len()).sum();
        let names = self.names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        if starts > 0 { format!("Train {names} ({})", count(starts, "TrainJob")) } else { format!("Change {names}") }
    }
}

/// The first eight digits of an object's id.
pub(crate) fn short(id: &str) -> &str {
    &id[..8.min(id.len())]
}

/// The base with the named files, and with the declarations of the datasets that they need, as they are in `here`. Also
/// returns the files that differ.
fn with_sources(here: &Tree, base: &Tree, files: &[String]) -> Result<(Tree, Changes)> {
    let mut tree = base.clone();
    let mut sources = Changes::new();
    let mut take = |tree: &mut Tree, file: &str| {
        if here.bytes(file) != base.bytes(file) {
            let content = here.bytes(file).map(<[u8]>::to_vec);
            match &content {
                Some(bytes) => tree.insert(file, bytes.clone()),
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
        take(&mut tree, file);
    }
    // rendered jobs do not decide which dataset an experiment names, and there may be thousands
    let local = Project::read(&here.limited_to(&["clusters", "datasets", "experiments"]));
    let datasets: BTreeSet<&String> = local
        .experiments
        .iter()
        .filter(|source| files.contains(&source.file))
        .filter_map(|source| Some(&local.datasets.get(&source.experiment.spec.dataset)?.file))
        .collect();
    for file in datasets {
        take(&mut tree, file);
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
