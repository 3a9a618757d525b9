//! Merging two commits without a work tree.

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Delta, ErrorCode, MergeFileInput, MergeOptions};

use crate::{Error, Repository};

type Result<T, E = crate::Error> = std::result::Result<T, E>;

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

/// What stands at a path of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its mode in git, such as `0o100644`.
    pub mode: u32,
    /// The id of its object.
    pub id: String,
}

impl Repository {
    /// The newest commit that two commits have in common. Returns `None` if there is none.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>> {
        let repository = self.handle()?;
        let (one, other) = (self.commit_at(&repository, one)?, self.commit_at(&repository, other)?);
        match repository.merge_base(one.id(), other.id()) {
            Ok(id) => Ok(Some(id.to_string())),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed("merging in")(error)),
        }
    }

    /// The paths, from the top, of the files that differ between two commits.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); when the repository cannot be read.
    pub fn changed_paths(&self, before: &str, after: &str) -> Result<Vec<String>> {
        let repository = self.handle()?;
        let tree = |revision: &str| self.tree(&repository, self.commit_at(&repository, revision)?.tree_id());
        let difference = repository.diff_tree_to_tree(Some(&tree(before)?), Some(&tree(after)?), None);
        let difference = difference.map_err(self.failed("comparing in"))?;
        let paths = difference.deltas().filter_map(|delta| delta.new_file().path_bytes());
        Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// What differs between two commits, by path from the top: what stands there after it, `None` if nothing does.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); [`Error::Path`](crate::Error::Path) for one that is not UTF-8; when the repository
    /// cannot be read.
    pub fn differences(&self, before: &str, after: &str) -> Result<BTreeMap<String, Option<Entry>>> {
        let repository = self.handle()?;
        let tree = |revision: &str| self.tree(&repository, self.commit_at(&repository, revision)?.tree_id());
        let difference = repository.diff_tree_to_tree(Some(&tree(before)?), Some(&tree(after)?), None);
        let difference = difference.map_err(self.failed("comparing in"))?;
        let mut differences = BTreeMap::new();
        for delta in difference.deltas() {
            let file = delta.new_file();
            let path = file.path_bytes().or_else(|| delta.old_file().path_bytes()).unwrap_or_default();
            let path = std::str::from_utf8(path);
            let path =
                path.map_err(|_| Error::Path(String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into()))?;
            let exists = delta.status() != Delta::Deleted;
            let entry = exists.then(|| Entry { mode: file.mode().into(), id: file.id().to_string() });
            // a file that becomes a link is removed and added
            if entry.is_some() || !differences.contains_key(path) {
                differences.insert(path.to_owned(), entry);
            }
        }
        Ok(differences)
    }

    /// Merges two commits into a tree; renamed files are followed. No reference moves.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); when the repository cannot be read or written.
    pub fn merge(&self, ours: &str, theirs: &str) -> Result<Merge> {
        self.merge_with(ours, theirs, |_| false)
    }

    /// The same, but a file that both changed is as in `ours` if `takes_ours` says so for its path from the top, or as in `theirs` if `ours` does
    /// not have it.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn merge_with(&self, ours: &str, theirs: &str, takes_ours: impl Fn(&str) -> bool) -> Result<Merge> {
        let repository = self.handle()?;
        let (ours, theirs) = (self.commit_at(&repository, ours)?, self.commit_at(&repository, theirs)?);
        match repository.merge_base(ours.id(), theirs.id()) {
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => return Ok(Merge::Unrelated),
            Err(error) => return Err(self.failed("merging in")(error)),
        }
        let mut options = MergeOptions::new();
        options.find_renames(true);
        let merge = || {
            let mut index = repository.merge_commits(&ours, &theirs, Some(&options))?;
            take_ours(&mut index, &takes_ours)?;
            merged(&repository, index)
        };
        merge().map_err(self.failed("merging in"))
    }

    /// Merges two versions of a file line by line, both of which began as `ancestor`. Returns `None` if they changed the same lines, or lines beside
    /// each other, in different ways, and if one of the three is not text. Nothing is written.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when libgit2 cannot merge.
    pub fn merge_contents(&self, ancestor: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Option<Vec<u8>>> {
        if [ancestor, ours, theirs].iter().any(|content| content.contains(&0)) {
            return Ok(None);
        }
        let merged = git2::merge_file(&side(ancestor), &side(ours), &side(theirs), None);
        let merged = merged.map_err(self.failed("merging in"))?;
        Ok(merged.is_automergeable().then(|| merged.content().to_vec()))
    }
}

/// One of three versions of a file.
fn side(content: &[u8]) -> MergeFileInput<'_> {
    let mut side = MergeFileInput::new();
    side.content(content).path("file");
    side
}

/// Ends the conflicts in files that are as in one of the commits.
pub(crate) fn take_ours(index: &mut git2::Index, takes_ours: impl Fn(&str) -> bool) -> Result<(), git2::Error> {
    if !index.has_conflicts() {
        return Ok(());
    }
    let conflicts: Vec<_> = index.conflicts()?.collect::<Result<_, _>>()?;
    for conflict in conflicts {
        let sides = [conflict.our.as_ref(), conflict.their.as_ref(), conflict.ancestor.as_ref()];
        let Some(path) = sides.iter().flatten().map(|side| side.path.clone()).next() else { continue };
        let name = String::from_utf8_lossy(&path).into_owned();
        if !takes_ours(&name) {
            continue;
        }
        index.conflict_remove(Path::new(&name))?;
        if let Some(mut entry) = conflict.our.or(conflict.their) {
            // the stage of a side of a conflict
            entry.flags &= !STAGE;
            index.add(&entry)?;
        }
    }
    Ok(())
}

/// The bits of an index entry's flags that hold its stage.
const STAGE: u16 = 0x3000;

/// The tree of an index, or the files that are in conflict.
pub(crate) fn merged(repository: &git2::Repository, mut index: git2::Index) -> Result<Merge, git2::Error> {
    if !index.has_conflicts() {
        return Ok(Merge::Tree(index.write_tree_to(repository)?.to_string()));
    }
    Ok(Merge::Conflict(conflicts(&index)?))
}

/// The paths that are in conflict, each once.
pub(crate) fn conflicts(index: &git2::Index) -> Result<Vec<String>, git2::Error> {
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
