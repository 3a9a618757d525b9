//! Which commit changed a file, and when a commit was made.

use git2::ErrorCode;

use crate::{Error, Repository, Result};

/// A commit of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its hash, 40 hex digits.
    pub id: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

impl Repository {
    /// A revision's commit.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn commit_of(&self, revision: &str) -> Result<Commit> {
        let repository = self.handle()?;
        let commit = self.commit_at(&repository, revision)?;
        Ok(Commit { id: commit.id().to_string(), time: commit.time().seconds() })
    }

    /// The newest commit up to a revision that changed a file, as `git log -1 <revision> -- <path>` finds it. Returns `None` if no commit
    /// did.
    ///
    /// # Errors
    /// [`Error::NoRevision`]; [`Error::Shallow`] when the clone does not reach back that far.
    pub fn last_commit_of(&self, revision: &str, path: &str) -> Result<Option<String>> {
        let repository = self.handle()?;
        let full = self.path_at_top(path);
        let content = |commit: &git2::Commit<'_>| -> Result<_> {
            let found = self.entry(&repository, commit.tree_id(), &full)?;
            Ok(found.map(|(id, _, mode)| (id, mode)))
        };
        let shallow = || Error::Shallow { path: path.to_owned() };
        let mut commit = self.commit_at(&repository, revision)?;
        let mut here = content(&commit)?;
        'history: loop {
            // A parent that has the same file explains it; otherwise this commit changed it.
            for id in commit.parent_ids() {
                let parent = repository.find_commit(id).map_err(|error| match error.code() {
                    ErrorCode::NotFound => shallow(),
                    _ => self.failed("reading")(error),
                })?;
                let there = content(&parent)?;
                if there == here {
                    (commit, here) = (parent, there);
                    continue 'history;
                }
            }
            let is_first = commit.parent_count() == 0;
            // libgit2 hides the parents that a shallow clone lacks; the commit itself still names them.
            if is_first
                && commit.raw_header_bytes().split(|byte| *byte == b'\n').any(|line| line.starts_with(b"parent "))
            {
                return Err(shallow());
            }
            return Ok((here.is_some() || !is_first).then(|| commit.id().to_string()));
        }
    }
}
