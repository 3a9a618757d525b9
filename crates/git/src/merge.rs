//! Merging two commits without a work tree.

use git2::{ErrorCode, Index, MergeOptions};

use crate::{Repository, Result};

/// What a merge of two commits gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The id of the merged tree.
    Tree(String),
    /// The paths, from the top, of the files that both changed in different ways.
    Conflict(Vec<String>),
    /// The commits have no common history.
    Unrelated,
}

impl Repository {
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
        Ok(Merge::Conflict(conflicts(&index).map_err(self.failed("merging in"))?))
    }
}

/// The paths that are in conflict, each once.
pub(crate) fn conflicts(index: &Index) -> std::result::Result<Vec<String>, git2::Error> {
    let mut files = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
        files.extend(entry.map(|entry| String::from_utf8_lossy(&entry.path).into_owned()));
    }
    files.sort();
    files.dedup();
    Ok(files)
}
