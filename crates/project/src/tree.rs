//! The project's files, in the work tree or at a revision. They are the input of every command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use slipway_git::Repository;

use crate::{Changes, Error, Result};

/// The folders that decide what runs. Nothing else is read.
const FOLDERS: [&str; 6] = ["argocd", "base", "clusters", "datasets", "experiments", "overlays"];

/// Files by path relative to the project's folder, with `/` between folders.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
}

impl Tree {
    /// The work tree as it is now, committed or not.
    pub fn of_work_tree(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        for folder in FOLDERS {
            if root.join(folder).is_dir() {
                tree.read(root, folder, &mut Vec::new())?;
            }
        }
        tree.convert_line_ends(root)?;
        Ok(tree)
    }

    /// The files that are committed at a revision; links in a commit are not followed.
    pub fn at(repository: &Repository, revision: &str) -> Result<Self> {
        Ok(Self { files: repository.read_all(revision, &FOLDERS)? })
    }

    /// Gives files with the line ends of Windows those that git would commit them with, as `core.autocrlf` and `.gitattributes` ask for:
    /// otherwise every such file would differ from its commit.
    fn convert_line_ends(&mut self, root: &Path) -> Result<()> {
        let mut repository = None;
        for (path, bytes) in self.files.iter_mut().filter(|(_, bytes)| bytes.windows(2).any(|two| two == b"\r\n")) {
            if repository.is_none() {
                repository = match Repository::project(root) {
                    Err(slipway_git::Error::NotARepository(_)) => return Ok(()),
                    found => Some(found?),
                };
            }
            if let Some(repository) = &repository {
                *bytes = repository.as_committed(path)?;
            }
        }
        Ok(())
    }

    /// Reads a folder and everything below it. Links are followed, except dangling ones (an editor's lock) and those to a folder that
    /// contains one that is being read: `inside` holds the real paths of those.
    fn read(&mut self, root: &Path, folder: &str, inside: &mut Vec<PathBuf>) -> Result<()> {
        let failed = |path: &Path, source| Error::File { path: path.to_owned(), source };
        let path = root.join(folder);
        let real = path.canonicalize().map_err(|error| failed(&path, error))?;
        if inside.iter().any(|folder| folder.starts_with(&real)) {
            return Ok(());
        }
        inside.push(real);
        for entry in std::fs::read_dir(&path).map_err(|error| failed(&path, error))? {
            let entry = entry.map_err(|error| failed(&path, error))?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(|name| format!("{folder}/{name}")) else { continue };
            if path.is_dir() {
                self.read(root, &name, inside)?;
            } else if !path.is_symlink() || path.exists() {
                self.files.insert(name, std::fs::read(&path).map_err(|error| failed(&path, error))?);
            }
        }
        inside.pop();
        Ok(())
    }

    /// All files.
    pub fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.files
    }

    /// A file's bytes.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// A file's text. Bytes that are not UTF-8 are replaced, so that parsing fails there and names the line.
    pub fn text(&self, path: &str) -> Option<String> {
        self.bytes(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The files below some folders alone.
    #[must_use]
    pub fn limited_to(&self, folders: &[&str]) -> Self {
        let inside = |path: &str| {
            folders.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
        };
        let files = self.files.iter().filter(|(path, _)| inside(path));
        Self { files: files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect() }
    }

    /// The YAML files directly in a folder.
    pub fn yaml_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.keys().map(String::as_str).filter(move |path| {
            path.strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|name| !name.contains('/') && (name.ends_with(".yaml") || name.ends_with(".yml")))
        })
    }

    /// Names of the folders directly in a folder.
    pub fn folders_in(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')?.split_once('/'))
            .map(|(name, _)| name.to_owned())
            .collect();
        names.dedup();
        names
    }

    /// The same with these changes.
    #[must_use]
    pub fn with(&self, changes: &Changes) -> Self {
        let mut tree = self.clone();
        for (path, content) in changes {
            match content {
                Some(bytes) => tree.insert(path, bytes.clone()),
                None => tree.remove(path),
            }
        }
        tree
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), bytes);
    }

    /// Removes a file.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }
}
