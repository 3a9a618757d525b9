//! What can go wrong, with the way out.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a repository or a forge did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `git` cannot be run.
    #[error("cannot run git: {0}; install it (apt install git, brew install git)")]
    NoGit(std::io::Error),
    /// Not in a git repository.
    #[error("{} is not in a git repository: run `git init` there, or name another folder with --repo", .0.display())]
    NotARepository(PathBuf),
    /// Git said no.
    #[error("git {command}: {stderr}; {advice}")]
    Git {
        /// The subcommand, with the remote and the branch if any.
        command: String,
        /// What it printed on standard error.
        stderr: String,
        /// What to do.
        advice: &'static str,
    },
    /// The remote has no such branch.
    #[error("{remote} has no branch {branch}: push one first, such as `git push {remote} HEAD:{branch}`")]
    NoBranch {
        /// Name or URL.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// A path that cannot be in a commit.
    #[error("`{0}` cannot be a file in a commit: paths are relative, without `..` and `.git`")]
    Path(String),
    /// A temporary file or a pipe.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// No forge is known behind a URL.
    #[error(
        "no pull request can be opened on {0}: GitHub is supported (https://github.com/<owner>/<repository>, another server with \
         GITHUB_API_URL), and a bare repository on this machine; a branch can still be pushed by hand with `git push`"
    )]
    UnknownForge(String),
    /// A repository with a work tree, or a folder inside one.
    #[error(
        "{} is not a bare repository: pull requests would move main below its work tree; make a bare one with \
         `git clone --bare`, and name that",
        .0.display()
    )]
    NotBare(PathBuf),
    /// There is no such pull request.
    #[error("there is no pull request #{0}: look at the forge's list for its number")]
    NoPullRequest(u64),
    /// It is not open any more.
    #[error("pull request #{number} is {state} already: nothing is left to merge; propose again for another")]
    NotOpen {
        /// Its number.
        number: u64,
        /// `merged` or `closed`.
        state: String,
    },
    /// Main changed the same lines.
    #[error("pull request #{number} conflicts with main in {files}: propose it again, on today's main")]
    Conflict {
        /// Its number.
        number: u64,
        /// The files, with commas.
        files: String,
    },
    /// Others changed the forge each time that it was ready, or one of them crashed and left a lock.
    #[error(
        "others kept changing the forge, so there is not {what} yet: try again; if none runs, remove `*.lock` in its refs"
    )]
    Busy {
        /// What was tried.
        what: String,
    },
    /// A pull request's record is damaged.
    #[error(
        "the record of pull request #{number} cannot be read: {reason}; remove it with \
         `git update-ref -d refs/slipway/pull/{number}` in the forge, and propose it again"
    )]
    Malformed {
        /// Its number.
        number: u64,
        /// Why.
        reason: String,
    },
    /// GitHub refused.
    #[error("GitHub refused ({status}): {message}; {advice}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
        /// What to do.
        advice: &'static str,
    },
    /// GitHub cannot be reached.
    #[error("cannot reach GitHub at {url}: {reason}; check the network, the proxy and GITHUB_API_URL, then try again")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Nothing says who is asking.
    #[error(
        "GitHub needs a token: set GITHUB_TOKEN (contents and pull requests: write), or sign in with `gh auth login`"
    )]
    NoToken,
}

impl Error {
    /// Whether it is a service elsewhere that did not answer, or refused; asking again may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreachable { .. } | Self::Busy { .. } | Self::Git { .. })
    }
}

/// What to do about what git printed, in the C locale.
pub(crate) fn advice(stderr: &str) -> &'static str {
    let known = [
        (
            &["terminal prompts disabled", "Authentication failed", "Permission denied (publickey"][..],
            "sign in first: a credential helper, an SSH key, or `gh auth setup-git`",
        ),
        (
            &["[rejected]", "non-fast-forward", "fetch first"],
            "the branch is there with other commits: fetch it and look at them, or delete it there",
        ),
        (&["hook declined", "remote rejected"], "the remote's own rules refuse it: its message says which"),
        (
            &["Could not resolve host", "Connection refused", "Failed to connect", "timed out"],
            "check the network, the proxy and the remote's address, then try again",
        ),
        (
            &["does not appear to be a git repository", "not found", "does not exist"],
            "check the remote's name with `git remote -v`, and that you may read it",
        ),
        (
            &["dubious ownership"],
            "it is another user's; trust it with `git config --global --add safe.directory <folder>`",
        ),
        (&[".lock': File exists"], "another git is at work, or one crashed: when none runs, remove the lock file"),
        (&["Permission denied", "Read-only file system"], "make the repository writable for this user"),
        (&["No space left on device"], "free some space on the disk"),
        (
            &["ot a valid object name", "Needed a single revision", "unknown revision", "bad revision", "not a tree"],
            "there is no such commit here: fetch it first, or name another",
        ),
        (&["is not a git command", "unknown option"], "git is too old: 2.38 or newer is needed"),
    ];
    let found = known.iter().find(|(words, _)| words.iter().any(|word| stderr.contains(word)));
    found.map_or("run the same by hand to look closer; `git fsck` checks the repository", |(_, advice)| advice)
}

/// A URL as it may be shown: without what stands before the host's `@`.
pub(crate) fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_user_is_taken_out_of_a_url() {
        for (url, shown) in [
            ("https://user:p@ss@host:8443/a/b@c", "https://host:8443/a/b@c"),
            ("https://token@host", "https://host"),
            ("https://host/a", "https://host/a"),
            ("git@github.com:a/b.git", "git@github.com:a/b.git"),
            ("/srv/a@b/forge.git", "/srv/a@b/forge.git"),
            ("file:///srv/a@b", "file:///srv/a@b"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
