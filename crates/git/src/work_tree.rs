//! What git tracks in the work tree, and how that differs from HEAD. The index is read and never written.

use git2::StatusOptions;

use crate::{Repository, Result};

/// A file, a link or a submodule that git tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Its path.
    pub path: String,
    /// Its mode in git: `0o100644` and `0o100755` are files, all others are not.
    pub mode: u32,
}

impl Repository {
    /// Whether these files and folders are at HEAD as they are in the work tree. One that git does not know, or ignores, is not.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when there is no work tree.
    pub fn is_clean(&self, paths: &[&str]) -> Result<bool> {
        if paths.is_empty() {
            return Ok(true);
        }
        let mut options = plain();
        options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(true).recurse_ignored_dirs(true);
        for path in paths {
            options.pathspec(self.path_at_top(path));
        }
        self.is_unchanged(options)
    }

    /// Whether a file that git tracks, anywhere in the repository, differs from HEAD.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when there is no work tree.
    pub fn is_dirty(&self) -> Result<bool> {
        let mut options = plain();
        options.include_untracked(false).include_ignored(false);
        Ok(!self.is_unchanged(options)?)
    }

    /// What git tracks at a path or below it, in the index's order.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when there is no work tree.
    pub fn tracked(&self, path: &str) -> Result<Vec<Tracked>> {
        let repository = self.handle()?;
        let index = repository.index().map_err(self.failed("reading the index of"))?;
        let (top, at) = (self.path_at_top(""), self.path_at_top(path.trim_end_matches('/')));
        let below = |name: &str, folder: &str| match name.strip_prefix(folder) {
            Some(rest) if folder.is_empty() => Some(rest.to_owned()),
            Some("") => Some(String::new()),
            Some(rest) => rest.strip_prefix('/').map(str::to_owned),
            None => None,
        };
        let entries = index.iter().filter_map(|entry| {
            let name = String::from_utf8_lossy(&entry.path);
            below(&name, &at)?;
            Some(Tracked { path: below(&name, &top)?, mode: entry.mode })
        });
        Ok(entries.collect())
    }

    /// The bytes that git would commit of a file of the work tree: with its line ends as `core.autocrlf` and `.gitattributes` ask for.
    /// Nothing is written.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when the file cannot be read.
    pub fn as_committed(&self, path: &str) -> Result<Vec<u8>> {
        let repository = self.handle()?;
        let failed = || self.failed("converting the line ends of a file of");
        let objects = repository.odb().map_err(failed())?;
        // takes what is written before any other store does, and goes with the handle
        objects.add_new_mempack_backend(1000).map_err(failed())?;
        let id = repository.blob_path(&self.root().join(self.path_at_top(path))).map_err(failed())?;
        let content = repository.find_blob(id).map_err(failed())?.content().to_vec();
        Ok(content)
    }

    fn is_unchanged(&self, mut options: StatusOptions) -> Result<bool> {
        let repository = self.handle()?;
        let statuses = repository.statuses(Some(&mut options)).map_err(self.failed("comparing the work tree of"))?;
        Ok(statuses.is_empty())
    }
}

/// Paths are taken literally.
fn plain() -> StatusOptions {
    let mut options = StatusOptions::new();
    options.disable_pathspec_match(true).update_index(false);
    options
}
