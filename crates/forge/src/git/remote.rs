//! Fetching and pushing.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Git, failed, line, said};
use crate::error::without_password;
use crate::{Error, Result};

/// A name for what was fetched that no person uses.
const FETCHED: &str = "refs/slipway/fetched";
/// Tells fetches of one process apart.
static FETCHES: AtomicU64 = AtomicU64::new(0);

impl Git {
    /// Fetches a branch of a remote (its name, a URL or a path) and gives its commit. No branch of this repository moves.
    ///
    /// # Errors
    /// [`Error::NoBranch`]; [`Error::Git`] when the remote cannot be reached.
    pub fn fetch(&self, remote: &str, branch: &str) -> Result<String> {
        // A ref for each fetch, so that two at once do not meet.
        let here = format!("{FETCHED}/{}-{}", std::process::id(), FETCHES.fetch_add(1, Ordering::Relaxed));
        let refspec = format!("+refs/heads/{branch}:{here}");
        // An empty refmap: what the remote's configuration would update besides, in a mirror even the branches, stays.
        let options =
            ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="];
        let arguments = [&options[..], &["--end-of-options", remote, &refspec]].concat();
        let done = self.output(&arguments, &[], None)?;
        if !done.status.success() {
            let stderr = said(&done);
            let remote = without_password(remote);
            if stderr.contains("couldn't find remote ref") {
                return Err(Error::NoBranch { remote, branch: branch.to_owned() });
            }
            return Err(failed(&format!("fetch {remote} {branch}"), stderr));
        }
        let commit = line(&self.run(&["rev-parse", "--verify", &here], &[], None)?);
        self.run(&["update-ref", "-d", &here], &[], None)?;
        Ok(commit)
    }

    /// Puts a commit on a branch of a remote (its name, a URL or a path). One that is there already is fine; a branch with other commits
    /// is not overwritten.
    ///
    /// # Errors
    /// [`Error::Git`] when the remote refuses or cannot be reached, with what it said.
    pub fn push(&self, remote: &str, commit: &str, branch: &str) -> Result<()> {
        let refspec = format!("{commit}:refs/heads/{branch}");
        let options = ["push", "--quiet", "--no-follow-tags", "--recurse-submodules=no", "--end-of-options"];
        let done = self.output(&[&options[..], &[remote, &refspec]].concat(), &[], None)?;
        if done.status.success() {
            return Ok(());
        }
        Err(failed(&format!("push {} {branch}", without_password(remote)), said(&done)))
    }

    /// A remote's URL; none when there is no remote of this name.
    ///
    /// # Errors
    /// [`Error::NoGit`].
    pub fn remote_url(&self, name: &str) -> Result<Option<String>> {
        let done = self.output(&["remote", "get-url", "--", name], &[], None)?;
        Ok(done.status.success().then(|| line(&done.stdout)))
    }
}
