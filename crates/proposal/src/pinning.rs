//! The pull request that pins images by digest. At most one is open, with the newest images.

use slipway_forge::Opened;
use slipway_git::Repository;
use slipway_project::{Changes, Tree};

use crate::base::{Base, Proposal};
use crate::branch::change_in;
use crate::{Opening, Remote, Result};

/// What its branch is named after.
const NAME: &str = "images";
/// The title, and the message of each commit.
const TITLE: &str = "Pin images by digest";
const BODY: &str = "\
Once merged, the clusters run these images, and what is rendered from then on names them. Newer images are added to this branch by \
`slipway image pin --open`, which takes back what somebody else commits there, and closes this pull request when the branch that it is merged \
into has the images already.
";

/// Images that are pinned on top of the remote's default branch.
#[derive(Debug)]
pub struct Pinning {
    base: Base,
}

impl Pinning {
    /// The remote's default branch as it is now.
    ///
    /// # Errors
    /// When the remote cannot be fetched from.
    pub async fn fetch(git: &Repository, remote: &Remote) -> Result<Self> {
        Ok(Self { base: Base::fetch(git, remote).await? })
    }

    /// Its files, in which images are pinned.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.base.tree
    }

    /// Commits, pushes and opens the pull request. If one is open already, its branch gets what these changes give, whatever it had. Without
    /// changes there is nothing to pin: then the one that is open is closed, because it would bring other images back.
    ///
    /// # Errors
    /// When the repository cannot be written, or the remote refuses.
    pub async fn open(
        self,
        git: &Repository,
        remote: &Remote,
        changes: &Changes,
        opening: Opening,
    ) -> Result<Option<Opened>> {
        let mut open = remote.forge.list_open().await?;
        open.retain(|one| !one.is_fork && one.base == self.base.branch && change_in(&one.branch, NAME).is_some());
        open.sort_by_key(|one| one.number);
        for other in open.iter().skip(usize::from(!changes.is_empty())) {
            remote.forge.close(other.number).await?;
        }
        if changes.is_empty() {
            return Ok(None);
        }
        let head = git.commit(Some(&self.base.commit), changes, TITLE)?;
        let Some(first) = open.into_iter().next() else {
            let (name, title, body) = (NAME.to_owned(), TITLE.to_owned(), BODY.to_owned());
            let proposal = Proposal { name, by_name: true, label: "images", title, body };
            return self.base.open(git, remote, &head, proposal, opening).await.map(Some);
        };
        let there = remote.fetch(git, &first.branch).await?;
        let tree = git.tree_of(&head)?;
        if git.tree_of(&there)? == tree {
            return Ok(Some(first));
        }
        let mut parents = vec![there.as_str()];
        if !git.contains(&there, &self.base.commit)? {
            parents.push(&self.base.commit);
        }
        let commit = git.commit_tree(&tree, &parents, TITLE)?;
        let head = remote.publish(git, &commit, &first.branch).await?;
        Ok(Some(Opened { head, ..first }))
    }
}
