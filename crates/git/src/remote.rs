//! Fetching and pushing, by the user's own git.

use std::sync::atomic::{AtomicU64, Ordering};

use git2::Oid;
use slipway_causes::without_password;

use crate::program::{failed, line};
use crate::{Error, Repository, Result};

/// References to what was fetched, under a name that no person uses.
const FETCHED: &str = "refs/slipway/fetched";
/// Tells fetches of one process apart.
static FETCHES: AtomicU64 = AtomicU64::new(0);

impl Repository {
    /// Fetches a branch of a remote (its name, a URL or a path); its commit. No branch of this repository moves.
    ///
    /// # Errors
    /// [`Error::NoBranch`]; [`Error::Git`] and [`Error::TimedOut`] when the remote cannot be reached.
    pub fn fetch(&self, remote: &str, branch: &str) -> Result<String> {
        self.fetch_reference(remote, &format!("refs/heads/{branch}"))
    }

    /// Fetches a reference of a remote, such as `refs/pull/7/head`; its commit. No reference of this repository moves.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_reference(&self, remote: &str, name: &str) -> Result<String> {
        // A reference for each fetch, so that two at once do not meet.
        let here = format!("{FETCHED}/{}-{}", std::process::id(), FETCHES.fetch_add(1, Ordering::Relaxed));
        self.fetch_into(remote, name, &here)?;
        let fetched = self.reference(&here)?;
        self.remove_reference(&here)?;
        fetched.ok_or_else(|| Error::NoBranch { remote: without_password(remote), branch: name.to_owned() })
    }

    /// Fetches a reference of a remote, such as `HEAD`, into one of this repository. A remote that is a shallow clone will do.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_into(&self, remote: &str, from: &str, to: &str) -> Result<()> {
        let refspec = format!("+{from}:{to}");
        // An empty refmap: what the remote's configuration would update besides, in a mirror even the branches, stays.
        let mut arguments =
            vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--refmap="];
        if self.is_bare() {
            arguments.push("--update-shallow");
        }
        arguments.extend(["--end-of-options", remote, &refspec]);
        let branch = from.strip_prefix("refs/heads/").unwrap_or(from);
        let shown = without_password(remote);
        let command = format!("fetch {shown} {branch}");
        let done = self.git(&arguments).end(&command)?;
        if done.is_success() {
            Ok(())
        } else if done.stderr.contains("couldn't find remote ref") {
            Err(Error::NoBranch { remote: shown, branch: branch.to_owned() })
        } else {
            Err(failed(&command, done.stderr))
        }
    }

    /// Puts a commit on a branch of a remote (its name, a URL or a path). One that is there already is fine; a branch with other commits
    /// is not overwritten. The hook `pre-push` runs.
    ///
    /// # Errors
    /// [`Error::Git`] when the remote refuses or cannot be reached, with what it said; [`Error::TimedOut`].
    pub fn push(&self, remote: &str, commit: &str, branch: &str) -> Result<()> {
        let refspec = format!("{commit}:refs/heads/{branch}");
        let options = ["push", "--quiet", "--no-follow-tags", "--recurse-submodules=no", "--end-of-options"];
        let command = format!("push {} {branch}", without_password(remote));
        self.git(&[&options[..], &[remote, &refspec]].concat()).output(&command).map(drop)
    }

    /// A remote's URL as git uses it, so with `url.<base>.insteadOf`. Returns `None` if there is no remote of this name.
    ///
    /// # Errors
    /// [`Error::NoGit`].
    pub fn remote_url(&self, name: &str) -> Result<Option<String>> {
        let done = self.git(&["remote", "get-url", "--", name]).end("remote get-url")?;
        Ok(done.is_success().then(|| line(&done.stdout)))
    }

    /// The names of the remotes.
    ///
    /// # Errors
    /// [`Error::Repository`].
    pub fn remotes(&self) -> Result<Vec<String>> {
        let names = self.handle()?.remotes().map_err(self.failed("reading the remotes of"))?;
        Ok(names.iter().filter_map(|name| name.ok().flatten().map(str::to_owned)).collect())
    }

    /// In a partial clone, fetches those of these objects that are missing, as git does when it meets one.
    pub(crate) fn ensure(&self, repository: &git2::Repository, ids: &[Oid]) -> Result<()> {
        let Some(promisor) = self.promisor() else { return Ok(()) };
        let objects = repository.odb().map_err(self.failed("reading"))?;
        let missing: String = ids.iter().filter(|id| !objects.exists(**id)).map(|id| format!("{id}\n")).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let setting = "fetch.negotiationAlgorithm=noop";
        let options =
            ["--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none"];
        let arguments = [&["-c", setting, "fetch"][..], &options, &["--stdin", "--end-of-options", promisor]].concat();
        self.git(&arguments).input(missing.as_bytes()).output(&format!("fetch {promisor}"))?;
        objects.refresh().map_err(self.failed("reading"))
    }
}
