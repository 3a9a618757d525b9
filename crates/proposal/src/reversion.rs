//! The pull request that undoes another one.

use slipway_deployment::Kustomize;
use slipway_forge::Opened;
use slipway_git::{Merge, Repository};
use slipway_markdown::on_one_line;
use slipway_project::{Changes, Plan, Project, Tree, history};

use crate::base::{Base, Proposal};
use crate::{Error, Opening, Remote, Result};

/// The most commits of a pull request that was merged by rebase.
const COMMITS: usize = 250;

/// What a merged pull request brought, taken back on top of the branch that it was merged into.
#[derive(Debug)]
pub struct Reversion {
    /// What starts and stops by it.
    pub plan: Plan,
    base: Base,
    undone: Opened,
    title: String,
    /// The commit that undoes it. Nothing refers to it yet.
    head: String,
}

impl Reversion {
    /// Prepares the reversion of a merged pull request, whichever way it was merged.
    ///
    /// # Errors
    /// [`Error::NotMerged`], [`Error::NotRevertible`]; when the remote cannot be fetched from.
    pub async fn prepare(git: &Repository, remote: &Remote, number: u64) -> Result<Self> {
        let undone = remote.forge.get(number).await?;
        let Some(merge) = undone.merge_commit.clone().filter(|_| !undone.is_open()) else {
            return Err(Error::NotMerged { number, state: undone.state.to_string() });
        };
        let base = Base::of_branch(git, remote, undone.base.clone()).await?;
        let title = on_one_line(&format!("Revert \"{}\"", undone.title));
        let message = format!("{title}\n\nThis reverts pull request #{number}.\n");
        let mut head = base.commit.clone();
        // what has run stays in the history, whatever is undone
        let keeps = |path: &str| {
            in_project(git, path).is_some_and(|path| {
                let record = history::of_rendered(path).unwrap_or_else(|| path.to_owned());
                history::is_record(&record) && base.tree.bytes(&record).is_some()
            })
        };
        for commit in merged_commits(git, remote, &undone, &merge).await? {
            let tree = match git.revert_with(&head, &commit, keeps)? {
                Merge::Tree(tree) => tree,
                Merge::Conflict(files) => return Err(Error::NotRevertible { number, files: files.join(", ") }),
                Merge::Unrelated => return Err(Error::NotRevertible { number, files: "all files".to_owned() }),
            };
            // on the base each time: several commits are undone by one
            head = git.commit_tree(&tree, &[&base.commit], &message)?;
        }
        let plan = Plan::between(&Project::read(&base.tree), &Project::read(&Tree::at(git, &head)?));
        Ok(Self { plan, base, undone, title, head })
    }

    /// Whether nothing of it is there any more.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn is_empty(&self, git: &Repository) -> Result<bool> {
        Ok(git.tree_of(&self.base.commit)? == git.tree_of(&self.head)?)
    }

    /// The project before and after it.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn trees(&self, git: &Repository) -> Result<(&Tree, Tree)> {
        Ok((&self.base.tree, Tree::at(git, &self.head)?))
    }

    /// Commits, pushes and opens the pull request. If one is already open for the same change, returns that one,
    /// on this base if it could not be merged any more.
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
        let number = self.undone.number;
        let name = format!("revert-{number}");
        let plan = self.base.body(&self.plan, &Tree::at(git, &self.head)?, kustomize, &opening);
        let body = format!("Reverts #{number}.\n\n{plan}");
        let mut changes = Changes::new();
        for path in git.changed_paths(&self.base.commit, &self.head)? {
            let Some(path) = in_project(git, &path) else { continue };
            changes.insert(path.to_owned(), git.read(&self.head, path)?);
        }
        let proposal = Proposal { name, by_name: true, label: "revert", title: self.title, body };
        let opened = self.base.open(git, remote, &self.head, proposal, opening).await?;
        self.base.renewed(git, remote, opened, &changes).await
    }
}

/// A path in the project by its path from the top. Returns `None` outside of the project.
fn in_project<'p>(git: &Repository, path: &'p str) -> Option<&'p str> {
    match git.prefix() {
        "" => Some(path),
        folder => path.strip_prefix(folder)?.strip_prefix('/'),
    }
}

/// The commits of the base branch by which a pull request was merged, newest first: one merge, one squashed commit, or, after a rebase, as many
/// as its branch has.
///
/// # Errors
/// When the remote cannot be fetched from, or the base branch was not.
pub async fn merged_commits(git: &Repository, remote: &Remote, undone: &Opened, merge: &str) -> Result<Vec<String>> {
    let one = vec![merge.to_owned()];
    if undone.commits == Some(1) || git.is_merge(merge)? {
        return Ok(one);
    }
    // the branch may be gone; this reference of a pull request stays
    let mut theirs = remote.fetch_reference(git, &format!("refs/pull/{}/head", undone.number)).await?;
    let (mut ours, mut commits) = (merge.to_owned(), Vec::new());
    while commits.len() < undone.commits.unwrap_or(COMMITS) {
        let Some(before) = git.first_parent(&theirs)? else { break };
        // a rebase leaves merges out
        if !git.is_merge(&theirs)? {
            // what both began with; a squashed commit has another message than the commits that it is made of
            let is_same = git.commit_of(&ours)?.message.trim() == git.commit_of(&theirs)?.message.trim();
            if !is_same || undone.commits.is_none() && ours == theirs {
                break;
            }
            commits.push(ours.clone());
            match git.first_parent(&ours)? {
                Some(before) => ours = before,
                None => break,
            }
        }
        theirs = before;
    }
    Ok(if commits.is_empty() { one } else { commits })
}
