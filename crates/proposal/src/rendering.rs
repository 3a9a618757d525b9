//! What a pull request lacks of the TrainJobs that its experiments ask for.

use std::collections::BTreeSet;

use slipway_forge::Opened;
use slipway_git::{Merge, Repository};
use slipway_project::{Changes, Project, Tree, history, jobs_folder, rendered};

use crate::{Error, Remote, Result};

/// The message of the commit.
const MESSAGE: &str = "Render the TrainJobs of this pull request's experiments";

/// A pull request's branch with the TrainJobs that its experiments ask for.
#[derive(Debug)]
pub struct Rendered {
    /// What was written, and what was removed, on top of what the branch has. Empty if it lacks nothing.
    pub changes: Changes,
    /// Whether the base branch had to be merged into it, because both rendered the same experiments.
    pub merges_base: bool,
    head: String,
    branch: String,
}

impl Rendered {
    /// Renders the experiments that a pull request adds or changes, as they are once it is merged.
    ///
    /// # Errors
    /// [`Error::NotOpen`], [`Error::OfFork`], [`Error::Conflict`]; [`Error::Invalid`] when its experiments have mistakes; when the remote cannot
    /// be fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, pull_request: &Opened) -> Result<Self> {
        let number = pull_request.number;
        if !pull_request.is_open() {
            return Err(Error::NotOpen { number, state: pull_request.state.to_string() });
        }
        if pull_request.is_fork {
            return Err(Error::OfFork { number, repository: pull_request.head_repository.clone() });
        }
        let (base_branch, branch) = (pull_request.base.clone(), pull_request.branch.clone());
        let base = remote.fetch(git, &base_branch).await?;
        let head = remote.fetch(git, &branch).await?;
        let before = Tree::at(git, &base)?;
        // a file that moved to the history is in conflict with itself
        let is_rendered = |path: &str| {
            let environments = before.folders_in("overlays");
            let mut folders = environments.iter().flat_map(|name| [jobs_folder(name), history::folder(name)]);
            folders.any(|folder| path.starts_with(&git.path_at_top(&format!("{folder}/"))))
        };
        let merge = |head: &str| match git.merge_with(&base, head, is_rendered)? {
            Merge::Tree(tree) => Ok(tree),
            Merge::Conflict(files) => Err(Error::Conflict {
                number,
                base: base_branch.clone(),
                files: files.join(", "),
                resolution: remote.forge.resolution(pull_request),
            }),
            Merge::Unrelated => Err(slipway_forge::Error::Unrelated { number, base: base_branch.clone() }.into()),
        };
        let common = git.merge_base(&base, &head)?;
        let common = common.map_or_else(|| Ok(Tree::default()), |common| Tree::at(git, &common))?;
        // what is missing at the branch alone, as long as that is all that is missing once it is merged
        let names = changed_experiments(&common, &Tree::at(git, &head)?)?;
        let changes = changes(&before, &Tree::at(git, &head)?, &names)?;
        let alone = git.commit(Some(&head), &changes, MESSAGE)?;
        let whole = git.commit_tree(&merge(&alone)?, &[&alone, &base], MESSAGE)?;
        let is_clean = matches!(git.merge(&base, &alone)?, Merge::Tree(_));
        let after = Tree::at(git, &whole)?;
        let more = self::changes(&before, &after, &names)?;
        if is_clean && more.is_empty() {
            return Ok(Self { changes, merges_base: false, head: alone, branch });
        }
        let whole = git.commit(Some(&whole), &more, MESSAGE)?;
        let merged = git.commit_tree(&git.tree_of(&whole)?, &[&head, &base], MESSAGE)?;
        Ok(Self { changes: changes.into_iter().chain(more).collect(), merges_base: true, head: merged, branch })
    }

    /// Whether the branch lacks nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && !self.merges_base
    }

    /// Pushes the commit to the pull request's branch, which only moves forward. Returns the commit as it is there.
    ///
    /// # Errors
    /// When the remote refuses, such as because somebody pushed in between.
    pub async fn push(&self, git: &Repository, remote: &Remote) -> Result<String> {
        remote.publish(git, &self.head, &self.branch).await
    }
}

/// The names of the experiments that a tree adds or changes.
fn changed_experiments(before: &Tree, after: &Tree) -> Result<BTreeSet<String>> {
    let project = Project::read(after);
    let files: Vec<&str> =
        after.written_in("experiments").filter(|file| before.bytes(file) != after.bytes(file)).collect();
    let wrong: Vec<_> = project.findings.iter().filter(|one| files.contains(&one.file.as_str())).cloned().collect();
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let named = project.experiments.iter().filter(|source| files.contains(&source.file.as_str()));
    Ok(named.map(|source| source.experiment.name.clone()).collect())
}

/// What to write into a tree. Only a TrainJob that the base branch has keeps its image and what else it names: the merge starts the others.
fn changes(base: &Tree, tree: &Tree, names: &BTreeSet<String>) -> Result<Changes> {
    let mut project = Project::read(tree);
    project.compare_with(base);
    let elsewhere: Vec<_> =
        project.findings.iter().filter(|finding| !finding.file.starts_with("experiments/")).cloned().collect();
    if !elsewhere.is_empty() {
        return Err(Error::Invalid(elsewhere));
    }
    Ok(rendered::changes(&project, Some(names)))
}
