//! What can go wrong, and what to do about it.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the loop could not start or go on. A message says what to do where there is something to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What failed, such as "writing".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The folder holds files that are not ours.
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
        /// The process; `None` if it is not visible from here.
        pid: Option<u32>,
    },
    /// The process that uses the folder cannot be signalled from here.
    #[error("the loop in {} is run by a process that is not visible from here, such as one in another container: end it there", .0.display())]
    HiddenHolder(PathBuf),
    /// The process that uses the folder cannot be told to end.
    #[error("sending SIGTERM to process {pid}: {source}")]
    Signal {
        /// The process.
        pid: u32,
        /// The cause.
        source: std::io::Error,
    },
    /// A program is missing.
    #[error("{what} was not found at {}: {how}", path.display())]
    NoProgram {
        /// Such as "the trainer".
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        how: String,
    },
    /// A process could not be started.
    #[error("starting {name} ({program}): {source}")]
    Spawn {
        /// What was to be started.
        name: String,
        /// Its program.
        program: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A child process ended by itself.
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
    /// A part of this process ended by itself.
    #[error("{name} has failed, please report it: {reason}")]
    Part {
        /// Which part.
        name: &'static str,
        /// Its panic, or how else it ended.
        reason: String,
    },
    /// A child process did not answer in time.
    #[error("{name} was not ready within {seconds} s ({reason}); see {}, end what keeps this machine busy, and try again", log.display())]
    NotReady {
        /// Which part.
        name: &'static str,
        /// The time limit.
        seconds: u64,
        /// What the last try found.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// The HTTP client could not be set up.
    #[error("setting up the HTTP client: {0}")]
    HttpClient(#[source] reqwest::Error),
    /// A port could not be listened on.
    #[error("listening on 127.0.0.1:{port}: {source}; choose another port")]
    Port {
        /// The port; 0 if any would do.
        port: u16,
        /// The cause.
        source: std::io::Error,
    },
    /// The certificates of the Kubernetes API could not be made.
    #[error("making the certificates of the Kubernetes API: {reason}")]
    Certificate {
        /// The cause.
        reason: String,
    },
    /// S3 could not start.
    #[error("starting the S3 endpoint on {}: {reason}", path.display())]
    S3 {
        /// Its folder.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The repository or the forge could not be read or written.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
    /// A task of this process panicked.
    #[error("{0} panicked; the log says where")]
    Panicked(&'static str),
    /// The repository has no commit to start from.
    #[error("{} has no commit yet: commit something first, the loop follows what is committed", .0.display())]
    NoCommit(PathBuf),
    /// A file of the state folder does not hold what it should.
    #[error("{} is not valid ({reason}): remove the state folder, or restore the file", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The job queue ended while a job was waited for.
    #[error("the job queue ended before TrainJob {job} was finished")]
    QueueEnded {
        /// The TrainJob.
        job: String,
    },
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
