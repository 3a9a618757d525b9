//! What the commits of a branch did to the files of one folder, all of them in one walk.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid};

use crate::history::{Commit, Parent};
use crate::read::is_file;
use crate::{Repository, Result};

/// What the commits of a branch did to the files directly in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderHistory {
    /// The newest commit first, and none that left the content of these files as it was.
    pub changes: Vec<FolderChange>,
    /// Whether the walk ended at the commit that it was to end at.
    pub has_met: bool,
}

/// What a commit did to the files directly in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderChange {
    /// The commit.
    pub commit: Commit,
    /// How many commits of the first-parent history are newer.
    pub newer: usize,
    /// The files that it added or whose content it changed, by name, with the ids of their blobs.
    pub written: BTreeMap<String, String>,
    /// The names of the files that it removed.
    pub removed: Vec<String>,
}

impl Repository {
    /// What the first-parent history of a revision did to the files directly in a folder. The walk ends before `until`, if that is one of these
    /// commits, otherwise at the first one. Of a shallow clone's oldest commit nothing is known.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn folder_history(&self, revision: &str, folder: &str, until: Option<&str>) -> Result<FolderHistory> {
        let repository = self.handle()?;
        let folder = self.path_at_top(folder);
        let at = |commit: &git2::Commit<'_>| -> Result<Option<Oid>> {
            let found = self.entry(&repository, commit.tree_id(), &folder)?;
            Ok(found.filter(|(_, kind, _)| *kind == ObjectType::Tree).map(|(id, ..)| id))
        };
        let mut history = FolderHistory::default();
        let mut next = Some(self.commit_at(&repository, revision)?);
        let mut here = next.as_ref().map(&at).transpose()?.flatten();
        let mut newer = 0;
        while let Some(commit) = next {
            if until.is_some_and(|until| commit.id().to_string() == until) {
                history.has_met = true;
                break;
            }
            let parent = match self.parent(&commit)? {
                Parent::Here(parent) => Some(parent),
                Parent::None => None,
                Parent::CutOff => break,
            };
            let there = match &parent {
                Some(parent) if parent.tree_id() == commit.tree_id() => here,
                Some(parent) => at(parent)?,
                None => None,
            };
            if here != there {
                let [after, before] = [here, there].map(|id| self.names(&repository, id));
                let (after, before) = (after?, before?);
                let written = after.iter().filter(|(name, blob)| before.get(*name) != Some(blob));
                let written: BTreeMap<_, _> = written.map(|(name, blob)| (name.clone(), blob.to_string())).collect();
                let removed: Vec<_> = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect();
                // a folder below it may have changed, or the mode of a file
                if !written.is_empty() || !removed.is_empty() {
                    history.changes.push(FolderChange { commit: Commit::of(&commit), newer, written, removed });
                }
            }
            (next, here, newer) = (parent, there, newer + 1);
        }
        Ok(history)
    }

    /// The files directly in a folder, by the id of its tree.
    fn names(&self, repository: &git2::Repository, folder: Option<Oid>) -> Result<BTreeMap<String, Oid>> {
        let Some(id) = folder else { return Ok(BTreeMap::new()) };
        let tree = self.tree(repository, id)?;
        let files = tree.iter().filter(|entry| is_file(entry.filemode()));
        Ok(files.map(|entry| (String::from_utf8_lossy(entry.name_bytes()).into_owned(), entry.id())).collect())
    }
}
