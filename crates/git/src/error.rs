//! What can go wrong, and what to do about it.

use std::path::{Path, PathBuf};

use git2::{ErrorClass, ErrorCode};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a repository did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program `git` cannot be run.
    #[error("cannot run git: {0}; install it (apt install git, brew install git)")]
    NoGit(std::io::Error),
    /// The folder is not in a repository.
    #[error("{} is not in a git repository: run `git init` there, or name another folder with --repo", .0.display())]
    NotARepository(PathBuf),
    /// The repository belongs to another user, so git does not trust its configuration.
    #[error(
        "{} belongs to another user, so git does not trust it; if you do, run `git config --global --add safe.directory {}`",
        .0.display(), .0.display()
    )]
    NotOwned(PathBuf),
    /// The repository has a format that libgit2 does not read.
    #[error("{} is a repository of a kind that is not supported ({reason}): use a clone with SHA-1 objects and files as references", path.display())]
    Unsupported {
        /// The folder that was opened.
        path: PathBuf,
        /// What is not supported.
        reason: String,
    },
    /// There is no such commit.
    #[error("`{0}` is not a commit of this repository: fetch it first, or name another")]
    NoRevision(String),
    /// The first digits of a hash fit several objects.
    #[error("`{0}` matches several objects of this repository: give more digits")]
    Ambiguous(String),
    /// The remote has no such branch.
    #[error("{remote} has no branch {branch}: push one first, such as `git push {remote} HEAD:{branch}`")]
    NoBranch {
        /// Name or URL, without a password.
        remote: String,
        /// The branch.
        branch: String,
    },
    /// The program `git` failed.
    #[error("git {command}: {stderr}; {advice}")]
    Git {
        /// The subcommand, with the remote and the branch if any.
        command: String,
        /// What it printed on standard error.
        stderr: String,
        /// What to do.
        advice: &'static str,
    },
    /// The program `git` did not end in time and was killed.
    #[error(
        "git {command} did not end within {seconds} s and was stopped: the remote or a credential helper hangs; run the same command by hand to \
         see where it waits"
    )]
    TimedOut {
        /// The subcommand, with the remote and the branch if any.
        command: String,
        /// The time limit.
        seconds: u64,
    },
    /// A URL that cannot be fetched from without the program git.
    #[error("{address} cannot be fetched from: {reason}")]
    Address {
        /// The URL, without a password.
        address: String,
        /// Why not.
        reason: String,
    },
    /// There is no token to ask a remote with.
    #[error("there is no token for {remote}: {reason}")]
    NoToken {
        /// Its URL.
        remote: String,
        /// What whoever should give one says.
        reason: String,
    },
    /// A remote refuses to answer.
    #[error("{remote} refuses to be fetched from ({status}): {advice}")]
    Refused {
        /// Its URL.
        remote: String,
        /// HTTP's status.
        status: u16,
        /// What to do.
        advice: &'static str,
    },
    /// A remote cannot be reached, or its answer broke off.
    #[error("cannot fetch from {remote}: {reason}; check the network, the proxy and the address, then try again")]
    Unreachable {
        /// Its URL.
        remote: String,
        /// What happened.
        reason: String,
    },
    /// A remote says nothing any more.
    #[error("nothing came from {remote} for {seconds} s: check the network and the proxy, then try again")]
    Silent {
        /// Its URL.
        remote: String,
        /// How long.
        seconds: u64,
    },
    /// A fetch takes too long.
    #[error(
        "fetching from {remote} takes longer than {seconds} s, so it was given up: try again when the network is faster"
    )]
    TooSlow {
        /// Its URL.
        remote: String,
        /// The time limit.
        seconds: u64,
    },
    /// An answer is not what git's protocol says.
    #[error(
        "the answer of {remote} is of no use: {reason}; check the address, and whether a proxy answers in its place"
    )]
    Unreadable {
        /// Its URL.
        remote: String,
        /// What is wrong with it, or what the remote itself says.
        reason: String,
    },
    /// A remote sends more than is taken.
    #[error("{remote} sends more than {} MiB, so the fetch was given up: take large files out of the repository's history", most >> 20)]
    TooLarge {
        /// Its URL.
        remote: String,
        /// The most bytes.
        most: u64,
    },
    /// A repository with a work tree, whose branches are its own.
    #[error("{} is not a bare repository, so a fetch would move its branches", .0.display())]
    NotAMirror(PathBuf),
    /// A folder that was not made to be a cache.
    #[error("{} holds something else than a cache of a repository, so it is left as it is: name an empty folder", .0.display())]
    NotACache(PathBuf),
    /// Other processes moved the references of a mirror each time.
    #[error(
        "other processes kept moving the references of {}: try again; if none runs, remove `*.lock` in its refs",
        .0.display()
    )]
    Busy(PathBuf),
    /// The configuration asks for signed commits, and no signature could be made.
    #[error(
        "the commit could not be signed, so it was not made: {reason}; check `gpg.format`, `user.signingkey` and the signing program until \
         `git commit-tree -S -m test HEAD^{{tree}}` works (it changes nothing), or turn signing off with `git config commit.gpgsign false`"
    )]
    NotSigned {
        /// What git, or the program that it ran, printed; one line.
        reason: String,
    },
    /// A path that cannot be in a commit.
    #[error("`{0}` cannot be a file in a commit: paths are relative, without `..` and `.git`")]
    Path(String),
    /// A link or a submodule where only files are allowed.
    #[error("`{0}` is a link or a submodule, not a file: replace it by a file, because nothing here is followed")]
    NotAFile(String),
    /// An object that others refer to is not in the repository.
    #[error(
        "the repository lacks the object {0}: `git fsck` names what is missing, `git fetch --refetch` gets it again"
    )]
    MissingObject(String),
    /// Reading or writing the repository failed.
    #[error("{action} {}: {}; {advice}", path.display(), source.message())]
    Repository {
        /// What was tried, such as `reading`.
        action: &'static str,
        /// The repository.
        path: PathBuf,
        /// libgit2's error.
        source: git2::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A file, a folder or a process of this machine.
    #[error("{action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether a remote did not answer or refused, so that asking again may help.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Git { stderr, .. } => !is_of_the_disk(stderr),
            Self::TimedOut { .. }
            | Self::NoToken { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::TooSlow { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::Busy(_) => true,
            _ => false,
        }
    }

    /// Whether this machine lacks something: a program, a key, a right, or space on a disk.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        match self {
            Self::Git { stderr, .. } => is_of_the_disk(stderr),
            Self::NoGit(_) | Self::NotOwned(_) | Self::NotSigned { .. } | Self::Repository { .. } | Self::Io { .. } => {
                true
            }
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { action, source }
    }

    /// Why a folder could not be opened as a repository.
    pub(crate) fn opening(path: &Path, source: git2::Error) -> Self {
        let path = path.to_owned();
        let message = source.message();
        // libgit2 has no codes for these
        let format = ["unsupported extension", "object format", "unsupported repository version"];
        if source.code() == ErrorCode::Owner {
            // the folder in question is the top of the repository, which only the message names
            let named = message.split('\'').nth(1).map(PathBuf::from);
            Self::NotOwned(named.unwrap_or(path))
        } else if format.iter().any(|words| message.contains(words)) {
            Self::Unsupported { path, reason: message.to_owned() }
        } else if source.code() == ErrorCode::NotFound && source.class() == ErrorClass::Repository || !path.exists() {
            Self::NotARepository(path)
        } else {
            Self::Repository { action: "opening", advice: advice(&source), path, source }
        }
    }

    /// Any other failure of libgit2.
    pub(crate) fn of(action: &'static str, path: &Path) -> impl FnOnce(git2::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Repository { action, advice: advice(&source), path, source }
    }
}

/// What to do about an error of libgit2.
fn advice(error: &git2::Error) -> &'static str {
    let message = error.message();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if error.code() == ErrorCode::Locked {
        "another git is running, or one crashed: if none is running, remove the lock file"
    } else if has(&["Permission denied", "Read-only file system", "Operation not permitted"]) {
        "make the repository writable for this user"
    } else if has(&["No space left", "Disk quota exceeded"]) {
        "free some space on the disk"
    } else if has(&["unsupported mandatory extension"]) {
        "rewrite the index in the plain format: `git update-index --no-split-index`, `git sparse-checkout reapply --no-sparse-index`"
    } else {
        "`git fsck` checks the repository"
    }
}

/// What the system says when it cannot write: the disk is full, or is only to be read.
const DISK: [&str; 3] = ["No space left on device", "Disk quota exceeded", "Read-only file system"];

/// Whether the program `git`, in the C locale, could not write to a disk of this machine. What the other side says of its own disk stands
/// behind `remote:`, or is the reason why it did not unpack.
fn is_of_the_disk(stderr: &str) -> bool {
    let own = |line: &&str| !line.starts_with("remote:") && !line.contains("remote unpack failed");
    stderr.lines().filter(own).any(|line| DISK.iter().any(|words| line.contains(words)))
}

/// What to do about what the program `git` printed, in the C locale.
pub(crate) fn advice_on(stderr: &str) -> &'static str {
    let known = [
        (
            &["terminal prompts disabled", "Authentication failed", "Permission denied (publickey"][..],
            "sign in first: a credential helper, an SSH key, or `gh auth setup-git`",
        ),
        (
            &["[rejected]", "non-fast-forward", "fetch first"],
            "the branch exists with other commits: fetch it and look at them, or delete it there",
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
            "it belongs to another user; trust it with `git config --global --add safe.directory <folder>`",
        ),
        (&[".lock': File exists"], "another git is running, or one crashed: if none is running, remove the lock file"),
        (&["Permission denied", "Read-only file system"], "make the repository writable for this user"),
        (&["No space left on device", "Disk quota exceeded"], "free some space on the disk"),
        (&["is not a git command", "unknown option"], "git is too old: 2.29 or newer is needed"),
    ];
    let found = known.iter().find(|(words, _)| words.iter().any(|word| stderr.contains(word)));
    found.map_or("run the same command by hand to see more", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_git_is_told_from_other_failures() {
        let (major, minor) = crate::OLDEST_GIT;
        let advice = advice_on("error: unknown option `no-write-fetch-head'");
        assert_eq!(advice, format!("git is too old: {major}.{minor} or newer is needed"));
    }

    #[test]
    fn a_disk_of_this_machine_is_no_remote_that_does_not_answer() {
        for (stderr, of_this_machine) in [
            (
                "error: unable to write file .git/objects/pack/tmp: No space left on device\nfatal: fetch-pack failed",
                true,
            ),
            ("fatal: cannot create directory at 'manifests': Read-only file system", true),
            ("error: cannot open .git/FETCH_HEAD: Disk quota exceeded", true),
            (
                "remote: error: file write error: No space left on device\nerror: remote unpack failed: unpack-objects abnormal exit",
                false,
            ),
            (
                "error: remote unpack failed: unable to create temporary object directory: No space left on device",
                false,
            ),
            ("fatal: unable to access 'https://example.org/': Could not resolve host: example.org", false),
        ] {
            let error = crate::program::failed("fetch origin", stderr.to_owned());
            assert_eq!(
                (error.is_of_this_machine(), error.is_unavailable()),
                (of_this_machine, !of_this_machine),
                "{stderr}"
            );
        }
    }
}
