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
    #[error("{} is not in a git repository: run `git init` there, or name another folder", .0.display())]
    NotARepository(PathBuf),
    /// Git said no.
    #[error("git {command}: {said}")]
    Git {
        /// Its first argument.
        command: String,
        /// What it printed on standard error.
        said: String,
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
        "no pull request can be opened on {0}: GitHub is supported (https://github.com/<owner>/<repository>), and a bare repository on this machine"
    )]
    UnknownForge(String),
    /// There is no such pull request.
    #[error("there is no pull request #{0}")]
    NoPullRequest(u64),
    /// It is not open any more.
    #[error("pull request #{number} is {state} already")]
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
    /// Main moved each time that a merge was ready.
    #[error("main moves too fast to merge pull request #{0}: try again")]
    Busy(u64),
    /// A pull request's record is damaged.
    #[error("the record of pull request #{number} cannot be read: {reason}")]
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
    #[error("cannot reach GitHub at {url}: {reason}")]
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
        matches!(self, Self::Refused { .. } | Self::Unreachable { .. } | Self::Busy(_) | Self::Git { .. })
    }
}
