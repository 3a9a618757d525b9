//! What can go wrong, with the way out.

use std::borrow::Cow;
use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a repository or a forge did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository, or the remote behind it.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// No forge is known behind a URL.
    #[error(
        "no pull request can be opened on {0}: it is neither a repository on GitHub (https://github.com/<owner>/<repository>; for an \
         Enterprise server, run `gh auth login --hostname` or set GH_HOST) nor a bare repository on this machine; on another forge, \
         push a branch with `git push` and open the pull request there"
    )]
    UnknownForge(String),
    /// A repository with a work tree, or a folder inside a repository.
    #[error(
        "{} is not a bare repository, so a merge would move the branch that is checked out there: make a bare one with \
         `git clone --bare`, and name that",
        .0.display()
    )]
    NotBare(PathBuf),
    /// There is no such pull request.
    #[error("there is no pull request #{0}: `slipway status` lists those that are open")]
    NoPullRequest(u64),
    /// It is no longer open.
    #[error("pull request #{number} is {state} already: `slipway propose` opens another")]
    NotOpen {
        /// Its number.
        number: u64,
        /// `merged` or `closed`.
        state: String,
    },
    /// The branch has another newest commit than the caller looked at.
    #[error("pull request #{number} is now at {head}, not at {expected}: look at what was added, then merge that")]
    HeadMoved {
        /// Its number.
        number: u64,
        /// The commit that was looked at.
        expected: String,
        /// The newest commit.
        head: String,
    },
    /// A publication is about a commit that is not the newest any more.
    #[error(
        "the report is about {about}, but pull request #{number} is now at {head}: nothing is published; the report of that commit takes \
         its place"
    )]
    Outdated {
        /// Its number.
        number: u64,
        /// The commit that the publication is about.
        about: String,
        /// The newest commit.
        head: String,
    },
    /// GitHub does not merge it.
    #[error("pull request #{number} cannot be merged: {reason}; {advice}")]
    NotMergeable {
        /// Its number.
        number: u64,
        /// GitHub's reason.
        reason: String,
        /// What to do.
        advice: Cow<'static, str>,
    },
    /// There is no such way to merge.
    #[error("there is no merge method `{0}`: use merge, squash or rebase")]
    UnknownMergeMethod(String),
    /// Others changed the same thing on GitHub each time.
    #[error("others kept changing the {what} on GitHub meanwhile: try again")]
    Contended {
        /// What was to be written, such as `report on pull request #1`.
        what: String,
    },
    /// Its base branch changed the same lines.
    #[error("pull request #{number} conflicts with {base} in {files}: {resolution}")]
    Conflict {
        /// Its number.
        number: u64,
        /// The branch that it was to be merged into, such as `main`.
        base: String,
        /// The files, with commas.
        files: String,
        /// The commands that resolve it.
        resolution: String,
    },
    /// Its branch and its base branch have no commit in common.
    #[error("pull request #{number} shares no history with {base}: propose it again, on the current {base}")]
    Unrelated {
        /// Its number.
        number: u64,
        /// The branch that it was to be merged into, such as `main`.
        base: String,
    },
    /// Others changed the forge each time that it was ready, or one of them crashed and left a lock.
    #[error(
        "other processes kept changing the forge, so there is no {what} yet: try again; if none runs, remove `*.lock` in its refs"
    )]
    Busy {
        /// What was to be made, such as `merge of pull request #1`.
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
        /// What is wrong with it.
        reason: String,
    },
    /// GitHub refused.
    #[error("GitHub refused ({status}): {message}; {advice}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// GitHub's message, with its details.
        message: String,
        /// What to do.
        advice: &'static str,
    },
    /// Waiting for GitHub's rate limit would take too long.
    #[error("GitHub's rate limit is exhausted; it resets {reset}: try again then, or use another token")]
    RateLimited {
        /// When it resets.
        reset: String,
    },
    /// GitHub cannot be reached.
    #[error("cannot reach GitHub at {url}: {reason}; check the network, the proxy and GITHUB_API_URL, then try again")]
    Unreachable {
        /// The API.
        url: String,
        /// Why not.
        reason: String,
    },
    /// No encrypted connection to GitHub could be made, such as with a certificate that is not trusted.
    #[error(
        "no TLS connection to GitHub at {url}: {reason}; if an authority of your own signed its certificate, or that of a proxy between, set \
         SSL_CERT_FILE to a file with the authority's; otherwise compare GITHUB_API_URL and this machine's clock with the certificate"
    )]
    Tls {
        /// The API.
        url: String,
        /// What the TLS library says.
        reason: String,
    },
    /// The answer is not one of GitHub's API.
    #[error(
        "the answer of {url} is not what GitHub's API says: {reason}; check GITHUB_API_URL, and whether a proxy or a sign-in page \
         answers in GitHub's place"
    )]
    Unreadable {
        /// The API.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No credentials belong to the host.
    #[error(
        "there is no token for {host}: sign in with `gh auth login --hostname {host}`, or set {} (contents and pull requests: write); a \
         GITHUB_TOKEN belongs to the server of GITHUB_SERVER_URL, by default github.com, and is sent to no other",
        token_variable(.host)
    )]
    NoToken {
        /// The server.
        host: String,
    },
    /// A text that cannot be a token.
    #[error("this is not a token: a token has no spaces and is one line, as `gh auth token` prints it")]
    NotAToken,
    /// A GitHub App cannot sign in.
    #[error(
        "the GitHub App cannot sign in: {0}; set SLIPWAY_GITHUB_APP_ID to the app's number, and SLIPWAY_GITHUB_APP_PRIVATE_KEY or \
         SLIPWAY_GITHUB_APP_PRIVATE_KEY_FILE to its private key in PEM format"
    )]
    AppKey(String),
    /// A branch on GitHub has commits that are not to be lost.
    #[error("the branch {0} has other commits on GitHub: start again from its newest commit, or use another branch")]
    BranchMoved(String),
}

impl Error {
    /// The status with which GitHub refused: 401 for a token that is wrong or has expired, 403 for one that may not do this, 404 for one
    /// that may not even see the repository. Returns `None` for any other error.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        if let Self::Refused { status, .. } = self { Some(*status) } else { None }
    }

    /// Whether GitHub refuses a merge because of its method, so that another one may be allowed.
    #[must_use]
    pub fn is_about_method(&self) -> bool {
        let (Self::NotMergeable { reason, .. } | Self::Refused { status: 405, message: reason, .. }) = self else {
            return false;
        };
        let reason = reason.to_lowercase();
        ["are not allowed", "must not contain merge commits", "merge method"].iter().any(|words| reason.contains(words))
    }

    /// Whether it is a service elsewhere that did not answer, or refused; asking again may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Git(error) => error.is_unavailable(),
            other => matches!(
                other,
                Self::Refused { .. }
                    | Self::RateLimited { .. }
                    | Self::Unreachable { .. }
                    | Self::Unreadable { .. }
                    | Self::BranchMoved(_)
                    | Self::Busy { .. }
                    | Self::Contended { .. }
            ),
        }
    }
}

/// The variable for a token of a server.
fn token_variable(host: &str) -> &'static str {
    if crate::github::is_public(host) { "GH_TOKEN" } else { "GH_HOST to it and GH_ENTERPRISE_TOKEN" }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn another_method_helps_only_if_this_one_is_not_allowed() {
        for (message, expected) in [
            ("Squash merges are not allowed on this repository.", true),
            ("This branch must not contain merge commits.", true),
            ("At least 1 approving review is required by reviewers with write access.", false),
            ("Required status check \"test\" is expected.", false),
            ("Pull Request is not mergeable", false),
        ] {
            let error = Error::NotMergeable { number: 1, reason: message.to_owned(), advice: "".into() };
            assert_eq!(error.is_about_method(), expected, "{message}");
            let error = Error::Refused { status: 405, message: message.to_owned(), advice: "" };
            assert_eq!(error.is_about_method(), expected, "{message}");
        }
        assert!(
            !Error::Refused { status: 403, message: "Merges are not allowed".to_owned(), advice: "" }.is_about_method()
        );
    }
}
