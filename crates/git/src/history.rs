//! The history of paths: which commits changed one, which contents it had, and when a commit was made.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use git2::{ErrorCode, ObjectType, Oid};

use crate::{Repository, Result};

/// A commit of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its hash, 40 hex digits.
    pub id: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
    /// Its whole message.
    pub message: String,
}

impl Commit {
    pub(crate) fn of(commit: &git2::Commit<'_>) -> Self {
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        Self { id: commit.id().to_string(), time: commit.time().seconds(), message }
    }

    /// The first line of its message.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// What a commit did to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathChange {
    /// The commit.
    pub commit: Commit,
    /// The path.
    pub path: String,
    /// The id of the blob that the path has since this commit; `None` if the commit removed the file.
    pub blob: Option<String>,
}

/// What the commits of a branch did to some paths: from its newest commit back to its first, always by the first parent. So a merge is one
/// step, whatever the merged branch did before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathHistory {
    /// The changes, the newest first.
    pub changes: Vec<PathChange>,
    /// In a shallow clone the oldest commit that it has, and what the paths held there: earlier commits are not known.
    pub cut: Option<(Commit, BTreeMap<String, String>)>,
}

/// Contents, each a path and the id of a blob, that a history does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The contents.
    pub contents: BTreeSet<(String, String)>,
    /// Whether the history was cut off when the repository was cloned, so that they may be in the part that is not here.
    pub is_cut: bool,
}

impl Repository {
    /// A revision's commit.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn commit_of(&self, revision: &str) -> Result<Commit> {
        let repository = self.handle()?;
        Ok(Commit::of(&self.commit_at(&repository, revision)?))
    }

    /// How many commits `descendant` has that `base` does not have.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision); when the repository cannot be read.
    pub fn commits_since(&self, base: &str, descendant: &str) -> Result<usize> {
        let repository = self.handle()?;
        let (base, descendant) =
            (self.commit_at(&repository, base)?.id(), self.commit_at(&repository, descendant)?.id());
        let count = || -> std::result::Result<usize, git2::Error> {
            let mut walk = repository.revwalk()?;
            walk.push(descendant)?;
            walk.hide(base)?;
            let mut count = 0;
            for commit in walk {
                commit?;
                count += 1;
            }
            Ok(count)
        };
        count().map_err(self.failed("reading"))
    }

    /// Whether a commit has more than one parent.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn is_merge(&self, revision: &str) -> Result<bool> {
        Ok(self.commit_at(&self.handle()?, revision)?.parent_count() > 1)
    }

    /// Whether one commit is another, or an ancestor of it.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn contains(&self, descendant: &str, ancestor: &str) -> Result<bool> {
        let repository = self.handle()?;
        let (descendant, ancestor) =
            (self.commit_at(&repository, descendant)?.id(), self.commit_at(&repository, ancestor)?.id());
        let related = || repository.graph_descendant_of(descendant, ancestor);
        Ok(descendant == ancestor || related().map_err(self.failed("reading the history of"))?)
    }

    /// A commit's first parent. Returns `None` for a first commit, and for the oldest of a shallow clone.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn first_parent(&self, revision: &str) -> Result<Option<String>> {
        let repository = self.handle()?;
        Ok(self.commit_at(&repository, revision)?.parent_id(0).ok().map(|id| id.to_string()))
    }

    /// A commit's parents.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn parents(&self, revision: &str) -> Result<Vec<String>> {
        let repository = self.handle()?;
        Ok(self.commit_at(&repository, revision)?.parent_ids().map(|id| id.to_string()).collect())
    }

    /// The id of the blob at a path. Returns `None` if there is no file at that path.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn blob_at(&self, revision: &str, path: &str) -> Result<Option<String>> {
        let repository = self.handle()?;
        let top = self.commit_at(&repository, revision)?.tree_id();
        Ok(self.file(&repository, top, path)?.map(|id| id.to_string()))
    }

    /// What the first-parent history of a revision did to the files of a pattern: a path in which a part may be `*`, which stands for any
    /// folder. A path that ends with `/` is that of a folder, whose content is its tree.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn path_history(&self, revision: &str, pattern: &str) -> Result<PathHistory> {
        let repository = self.handle()?;
        let mut known = HashMap::new();
        let mut commit = self.commit_at(&repository, revision)?;
        let mut here = self.matching(&repository, commit.tree_id(), pattern, &mut known)?;
        let mut changes = Vec::new();
        loop {
            let parent = self.parent(&commit)?;
            let there = match &parent {
                Parent::Here(parent) if parent.tree_id() == commit.tree_id() => here.clone(),
                Parent::Here(parent) => self.matching(&repository, parent.tree_id(), pattern, &mut known)?,
                Parent::None => BTreeMap::new(),
                Parent::CutOff => return Ok(PathHistory { changes, cut: Some((Commit::of(&commit), here)) }),
            };
            let paths: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
            changes.extend(paths.into_iter().filter(|path| here.get(*path) != there.get(*path)).map(|path| {
                PathChange { commit: Commit::of(&commit), path: path.clone(), blob: here.get(path).cloned() }
            }));
            let Parent::Here(parent) = parent else { return Ok(PathHistory { changes, cut: None }) };
            (commit, here) = (parent, there);
        }
    }

    /// Which of these files, by path, a revision does not have and an earlier commit of its first-parent history has. A path without a folder is
    /// none of them.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn removed_before(&self, revision: &str, paths: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        let repository = self.handle()?;
        let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        // no file has a name with NUL, and libgit2 is not asked for one
        for (folder, name) in paths.iter().filter(|path| !path.contains('\0')).filter_map(|path| path.rsplit_once('/'))
        {
            folders.entry(folder).or_default().insert(name);
        }
        let mut removed = BTreeSet::new();
        // a folder that is as it was in a newer commit is not read again
        let mut seen: BTreeSet<(&str, Oid)> = BTreeSet::new();
        let mut commit = self.commit_at(&repository, revision)?;
        let mut is_newest = true;
        loop {
            for (folder, names) in &mut folders {
                let found = self.entry(&repository, commit.tree_id(), &self.path_at_top(folder))?;
                let Some((id, ObjectType::Tree, _)) = found else { continue };
                if !seen.insert((*folder, id)) {
                    continue;
                }
                let tree = self.tree(&repository, id)?;
                names.retain(|name| {
                    let is_there = tree.get_name_bytes(name.as_bytes()).is_some();
                    if is_there && !is_newest {
                        removed.insert(format!("{folder}/{name}"));
                    }
                    !is_there
                });
            }
            folders.retain(|_, names| !names.is_empty());
            if folders.is_empty() {
                return Ok(removed);
            }
            let Parent::Here(parent) = self.parent(&commit)? else { return Ok(removed) };
            (commit, is_newest) = (parent, false);
        }
    }

    /// Which of these contents, each a path and the id of a blob, no commit up to a revision has, whichever parent leads to it.
    ///
    /// # Errors
    /// [`Error::NoRevision`](crate::Error::NoRevision).
    pub fn missing_from_history(&self, revision: &str, contents: BTreeSet<(String, String)>) -> Result<Missing> {
        let repository = self.handle()?;
        let mut missing = Missing { contents, is_cut: false };
        let failed = || self.failed("reading the history of");
        let mut commits = repository.revwalk().map_err(failed())?;
        commits.push(self.commit_at(&repository, revision)?.id()).map_err(failed())?;
        let mut seen: BTreeSet<Oid> = BTreeSet::new();
        let mut known: HashMap<String, HashMap<Oid, BTreeMap<String, String>>> = HashMap::new();
        for id in commits {
            if missing.contents.is_empty() {
                break;
            }
            let commit = repository.find_commit(id.map_err(failed())?).map_err(failed())?;
            missing.is_cut |= is_cut_off(&commit);
            if !seen.insert(commit.tree_id()) {
                continue;
            }
            let paths: BTreeSet<String> = missing.contents.iter().map(|(path, _)| path.clone()).collect();
            for path in paths {
                let known = known.entry(path.clone()).or_default();
                if let Some(blob) = self.matching(&repository, commit.tree_id(), &path, known)?.remove(&path) {
                    missing.contents.remove(&(path, blob));
                }
            }
        }
        Ok(missing)
    }

    /// The files of a pattern in a tree, with the ids of their blobs. `known` holds what was found before, by the id of the folder or file
    /// that the pattern begins with.
    fn matching(
        &self,
        repository: &git2::Repository,
        top: Oid,
        pattern: &str,
        known: &mut HashMap<Oid, BTreeMap<String, String>>,
    ) -> Result<BTreeMap<String, String>> {
        let (first, rest) = pattern.split_once('/').map_or((pattern, None), |(first, rest)| (first, Some(rest)));
        let Some((id, kind, mode)) = self.entry(repository, top, &self.path_at_top(first))? else {
            return Ok(BTreeMap::new());
        };
        if let Some(found) = known.get(&id) {
            return Ok(found.clone());
        }
        let mut found = BTreeMap::new();
        match rest {
            None if crate::read::is_file(mode) => drop(found.insert(first.to_owned(), id.to_string())),
            Some(rest) if kind == ObjectType::Tree => self.add_matching(repository, id, first, rest, &mut found)?,
            _ => {}
        }
        known.insert(id, found.clone());
        Ok(found)
    }

    /// The files of a pattern below a folder, whose path is `folder`.
    fn add_matching(
        &self,
        repository: &git2::Repository,
        tree: Oid,
        folder: &str,
        pattern: &str,
        found: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        let Some((first, rest)) = pattern.split_once("*/") else {
            if let Some((id, kind, mode)) = self.entry(repository, tree, pattern)?
                && if pattern.ends_with('/') { kind == ObjectType::Tree } else { crate::read::is_file(mode) }
            {
                found.insert(format!("{folder}/{pattern}"), id.to_string());
            }
            return Ok(());
        };
        let Some((id, ObjectType::Tree, _)) = self.entry(repository, tree, first.trim_end_matches('/'))? else {
            return Ok(());
        };
        for entry in &self.tree(repository, id)? {
            if entry.kind() == Some(ObjectType::Tree) {
                let name = String::from_utf8_lossy(entry.name_bytes());
                self.add_matching(repository, entry.id(), &format!("{folder}/{first}{name}"), rest, found)?;
            }
        }
        Ok(())
    }

    fn file(&self, repository: &git2::Repository, top: Oid, path: &str) -> Result<Option<Oid>> {
        let entry = self.entry(repository, top, &self.path_at_top(path))?;
        Ok(entry.filter(|(_, _, mode)| crate::read::is_file(*mode)).map(|(id, ..)| id))
    }

    pub(crate) fn parent<'r>(&self, commit: &git2::Commit<'r>) -> Result<Parent<'r>> {
        if is_cut_off(commit) {
            return Ok(Parent::CutOff);
        }
        if commit.parent_count() == 0 {
            return Ok(Parent::None);
        }
        match commit.parent(0) {
            Ok(parent) => Ok(Parent::Here(parent)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Parent::CutOff),
            Err(error) => Err(self.failed("reading")(error)),
        }
    }
}

/// A commit's first parent.
pub(crate) enum Parent<'r> {
    Here(git2::Commit<'r>),
    None,
    /// A shallow clone does not have it.
    CutOff,
}

/// Whether a shallow clone lacks its parents. libgit2 hides them; the commit itself still names them.
fn is_cut_off(commit: &git2::Commit<'_>) -> bool {
    commit.parent_count() == 0
        && commit.raw_header_bytes().split(|byte| *byte == b'\n').any(|line| line.starts_with(b"parent "))
}

/// The id that git gives to a content: that of its blob.
#[must_use]
pub fn blob_id(content: &[u8]) -> String {
    let id = Oid::hash_object(ObjectType::Blob, content);
    id.expect("hashing bytes in memory cannot fail").to_string()
}
