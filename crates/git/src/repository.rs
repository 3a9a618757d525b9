//! A repository on this machine, and a project in a folder of it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git2::{RepositoryInitOptions, RepositoryOpenFlags};

use crate::program::{LIMIT, Run};
use crate::{Error, Result};

/// A repository, with or without a work tree, or a folder of it. All paths that it takes and gives are relative to that folder, with `/`
/// between the parts; everything outside the folder stays as it is.
///
/// It may be used by many threads at once: every call opens the repository for itself and sees what other processes did before.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The `.git` folder; of a linked work tree its own one.
    git_folder: PathBuf,
    root: PathBuf,
    /// The folder that paths are relative to, from the top; empty for the top itself.
    prefix: String,
    bare: bool,
    /// The remote that has the objects which a partial clone lacks.
    promisor: Option<String>,
    limit: Duration,
}

impl Repository {
    /// The repository that `folder` lies in, as a whole.
    ///
    /// # Errors
    /// [`Error::NotARepository`], [`Error::NotOwned`], [`Error::Unsupported`].
    pub fn open(folder: &Path) -> Result<Self> {
        // No flag: the environment is not asked.
        let found = git2::Repository::open_ext(folder, RepositoryOpenFlags::empty(), [] as [&OsStr; 0])
            .map_err(|error| Error::opening(folder, error))?;
        Ok(Self {
            git_folder: found.path().components().collect(),
            // without the slash at its end
            root: found.workdir().unwrap_or(found.path()).components().collect(),
            prefix: String::new(),
            bare: found.is_bare(),
            promisor: promisor(&found).map_err(Error::of("reading the settings of", folder))?,
            limit: LIMIT,
        })
    }

    /// The repository that `folder` lies in, seen from that folder: `mono/ml` of a larger repository holds a project of its own.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`Error::Path`] when the folder's name is not UTF-8.
    pub fn project(folder: &Path) -> Result<Self> {
        let whole = Self::open(folder)?;
        if whole.bare {
            return Ok(whole);
        }
        let canonical = |path: &Path| path.canonicalize().map_err(Error::io("finding the folder in its repository"));
        let (folder, root) = (canonical(folder)?, canonical(&whole.root)?);
        // A folder inside `.git` is not in the work tree.
        let Ok(inside) = folder.strip_prefix(root) else { return Ok(whole) };
        let parts: Option<Vec<&str>> = inside.iter().map(OsStr::to_str).collect();
        let prefix = parts.ok_or_else(|| Error::Path(inside.display().to_string()))?.join("/");
        Ok(Self { prefix, ..whole })
    }

    /// Makes an empty bare repository whose branch will be `main`; in a folder that is one already nothing changes.
    ///
    /// # Errors
    /// [`Error::Repository`] when it cannot be written.
    pub fn init_bare(folder: &Path) -> Result<Self> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).mkpath(true).external_template(false).initial_head("main");
        git2::Repository::init_opts(folder, &options).map_err(Error::of("making", folder))?;
        Self::open(folder)
    }

    /// The same repository seen from a folder of it, such as `mono/ml`; empty for its top.
    #[must_use]
    pub fn below(self, folder: &str) -> Self {
        Self { prefix: folder.trim_matches('/').to_owned(), ..self }
    }

    /// The same with another time limit for each run of the user's git; five minutes otherwise.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// The top of the work tree; of a bare repository its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Git's own folder.
    pub(crate) fn git_folder(&self) -> &Path {
        &self.git_folder
    }

    /// The folder that paths are relative to, from the top; empty for the top itself.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether it has no work tree.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.bare
    }

    /// The remote that has the objects which a partial clone lacks; `None` for any other repository.
    pub(crate) fn promisor(&self) -> Option<&str> {
        self.promisor.as_deref()
    }

    /// A path as the repository's top sees it.
    #[must_use]
    pub fn path_at_top(&self, path: &str) -> String {
        match (self.prefix.as_str(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}/{path}"),
        }
    }

    /// Opens it for one call.
    pub(crate) fn handle(&self) -> Result<git2::Repository> {
        let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
        git2::Repository::open_ext(&self.git_folder, flags, [] as [&OsStr; 0])
            .map_err(|error| Error::opening(&self.git_folder, error))
    }

    /// A run of the user's git on this repository.
    pub(crate) fn git<'a>(&'a self, arguments: &[&'a str]) -> Run<'a> {
        Run::new(&self.root, arguments, self.limit)
    }

    /// Turns an error of libgit2 into ours.
    pub(crate) fn failed(&self, action: &'static str) -> impl FnOnce(git2::Error) -> Error {
        Error::of(action, &self.root)
    }
}

/// Refuses what could leave the tree; libgit2 refuses every spelling of `.git`.
pub(crate) fn check_path(path: &str) -> Result<()> {
    let fine = !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if fine { Ok(()) } else { Err(Error::Path(path.to_owned())) }
}

/// The first remote that is marked as having the objects which a partial clone lacks.
fn promisor(repository: &git2::Repository) -> std::result::Result<Option<String>, git2::Error> {
    let settings = repository.config()?;
    let mut marks = settings.entries(Some(r"^remote\..*\.promisor$"))?;
    while let Some(mark) = marks.next() {
        let mark = mark?;
        let name = mark.name()?.strip_prefix("remote.").and_then(|name| name.strip_suffix(".promisor"));
        if let (Some(name), Ok(true)) = (name, mark.value().and_then(git2::Config::parse_bool)) {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
