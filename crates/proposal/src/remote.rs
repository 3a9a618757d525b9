//! The repository that pull requests go to.

use std::path::{Path, PathBuf};

use slipway_forge::{Forge, Opened, PullRequest, forge_of};
use slipway_git::Repository;

use crate::{Error, Result};

/// The most branches of one proposal: others than the first hold commits that somebody added to it.
const BRANCHES: usize = 20;

/// A remote, with the forge that its pull requests are opened on.
#[derive(Debug)]
pub struct Remote {
    /// The remote's name in git, its URL, or the path of a repository on this machine.
    pub name: String,
    /// Where its pull requests are opened.
    pub forge: Forge,
}

impl Remote {
    /// A remote of a repository by its name, its URL or its path. A relative path in git's configuration begins at the top of the work tree,
    /// as it does for git; a relative path that a person gives begins at `here`.
    ///
    /// # Errors
    /// [`Error::NoRemote`]; when its forge is not supported.
    pub fn named(git: &Repository, name: &str, here: &Path) -> Result<Self> {
        if let Some(url) = git.remote_url(name)? {
            let url = if is_path(&url) { git.root().join(&url).display().to_string() } else { url };
            return Ok(Self { forge: forge_of(&url)?, name: name.to_owned() });
        }
        if !is_path(name) {
            return Ok(Self { forge: forge_of(name)?, name: name.to_owned() });
        }
        let path = here.join(name);
        if path.is_dir() {
            return Self::at(&path);
        }
        Err(Error::NoRemote { name: name.to_owned(), path, known: git.remotes()? })
    }

    /// A bare repository on this machine.
    ///
    /// # Errors
    /// When it is not a bare repository.
    pub fn at(path: &Path) -> Result<Self> {
        // git is run in another folder; one that is not there is refused below
        let path = path.canonicalize().unwrap_or_else(|_| PathBuf::from(path));
        let name = path.display().to_string();
        Ok(Self { forge: forge_of(&name)?, name })
    }

    /// Puts a commit on a branch and opens its pull request. If one is already open for the branch, returns that one.
    ///
    /// The branch may be there without a pull request, because none could be opened or it was closed. If it holds the same change, it is
    /// taken as it is: the same commit by its content, whoever made it and when. If somebody added commits to it, it is left alone, and
    /// a number is added to the name of the new one.
    pub(crate) async fn open(&self, git: &Repository, head: &str, mut request: PullRequest) -> Result<Opened> {
        let first = request.branch.clone();
        for number in 1..=BRANCHES {
            if number > 1 {
                request.branch = format!("{first}-{number}");
            }
            if let Some(opened) = self.forge.resume(&request).await? {
                return Ok(opened);
            }
            let there = match git.fetch(&self.name, &request.branch) {
                Ok(there) => Some(there),
                Err(slipway_git::Error::NoBranch { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            match there {
                Some(there) if !git.is_same_change(&there, head)? => continue,
                Some(_) => {}
                None => git.push(&self.name, head, &request.branch)?,
            }
            return Ok(self.forge.open(&request).await?);
        }
        Err(Error::TooManyBranches(first))
    }
}

/// Whether git takes it for a path, and not for `https://…`, `user@host:path` or `host:path`.
fn is_path(url: &str) -> bool {
    match url.split_once(':') {
        None => true,
        Some((before, _)) => before.contains('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::is_path;

    #[test]
    fn a_path_is_told_from_an_address() {
        for path in ["../x.git", "/srv/x.git", "x", "./a:b", "/srv/a:b.git"] {
            assert!(is_path(path), "{path}");
        }
        for url in ["https://github.com/a/b", "git@github.com:a/b", "work:a/b", "file:///srv/x.git", "ssh://h/a"] {
            assert!(!is_path(url), "{url}");
        }
    }
}
