//! The project's files, in the work tree or at a revision. They are the input of every command.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use slipway_git::{Ignored, Leaf, Other, Repository, tree_id};
use slipway_source::{Finding, Position};

use crate::{Changes, Error, Result};

/// The folders that decide what runs. Nothing else is read.
const FOLDERS: [&str; 7] = ["argocd", "base", "clusters", "datasets", "experiments", "overlays", TRAINERS];

/// The folder with the programs: a folder of its own for each.
pub(crate) const TRAINERS: &str = "trainers";

/// Files by path relative to the project's folder, with `/` between folders.
///
/// The work tree and a revision are read by the same rules: regular files count, links are not followed, and another repository inside is
/// not part of the project. What git ignores in the work tree is in no revision, so it is not read.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    /// Those that can be executed.
    executables: BTreeSet<String>,
    /// What is not read.
    others: BTreeMap<String, Other>,
}

impl Tree {
    /// The work tree as it is now, committed or not.
    pub fn of_work_tree(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let repository = repository(root)?;
        let ignored = repository.as_ref().map(Repository::ignored).transpose()?.flatten();
        for folder in FOLDERS {
            tree.read(root, folder.to_owned(), ignored.as_ref())?;
        }
        if let Some(repository) = repository {
            tree.convert_line_ends(&repository)?;
        }
        Ok(tree)
    }

    /// The files that are committed at a revision, or those of a tree by its id.
    pub fn at(repository: &Repository, revision: &str) -> Result<Self> {
        let files = repository.read_all(revision, &FOLDERS)?;
        let executables = repository.executables(revision, &FOLDERS)?;
        Ok(Self { files, executables, others: repository.others(revision, &FOLDERS)? })
    }

    /// The id that git gives to a folder with what is in it: that of its tree. `None` if there is no such folder, or if it holds another
    /// repository.
    #[must_use]
    pub fn folder_id(&self, folder: &str) -> Option<String> {
        let mut leaves: BTreeMap<&str, Leaf<'_>> = BTreeMap::new();
        for (path, bytes) in &self.files {
            let Some(name) = inside(path, folder) else { continue };
            let leaf = if self.executables.contains(path) { Leaf::Executable(bytes) } else { Leaf::File(bytes) };
            leaves.insert(name, leaf);
        }
        for (path, other) in &self.others {
            let Some(name) = inside(path, folder) else { continue };
            let Other::Link(target) = other else { return None };
            leaves.insert(name, Leaf::Link(target));
        }
        tree_id(leaves)
    }

    /// The files in a folder and below it.
    pub fn files_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.keys().map(String::as_str).filter(move |path| inside(path, folder).is_some())
    }

    /// The files whose paths begin with a text, without a look at any other.
    pub(crate) fn files_from<'a>(&'a self, beginning: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let beginning = beginning.to_owned();
        self.files
            .range(beginning.clone()..)
            .map(|(path, _)| path.as_str())
            .take_while(move |path| path.starts_with(&beginning))
    }

    /// Whether a file below a folder holds a text.
    #[must_use]
    pub fn mentions(&self, folder: &str, text: &str) -> bool {
        let files = self.files.iter().filter(|(path, _)| inside(path, folder).is_some());
        files.map(|(_, bytes)| bytes).any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
    }

    /// The files that can be executed.
    #[must_use]
    pub fn executables(&self) -> &BTreeSet<String> {
        &self.executables
    }

    /// Gives files with the line ends of Windows those that git would commit them with, as `core.autocrlf` and `.gitattributes` ask for:
    /// otherwise every such file would differ from its commit.
    fn convert_line_ends(&mut self, repository: &Repository) -> Result<()> {
        for (path, bytes) in self.files.iter_mut().filter(|(_, bytes)| bytes.windows(2).any(|two| two == b"\r\n")) {
            *bytes = repository.as_committed(path)?;
        }
        Ok(())
    }

    /// Reads a file, or a folder and everything below it. What an editor removes meanwhile was not there, and a pipe or a socket is
    /// nobody's file.
    fn read(&mut self, root: &Path, name: String, ignored: Option<&Ignored>) -> Result<()> {
        if ignored.map(|ignored| ignored.holds(&name)).transpose()?.unwrap_or_default() {
            return Ok(());
        }
        let path = root.join(&name);
        let failed = |source| Error::File { path: path.clone(), source };
        let kind = match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            found => found.map_err(failed)?.file_type(),
        };
        if kind.is_symlink() {
            let target = path.read_link().map_err(failed)?;
            self.others.insert(name, Other::Link(target.to_string_lossy().into_owned()));
        } else if kind.is_dir() && path.join(".git").symlink_metadata().is_ok() {
            self.others.insert(name, Other::Submodule);
        } else if kind.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?.file_name();
                self.read(root, format!("{name}/{}", entry.to_string_lossy()), ignored)?;
            }
        } else if kind.is_file() {
            match std::fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                bytes => drop(self.files.insert(name.clone(), bytes.map_err(failed)?)),
            }
            if is_executable(&path) {
                self.executables.insert(name);
            }
        }
        Ok(())
    }

    /// A finding for each link to something in this project, and for each submodule, in some folders: what is there is not read. A dangling
    /// link, such as an editor's lock, and one to a folder that it is in are no loss.
    #[must_use]
    pub fn unread(&self, folders: &[&str]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let inside = |path: &str| folders.iter().any(|folder| below(path, folder));
        for (path, other) in self.others.iter().filter(|(path, _)| inside(path)) {
            let finding =
                |code, message: String, help: &str| Finding::at(path, Position::START, code, message).with_help(help);
            findings.extend(match other {
                Other::Submodule => Some(finding(
                    "submodule",
                    format!("{path} is another git repository, whose files are not read"),
                    "copy what is needed, or deploy it by an Application whose source is that repository",
                )),
                Other::Link(target) => self.target(path, target).map(|target| {
                    finding(
                        "link",
                        format!("{path} is a link to {target}, which is not followed"),
                        "commit a copy in its place, or name the target where it is needed",
                    )
                }),
            });
        }
        findings
    }

    /// Links to something that is not in the folders that are read, with their targets. Whether it exists is not known here.
    pub fn links_outside(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_read = |target: String| target.is_empty() || FOLDERS.iter().any(|folder| below(&target, folder));
        self.others.iter().filter_map(move |(path, other)| match other {
            Other::Link(target) if !resolve(path, target).is_some_and(is_read) => {
                Some((path.as_str(), target.as_str()))
            }
            _ => None,
        })
    }

    /// The file or folder of this project that a link leads to, unless the link is in that folder.
    fn target(&self, link: &str, target: &str) -> Option<String> {
        let target = resolve(link, target)?;
        let inside = format!("{target}/");
        let exists = self.files.contains_key(&target)
            || self.files.range(inside.clone()..).next().is_some_and(|(path, _)| path.starts_with(&inside));
        (exists && !below(link, &target)).then_some(target)
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
        let inside = |path: &str| folders.iter().any(|folder| below(path, folder));
        let files = self.files.iter().filter(|(path, _)| inside(path));
        let others = self.others.iter().filter(|(path, _)| inside(path));
        Self {
            executables: self.executables.iter().filter(|path| inside(path)).cloned().collect(),
            files: files.map(|(path, bytes)| (path.clone(), bytes.clone())).collect(),
            others: others.map(|(path, other)| (path.clone(), other.clone())).collect(),
        }
    }

    /// The YAML files directly in a folder that a person wrote. Names that begin with a dot are those of editors and of macOS, such as
    /// `._digits.yaml`.
    pub fn written_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.yaml_in(folder).filter(|path| path.rsplit('/').next().is_some_and(|name| !name.starts_with('.')))
    }

    /// The YAML files directly in a folder.
    pub fn yaml_in<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.files.keys().map(String::as_str).filter(move |path| {
            path.strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|name| !name.contains('/') && (name.ends_with(".yaml") || name.ends_with(".yml")))
        })
    }

    /// Names of the folders directly in a folder, without those that begin with a dot.
    pub fn folders_in(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/')?.split_once('/'))
            .map(|(name, _)| name.to_owned())
            .filter(|name| !name.starts_with('.'))
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

    /// Adds or replaces a file, which is as executable as before.
    pub fn insert(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), bytes);
    }

    /// Removes a file.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
        self.executables.remove(path);
    }

    /// Makes a file executable, as one of another tree is.
    pub fn copy_mode(&mut self, path: &str, from: &Self) {
        if from.executables.contains(path) {
            self.executables.insert(path.to_owned());
        }
    }
}

/// The repository that the project is in, if it is in one.
fn repository(root: &Path) -> Result<Option<Repository>> {
    match Repository::project(root) {
        Err(slipway_git::Error::NotARepository(_)) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// Whether its owner can execute a file, which is what git records.
fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o100 != 0)
}

/// The part of a path below a folder.
fn inside<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    path.strip_prefix(folder)?.strip_prefix('/')
}

/// Whether a path is a folder, or in it.
fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.is_empty())
}

/// The path in the project that a link's target is; `None` if it leads out of the project.
fn resolve(link: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
