//! Merging two commits without a work tree.

use git2::{ErrorCode, MergeOptions};

use crate::{Repository, Result};

/// What a merge of two commits gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The id of the merged tree, which can be read as a revision.
    Tree(String),
    /// The paths, from the top, of the files that both changed in different ways.
    Conflict(Vec<String>),
    /// The commits have no common history.
    Unrelated,
}

impl Repository {
    /// The newest commit that both are based on. Returns `None` if they have no common history.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>> {
        let repository = self.handle()?;
        let (one, other) = (self.commit_at(&repository, one)?, self.commit_at(&repository, other)?);
        match repository.merge_base(one.id(), other.id()) {
            Ok(base) => Ok(Some(base.to_string())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed("reading")(error)),
        }
    }

    /// Merges two commits into a tree; renamed files are followed. No reference moves.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); when the repository cannot be read or written.
    pub fn merge(&self, ours: &str, theirs: &str) -> Result<Merge> {
        let repository = self.handle()?;
        let (ours, theirs) = (self.commit_at(&repository, ours)?, self.commit_at(&repository, theirs)?);
        match repository.merge_base(ours.id(), theirs.id()) {
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Merge::Unrelated),
            Err(error) => return Err(self.failed("merging in")(error)),
        }
        let mut options = MergeOptions::new();
        options.find_renames(true);
        let merged = repository.merge_commits(&ours, &theirs, Some(&options));
        let mut index = merged.map_err(self.failed("merging in"))?;
        if !index.has_conflicts() {
            return Ok(Merge::Tree(index.write_tree_to(&repository).map_err(self.failed("merging in"))?.to_string()));
        }
        let mut files = Vec::new();
        for conflict in index.conflicts().map_err(self.failed("merging in"))? {
            let conflict = conflict.map_err(self.failed("merging in"))?;
            let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
            files.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
        }
        files.sort();
        files.dedup();
        Ok(Merge::Conflict(files))
    }
}
