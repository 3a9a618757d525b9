//! Reading revisions, without a work tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git2::{ErrorCode, ObjectType, Oid};

use crate::{Error, Repository, Result};

/// The modes of files; links and submodules have others.
pub(crate) const FILE: i32 = 0o100_644;
pub(crate) const EXECUTABLE: i32 = 0o100_755;
const LINK: i32 = 0o120_000;

/// A file of a tree.
struct Entry {
    path: String,
    blob: Oid,
}

/// What a tree holds besides files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// A symbolic link, with its target as it is written.
    Link(String),
    /// A submodule: another repository at a commit.
    Submodule,
}

impl Repository {
    /// The commit that a revision (a branch, a tag, `HEAD~2`, the first digits of a hash) names, 40 hex digits. Returns `None` if there is
    /// no such revision.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] when the digits fit several objects.
    pub fn resolve(&self, revision: &str) -> Result<Option<String>> {
        match self.commit_at(&self.handle()?, revision) {
            Ok(commit) => Ok(Some(commit.id().to_string())),
            Err(Error::NoRevision(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The commit of HEAD. Returns `None` before the first.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn head(&self) -> Result<Option<String>> {
        self.resolve("HEAD")
    }

    /// The id of a revision's whole tree.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn tree_of(&self, revision: &str) -> Result<String> {
        Ok(self.commit_at(&self.handle()?, revision)?.tree_id().to_string())
    }

    /// Whether two commits make the same change: the same tree on top of the same parents, with the same message. When or by whom they were
    /// made does not matter, nor does space at the end of the message, but a commit without a signature does not stand for one that has
    /// one.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn is_same_change(&self, there: &str, here: &str) -> Result<bool> {
        let repository = self.handle()?;
        let (there, here) = (self.commit_at(&repository, there)?, self.commit_at(&repository, here)?);
        let is_signed = |commit: &git2::Commit<'_>| commit.header_field_bytes("gpgsig").is_ok();
        Ok(there.tree_id() == here.tree_id()
            && there.parent_ids().eq(here.parent_ids())
            && there.message_bytes().trim_ascii_end() == here.message_bytes().trim_ascii_end()
            && (is_signed(&there) || !is_signed(&here)))
    }

    /// The paths of every file at a revision, or in a tree by its id, that is one of `prefixes` or lies below it, sorted; all files when `prefixes` is empty. Links
    /// and submodules are left out.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn files(&self, revision: &str, prefixes: &[&str]) -> Result<Vec<String>> {
        Ok(self.entries(&self.handle()?, revision, prefixes)?.into_iter().map(|entry| entry.path).collect())
    }

    /// Every file of [`files`](Self::files) with the id of its blob, which says what it holds without reading it.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn blob_ids(&self, revision: &str, prefixes: &[&str]) -> Result<BTreeMap<String, String>> {
        let entries = self.entries(&self.handle()?, revision, prefixes)?;
        Ok(entries.into_iter().map(|entry| (entry.path, entry.blob.to_string())).collect())
    }

    /// Those of [`files`](Self::files) that can be executed.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn executables(&self, revision: &str, prefixes: &[&str]) -> Result<BTreeSet<String>> {
        let leaves = self.leaves(&self.handle()?, revision, prefixes)?;
        Ok(leaves.into_iter().filter(|(_, mode)| *mode == EXECUTABLE).map(|(entry, _)| entry.path).collect())
    }

    /// A file's bytes at a revision. Returns `None` if there is no file at that path.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn read(&self, revision: &str, path: &str) -> Result<Option<Vec<u8>>> {
        let repository = self.handle()?;
        // A folder of this name lists what is below it.
        let found = self.entries(&repository, revision, &[path])?.into_iter().find(|entry| entry.path == path);
        let Some(entry) = found else { return Ok(None) };
        Ok(self.contents(&repository, &[entry.blob])?.pop())
    }

    /// Every file of [`files`](Self::files) with its bytes.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn read_all(&self, revision: &str, prefixes: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
        let repository = self.handle()?;
        let entries = self.entries(&repository, revision, prefixes)?;
        let ids: Vec<Oid> = entries.iter().map(|entry| entry.blob).collect();
        let contents = self.contents(&repository, &ids)?;
        Ok(entries.into_iter().map(|entry| entry.path).zip(contents).collect())
    }

    /// What is not a file at a revision, by path, in the same places as [`files`](Self::files).
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn others(&self, revision: &str, prefixes: &[&str]) -> Result<BTreeMap<String, Other>> {
        let repository = self.handle()?;
        let leaves = self.leaves(&repository, revision, prefixes)?;
        let mut others = BTreeMap::new();
        let mut links = Vec::new();
        for (entry, mode) in leaves {
            match mode {
                LINK => links.push(entry),
                mode if is_file(mode) => {}
                _ => drop(others.insert(entry.path, Other::Submodule)),
            }
        }
        let ids: Vec<Oid> = links.iter().map(|entry| entry.blob).collect();
        let targets = self.contents(&repository, &ids)?.into_iter();
        let targets = targets.map(|target| Other::Link(String::from_utf8_lossy(&target).into_owned()));
        others.extend(links.into_iter().map(|entry| entry.path).zip(targets));
        Ok(others)
    }

    /// The files directly in a folder at a revision, by name. Empty when there is no such folder.
    ///
    /// # Errors
    /// [`Error::NoRevision`].
    pub fn read_folder(&self, revision: &str, folder: &str) -> Result<BTreeMap<String, Vec<u8>>> {
        let repository = self.handle()?;
        let top = self.commit_at(&repository, revision)?.tree_id();
        let Some((folder, ObjectType::Tree, _)) = self.entry(&repository, top, &self.path_at_top(folder))? else {
            return Ok(BTreeMap::new());
        };
        let tree = self.tree(&repository, folder)?;
        let files = tree.iter().filter(|entry| is_file(entry.filemode()));
        let (names, ids): (Vec<String>, Vec<Oid>) =
            files.map(|entry| (String::from_utf8_lossy(entry.name_bytes()).into_owned(), entry.id())).unzip();
        Ok(names.into_iter().zip(self.contents(&repository, &ids)?).collect())
    }

    /// Blobs' bytes, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::MissingObject`]; [`Error::NoRevision`] for what is not an id.
    pub fn blobs(&self, ids: &[&str]) -> Result<Vec<Vec<u8>>> {
        let ids: Vec<Oid> = ids.iter().map(|id| self.oid(id)).collect::<Result<_>>()?;
        self.contents(&self.handle()?, &ids)
    }

    pub(crate) fn oid(&self, id: &str) -> Result<Oid> {
        id.parse().map_err(|_| Error::NoRevision(id.to_owned()))
    }

    pub(crate) fn commit_at<'r>(&self, repository: &'r git2::Repository, revision: &str) -> Result<git2::Commit<'r>> {
        let found = repository.revparse_single(&format!("{revision}^{{commit}}"));
        found.and_then(|object| object.peel_to_commit()).map_err(|error| self.not_found(revision, error))
    }

    /// The tree of a revision; what a merge gives is a tree without a commit.
    fn tree_at(&self, repository: &git2::Repository, revision: &str) -> Result<Oid> {
        match self.commit_at(repository, revision) {
            // a partial clone need not have the commit's tree yet
            Ok(commit) => Ok(commit.tree_id()),
            Err(Error::NoRevision(_)) => {
                let found = repository.revparse_single(&format!("{revision}^{{tree}}"));
                found.map(|object| object.id()).map_err(|error| self.not_found(revision, error))
            }
            Err(error) => Err(error),
        }
    }

    fn not_found(&self, revision: &str, error: git2::Error) -> Error {
        match error.code() {
            ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Peel | ErrorCode::UnbornBranch => {
                Error::NoRevision(revision.to_owned())
            }
            ErrorCode::Ambiguous => Error::Ambiguous(revision.to_owned()),
            _ => self.failed("reading")(error),
        }
    }

    fn entries(&self, repository: &git2::Repository, revision: &str, prefixes: &[&str]) -> Result<Vec<Entry>> {
        let leaves = self.leaves(repository, revision, prefixes)?;
        Ok(leaves.into_iter().filter(|(_, mode)| is_file(*mode)).map(|(entry, _)| entry).collect())
    }

    /// Everything at a revision that is not a folder, with its mode, sorted by path.
    fn leaves(&self, repository: &git2::Repository, revision: &str, prefixes: &[&str]) -> Result<Vec<(Entry, i32)>> {
        let top = self.tree_at(repository, revision)?;
        let all = [""];
        let prefixes = if prefixes.is_empty() { &all[..] } else { prefixes };
        let mut entries = Vec::new();
        // Folders still to be read: their paths, as ours, and their trees.
        let mut folders = Vec::new();
        for prefix in prefixes {
            let prefix = prefix.trim_end_matches('/');
            match self.entry(repository, top, &self.path_at_top(prefix))? {
                Some((id, ObjectType::Tree, _)) => folders.push((prefix.to_owned(), id)),
                Some((blob, _, mode)) => entries.push((Entry { path: prefix.to_owned(), blob }, mode)),
                None => {}
            }
        }
        while let Some((folder, id)) = folders.pop() {
            for entry in &self.tree(repository, id)? {
                let name = String::from_utf8_lossy(entry.name_bytes());
                let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
                match entry.kind() {
                    Some(ObjectType::Tree) => folders.push((path, entry.id())),
                    _ => entries.push((Entry { path, blob: entry.id() }, entry.filemode())),
                }
            }
        }
        entries.sort_by(|a, b| a.0.path.cmp(&b.0.path));
        entries.dedup_by(|a, b| a.0.path == b.0.path);
        Ok(entries)
    }

    /// What stands at a path from the top: its id, its kind and its mode.
    pub(crate) fn entry(
        &self,
        repository: &git2::Repository,
        top: Oid,
        path: &str,
    ) -> Result<Option<(Oid, ObjectType, i32)>> {
        let mut found = (top, ObjectType::Tree, 0o040_000);
        for name in Path::new(path).iter() {
            let (id, ObjectType::Tree, _) = found else { return Ok(None) };
            let tree = self.tree(repository, id)?;
            let Some(entry) = tree.get_name_bytes(name.as_encoded_bytes()) else { return Ok(None) };
            found = (entry.id(), entry.kind().unwrap_or(ObjectType::Any), entry.filemode());
        }
        Ok(Some(found))
    }

    /// A tree; in a partial clone it is fetched when it is missing.
    pub(crate) fn tree<'r>(&self, repository: &'r git2::Repository, id: Oid) -> Result<git2::Tree<'r>> {
        self.ensure(repository, &[id])?;
        repository.find_tree(id).map_err(|error| self.unreadable(id, error))
    }

    /// Many blobs, in the order of their ids.
    pub(crate) fn contents(&self, repository: &git2::Repository, ids: &[Oid]) -> Result<Vec<Vec<u8>>> {
        self.ensure(repository, ids)?;
        let objects = repository.odb().map_err(self.failed("reading"))?;
        let read = |id: &Oid| match objects.read(*id) {
            Ok(object) => Ok(object.data().to_vec()),
            Err(error) => Err(self.unreadable(*id, error)),
        };
        ids.iter().map(read).collect()
    }

    fn unreadable(&self, id: Oid, error: git2::Error) -> Error {
        match error.code() {
            ErrorCode::NotFound => Error::MissingObject(id.to_string()),
            _ => self.failed("reading")(error),
        }
    }
}

pub(crate) fn is_file(mode: i32) -> bool {
    matches!(mode, FILE | EXECUTABLE)
}
