//! The repository that a service follows, and the forge of its pull requests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slipway_forge::Forge;
use slipway_git::Repository;
use slipway_proposal::Remote;

/// Why the repository cannot be read.
pub(crate) type Result<T, E = slipway_proposal::Error> = std::result::Result<T, E>;

/// The repository that a service follows.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Where commits and files are read.
    pub git: Repository,
    /// Where pull requests are.
    pub remote: Arc<Remote>,
    /// How often its default branch is looked at.
    pub pause: Duration,
}

impl Followed {
    /// `project` is the folder of the project in it. A bare repository on this machine is read where it is. Of a repository on GitHub there is
    /// a copy in `cache`, which is no more than that: it may be lost at any time, and one that a crash has damaged is made anew.
    ///
    /// # Errors
    /// When neither is there, the forge is not supported, or the copy cannot be made.
    pub fn open(repository: &str, project: &str, cache: &Path) -> Result<Self> {
        Self::of(Remote::without_git(repository)?, project, cache)
    }

    /// The same of a remote that is known.
    ///
    /// # Errors
    /// When it is not there, or the copy cannot be made.
    pub fn of(remote: Remote, project: &str, cache: &Path) -> Result<Self> {
        let (git, pause) = match &remote.forge {
            // looking costs a fifth of a millisecond
            Forge::Bare(bare) => (Repository::open(bare.path())?, Duration::from_millis(250)),
            Forge::GitHub(_) => (Repository::open_cache(&cache.join("repository.git"))?, Duration::from_secs(5)),
        };
        Ok(Self { git: git.below(project), remote: Arc::new(remote), pause })
    }

    /// Whether nothing can be written there, because there are no credentials for its forge.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(&self.remote.forge, Forge::GitHub(github) if github.is_anonymous())
    }

    /// The newest commit of a branch, which is here afterwards; `None` if there is no such branch in a bare repository.
    ///
    /// # Errors
    /// When the forge cannot be reached or refuses.
    pub async fn fetch(&self, branch: &str) -> Result<Option<String>> {
        let reference = format!("refs/heads/{branch}");
        match &self.remote.forge {
            Forge::Bare(_) => Ok(self.git.reference(&reference)?),
            Forge::GitHub(_) => self.fetch_reference(&reference).await.map(Some),
        }
    }

    /// Fetches a reference of the forge, such as `refs/pull/7/head`; its commit.
    ///
    /// # Errors
    /// When there is no such reference, or the forge cannot be reached.
    pub async fn fetch_reference(&self, name: &str) -> Result<String> {
        self.remote.fetch_reference(&self.git, name).await
    }
}

/// Runs something that reads many files, or waits, away from the tasks that share a thread.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // only the end of the whole program takes a task of this kind away
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use slipway_forge::{Credentials, GitHub};
    use slipway_git::Update;

    use super::*;

    fn copy_in(cache: &Path) -> Repository {
        let github = GitHub::new("https://api.github.com", "octo", "cat", Credentials::token("ghp_x"));
        let remote = Remote::by_api("https://github.com/octo/cat", github).unwrap();
        Followed::of(remote, "", cache).unwrap().git
    }

    #[test]
    fn a_copy_that_a_crash_has_damaged_is_made_anew() {
        let cache = tempfile::tempdir().unwrap();
        let git = copy_in(cache.path());
        let commit = git.commit(None, &[("a".to_owned(), Some(b"x".to_vec()))].into(), "first").unwrap();
        assert!(git.update(&[Update { name: "refs/heads/main", to: &commit, from: None }]).unwrap());
        let main = || copy_in(cache.path()).reference("refs/heads/main").unwrap();
        assert_eq!(main(), Some(commit), "it is kept from one start to the next");
        std::fs::write(cache.path().join("repository.git/refs/heads/main"), "").unwrap();
        assert_eq!(main(), None);
    }
}
