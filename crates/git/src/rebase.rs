//! Making commits again on top of another one, without a work tree.

use git2::{ErrorCode, MergeOptions, Sort};

use crate::merge::conflicts;
use crate::{Repository, Result};

/// What making commits again gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebase {
    /// The last commit that was made; the one to start from if there was nothing to make again.
    Commit(String),
    /// The paths, from the top, of the files that both changed in different ways.
    Conflict(Vec<String>),
    /// The commits have no common history.
    Unrelated,
}

impl Repository {
    /// Makes the commits that `head` has and `onto` has not again on top of `onto`, the oldest first, with their authors and messages. Merge
    /// commits among them are left out, and so are commits whose change `onto` has already. No reference moves.
    ///
    /// The committer is the one of [`commit`](Self::commit), and the new commits are signed when `commit.gpgsign` asks for it.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); [`Error::NotSigned`](crate::Error::NotSigned); when the repository cannot be read or
    /// written.
    pub fn rebase(&self, onto: &str, head: &str) -> Result<Rebase> {
        let repository = self.handle()?;
        let failed = || self.failed("rebasing in");
        let (mut onto, head) = (self.commit_at(&repository, onto)?, self.commit_at(&repository, head)?);
        match repository.merge_base(onto.id(), head.id()) {
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Rebase::Unrelated),
            Err(error) => return Err(failed()(error)),
        }
        let mut commits = repository.revwalk().map_err(failed())?;
        commits.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE).map_err(failed())?;
        commits.push(head.id()).map_err(failed())?;
        commits.hide(onto.id()).map_err(failed())?;
        let mut options = MergeOptions::new();
        options.find_renames(true);
        for id in commits {
            let commit = repository.find_commit(id.map_err(failed())?).map_err(failed())?;
            if commit.parent_count() > 1 {
                continue;
            }
            let mut index = repository.cherrypick_commit(&commit, &onto, 0, Some(&options)).map_err(failed())?;
            if index.has_conflicts() {
                return Ok(Rebase::Conflict(conflicts(&index).map_err(failed())?));
            }
            let tree = index.write_tree_to(&repository).map_err(failed())?;
            if tree == onto.tree_id() {
                continue;
            }
            let made = self.make_again(&repository, &commit, tree, &onto)?;
            onto = self.commit_at(&repository, &made)?;
        }
        Ok(Rebase::Commit(onto.id().to_string()))
    }
}
