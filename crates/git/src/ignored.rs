//! What git ignores in the work tree.

use std::collections::BTreeSet;
use std::fmt;

use crate::{Repository, Result};

/// What git ignores in a work tree, by `.gitignore`, `.git/info/exclude` and the user's own file. What git tracks is never ignored.
pub struct Ignored {
    repository: git2::Repository,
    place: Repository,
    /// Every path in the index, from the top.
    tracked: BTreeSet<String>,
}

impl fmt::Debug for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ignored").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Repository {
    /// What git ignores here; `None` if there is no work tree, or if it ignores this very folder, so that the repository is not the one that
    /// holds the project.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when the index cannot be read.
    pub fn ignored(&self) -> Result<Option<Ignored>> {
        if self.is_bare() {
            return Ok(None);
        }
        let repository = self.handle()?;
        let index = repository.index().map_err(self.failed("reading the index of"))?;
        let tracked = index.iter().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
        let ignored = Ignored { repository, place: self.clone(), tracked };
        let is_holder = self.prefix().is_empty() || !ignored.holds("")?;
        Ok(is_holder.then_some(ignored))
    }
}

impl Ignored {
    /// Whether git ignores a file, or a folder with everything in it.
    ///
    /// # Errors
    /// [`Error::Repository`](crate::Error::Repository) when the rules cannot be read.
    pub fn holds(&self, path: &str) -> Result<bool> {
        let path = self.place.path_at_top(path);
        if self.tracks(&path) {
            return Ok(false);
        }
        self.repository.is_path_ignored(&path).map_err(self.place.failed("reading what is ignored in"))
    }

    /// Whether git tracks a file, or one in a folder.
    fn tracks(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        self.tracked.contains(path)
            || self.tracked.range(inside.clone()..).next().is_some_and(|first| first.starts_with(&inside))
    }
}
