//! What can go wrong, with the way out.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the loop could not start or go on. Each message ends with what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried, such as "writing".
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The folder holds something that is not ours.
    #[error("{} is not empty and was not made by slipway: choose another folder with --state, or empty it", .0.display())]
    NotOurs(PathBuf),
    /// The folder was written by another version of this program.
    #[error("{} was made by another version of slipway ({found}): remove it, or use that version", path.display())]
    OtherVersion {
        /// The state folder.
        path: PathBuf,
        /// What its marker says.
        found: String,
    },
    /// Another process uses the folder.
    #[error("the loop in {} is running already{}: use it, or end it with `slipway down`", path.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The state folder.
        path: PathBuf,
        /// The process, when it has said so.
        pid: Option<u32>,
    },
    /// A program is not there.
    #[error("{what} is not at {}: run `{target}`, or set {variable}", path.display())]
    NoProgram {
        /// Such as "the trainer".
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The make target that makes it.
        target: &'static str,
        /// The environment variable that overrides the path.
        variable: &'static str,
    },
    /// A process could not be started.
    #[error("starting {name} ({program}): {source}")]
    Spawn {
        /// What it is.
        name: String,
        /// Its program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A part ended by itself.
    #[error("{name} ended ({how}); the end of {}:\n{tail}", log.display())]
    Ended {
        /// Which part.
        name: &'static str,
        /// Exit code or signal.
        how: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A part did not answer in time.
    #[error("{name} did not answer within {seconds} s; see {}, end what keeps this machine busy, and try again", log.display())]
    NotReady {
        /// Which part.
        name: &'static str,
        /// The bound.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// No port could be had.
    #[error("listening on 127.0.0.1:{port}: {source}; choose another port")]
    Port {
        /// The port; 0 when any would do.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// S3 could not start.
    #[error("starting the S3 endpoint on {}: {reason}", path.display())]
    S3 {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Git said no.
    #[error("git {args}: {said}")]
    Git {
        /// Arguments.
        args: String,
        /// The last line of its standard error.
        said: String,
    },
    /// The repository has nothing to start from.
    #[error("{} has no commit yet: commit something first, the loop follows what is committed", .0.display())]
    NoCommit(PathBuf),
    /// A file of the state folder does not hold what it should.
    #[error("{} cannot be understood ({reason}): remove the state folder, or restore the file", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No such job.
    #[error("no TrainJob {0} was seen on main")]
    UnknownJob(String),
    /// The supervisor's standard input is not a pipe.
    #[error("`supervise` is for slipway itself: its standard input must be a pipe that its parent holds open ({0})")]
    NoPipe(std::io::Error),
}

impl Error {
    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
