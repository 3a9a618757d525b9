//! What a pull request is merged into.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use slipway_deployment::{InPullRequest, Kustomize, in_pull_request};
use slipway_forge::{Opened, PullRequest};
use slipway_git::{Merge, Repository};
use slipway_project::code_owners::{self, CodeOwners};
use slipway_project::plan_markdown::markdown_with;
use slipway_project::{Changes, Plan, Tree, serving};
use slipway_serving::Pins;

use crate::branch::{branch, change, change_in, is_named_after};
use crate::{Error, Opening, Remote, Result};

/// A branch of the remote, mostly its default one, as it is now.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) branch: String,
    pub(crate) commit: String,
    pub(crate) tree: Tree,
}

impl Base {
    /// # Errors
    /// When the remote cannot be asked or fetched from.
    pub(crate) async fn fetch(git: &Repository, remote: &Remote) -> Result<Self> {
        let branch = remote.forge.default_branch().await?;
        Self::of_branch(git, remote, branch).await
    }

    /// # Errors
    /// When the remote cannot be fetched from.
    pub(crate) async fn of_branch(git: &Repository, remote: &Remote, branch: String) -> Result<Self> {
        let commit = remote.fetch(git, &branch).await?;
        let tree = Tree::at(git, &commit)?;
        Ok(Self { branch, commit, tree })
    }

    /// The versions in service in an environment.
    ///
    /// # Errors
    /// [`Error::UnknownEnvironment`]; [`Error::Invalid`] when the list has a mistake.
    pub(crate) fn in_service(&self, environment: &str) -> Result<Pins> {
        let known = self.tree.folders_in("overlays");
        if !known.iter().any(|name| name == environment) {
            return Err(Error::UnknownEnvironment { name: environment.to_owned(), known });
        }
        serving::read(&self.tree, environment).map_err(|finding| Error::Invalid(vec![finding]))
    }

    /// Puts a commit on top of this base on a branch, and opens its pull request. If one is already open for the same, also on an earlier base,
    /// returns that one.
    ///
    /// # Errors
    /// When the repository cannot be read, or the remote refuses.
    pub(crate) async fn open(
        &self,
        git: &Repository,
        remote: &Remote,
        head: &str,
        proposal: Proposal,
        opening: Opening,
    ) -> Result<Opened> {
        Ok(self.open_or_find(git, remote, head, proposal, opening).await?.0)
    }

    /// The same; also returns whether it was opened just now.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) async fn open_or_find(
        &self,
        git: &Repository,
        remote: &Remote,
        head: &str,
        proposal: Proposal,
        opening: Opening,
    ) -> Result<(Opened, bool)> {
        let Proposal { name, by_name, label, title, mut body } = proposal;
        let change = change(git, &self.commit, head)?;
        let branch = branch(&name, &self.commit, &change);
        let Opening { draft, mut labels, mut reviewers, preface, is_reported: _ } = opening;
        if !preface.is_empty() {
            body = format!("{preface}\n\n{body}");
        }
        labels.insert(0, label.to_owned());
        reviewers.extend(self.code_owners(git, head)?);
        let base = self.branch.clone();
        let request = PullRequest { branch, base, title, body, draft, labels, reviewers };
        let of_name: Mutex<Vec<Opened>> = Mutex::default();
        let is_same = |opened: &Opened| {
            let found = change_in(&opened.branch, &name).filter(|_| !opened.is_fork && opened.base == self.branch);
            let is_same = found.is_some_and(|found| by_name || found == change);
            if found.is_some() && !is_same {
                of_name.lock().unwrap_or_else(PoisonError::into_inner).push(opened.clone());
            }
            is_same
        };
        if let Some(opened) = remote.forge.resume_first(&request, is_same).await? {
            return Ok((opened, false));
        }
        // one to which commits were added, such as those that rendered it again, is named after what it was
        for other in of_name.into_inner().unwrap_or_else(PoisonError::into_inner) {
            if self.becomes(git, remote, &other, head).await?
                && let Some(opened) = remote.forge.resume_first(&request, |found| found.number == other.number).await?
            {
                return Ok((opened, false));
            }
        }
        Ok((remote.open_new(git, head, request).await?, true))
    }

    /// Whether merging a pull request to whose branch commits were added leaves the files that a commit has. Fetches the branch if its newest
    /// commit is not here.
    async fn becomes(&self, git: &Repository, remote: &Remote, other: &Opened, head: &str) -> Result<bool> {
        let there = match git.resolve(&other.head)? {
            Some(there) => Some(there),
            None => remote.find(git, &other.branch).await?,
        };
        let Some(there) = there else { return Ok(false) };
        // without such commits its name says what it changes, and that is something else
        if git.first_parent(&there)?.is_some_and(|parent| is_named_after(&other.branch, &parent)) {
            return Ok(false);
        }
        Ok(match git.merge(&self.commit, &there)? {
            Merge::Tree(tree) => tree == git.tree_of(head)?,
            Merge::Conflict(_) | Merge::Unrelated => false,
        })
    }

    /// The same pull request once it can be merged: if others have changed its files on this base meanwhile, so that it is in conflict, this base is
    /// merged into its branch, with these changes on top. One that can be merged stays as it is.
    ///
    /// # Errors
    /// [`Error::Conflict`] when its branch conflicts in other files as well; when the repository cannot be read, or the remote refuses.
    pub(crate) async fn renewed(
        &self,
        git: &Repository,
        remote: &Remote,
        opened: Opened,
        changes: &Changes,
    ) -> Result<Opened> {
        if !opened.is_open() {
            return Ok(opened);
        }
        let there = remote.fetch(git, &opened.branch).await?;
        if !matches!(git.merge(&self.commit, &there)?, Merge::Conflict(_)) {
            return Ok(opened);
        }
        let own: BTreeSet<String> = changes.keys().map(|path| git.path_at_top(path)).collect();
        let tree = match git.merge_with(&self.commit, &there, |path| own.contains(path))? {
            Merge::Tree(tree) => tree,
            Merge::Conflict(files) => {
                let (number, base, files) = (opened.number, self.branch.clone(), files.join(", "));
                return Err(Error::Conflict { number, base, files, resolution: remote.forge.resolution(&opened) });
            }
            Merge::Unrelated => {
                let (number, base) = (opened.number, self.branch.clone());
                return Err(slipway_forge::Error::Unrelated { number, base }.into());
            }
        };
        let message = format!("Merge {} into {}", self.branch, opened.branch);
        // on this base first: what it changes there is all that it does
        let parents = [self.commit.as_str(), there.as_str()];
        let merged = git.commit_tree(&tree, &parents, &message)?;
        let whole = git.commit(Some(&merged), changes, &message)?;
        let head = git.commit_tree(&git.tree_of(&whole)?, &parents, &message)?;
        match remote.publish(git, &head, &opened.branch).await {
            Ok(head) => Ok(Opened { head, ..opened }),
            Err(error) => {
                // somebody else may have renewed it in between
                let now = remote.fetch(git, &opened.branch).await?;
                match git.merge(&self.commit, &now)? {
                    Merge::Tree(_) => Ok(Opened { head: now, ..opened }),
                    Merge::Conflict(_) | Merge::Unrelated => Err(error),
                }
            }
        }
    }

    /// Commits changes of what is in service, and opens their pull request. Above and below its body stands what changes in the clusters.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub(crate) async fn open_changes(
        &self,
        git: &Repository,
        remote: &Remote,
        kustomize: Option<&Kustomize>,
        changes: &Changes,
        mut proposal: Proposal,
        opening: Opening,
    ) -> Result<Opened> {
        let head = git.commit(Some(&self.commit), changes, &proposal.title)?;
        let deployed = self.deployed(&self.tree.with(changes), kustomize, &opening);
        // a version's tags can be long; they do not push the warnings out
        let gap = if deployed.summary.is_empty() { "" } else { "\n" };
        proposal.body = format!("{}{gap}{}{}", deployed.summary, proposal.body, deployed.objects);
        self.open(git, remote, &head, proposal, opening).await
    }

    /// The body of a pull request that starts or stops TrainJobs: the plan, and what changes in the clusters.
    pub(crate) fn body(&self, plan: &Plan, after: &Tree, kustomize: Option<&Kustomize>, opening: &Opening) -> String {
        let deployed = self.deployed(after, kustomize, opening);
        markdown_with(plan, &deployed.summary) + &deployed.objects
    }

    /// What changes in the clusters, as far as the body says it.
    pub(crate) fn deployed(&self, after: &Tree, kustomize: Option<&Kustomize>, opening: &Opening) -> InPullRequest {
        if opening.is_reported { InPullRequest::default() } else { in_pull_request(&self.tree, after, kustomize) }
    }

    /// The owners of the files that a commit changes, as this base names them. An address is no reviewer.
    pub(crate) fn code_owners(&self, git: &Repository, head: &str) -> Result<Vec<String>> {
        let whole = Repository::open(git.root())?;
        for path in code_owners::PATHS {
            let Some(text) = whole.read(&self.commit, path)? else { continue };
            let owners = CodeOwners::parse(&String::from_utf8_lossy(&text));
            let changed = whole.changed_paths(&self.commit, head)?;
            let found = owners.of(changed.iter().map(String::as_str));
            return Ok(found.into_iter().filter(|owner| !owner.contains('@')).map(str::to_owned).collect());
        }
        Ok(Vec::new())
    }
}

/// The change by which an environment has these versions in service.
pub(crate) fn in_service(environment: &str, pins: &Pins) -> Changes {
    [(serving::path(environment), Some(pins.to_string().into_bytes()))].into()
}

/// A pull request that is to be opened.
pub(crate) struct Proposal {
    /// What its branch is named after.
    pub(crate) name: String,
    /// Whether the name says all that it does: then an open pull request of this name is the same, whatever else has changed on main.
    pub(crate) by_name: bool,
    /// The label of its kind.
    pub(crate) label: &'static str,
    pub(crate) title: String,
    pub(crate) body: String,
}
