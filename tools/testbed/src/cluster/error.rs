use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine cannot run a cluster as it is.
    #[error("this machine cannot run a cluster yet:\n{}", .0.iter().map(|lack| format!("  - {lack}")).collect::<Vec<_>>().join("\n"))]
    Machine(Vec<String>),
    /// The cluster does not run.
    #[error("cluster `{0}` is not running; start it with: testbed up --cluster {0}")]
    NotRunning(String),
    /// A name that cannot be a cluster's.
    #[error("`{0}` cannot be a cluster's name: 1 to 40 of a-z, 0-9 and `-`, beginning with a letter")]
    Name(String),
    /// A component that does not exist.
    #[error("there is no component `{name}`; there are: {known}")]
    UnknownComponent {
        /// What was asked for.
        name: String,
        /// What there is, by comma.
        known: String,
    },
    /// Something did not become true in time.
    #[error("{what} is not there after {} s{evidence}", .limit.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// The last log lines of the component and the likely cause; may be empty.
        evidence: String,
    },
    /// The node ended while it was being built.
    #[error("the node of cluster `{cluster}` ended while it was being built{evidence}")]
    NodeEnded {
        /// The cluster's name.
        cluster: String,
        /// The end of the node's log and the likely cause.
        evidence: String,
    },
    /// A program failed.
    #[error("{what}: {reason}")]
    Program {
        /// The program.
        what: String,
        /// What it said.
        reason: String,
    },
    /// A manifest that cannot be read.
    #[error("{}: {reason}", .file.display())]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong with it, with line and column where the parser knows them.
        reason: String,
    },
    /// The API server refused an object.
    #[error("the API server refused {object}: {reason}")]
    Refused {
        /// Kind, namespace and name.
        object: String,
        /// Its answer.
        reason: String,
    },
    /// The API server could not be asked.
    #[error("asking the API server")]
    Api(#[from] Box<kube::Error>),
    /// The kubeconfig is of no use.
    #[error("reading {}: {reason}", .file.display())]
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An image that is none, or a registry that cannot be written.
    #[error(transparent)]
    Images(#[from] crate::images::Error),
    /// A repository of the mirror that is not there.
    #[error(transparent)]
    Mirror(#[from] crate::mirror::Error),
    /// A file could not be read or written, or a program not be run.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        source: io::Error,
    },
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

/// Says what was tried when an operation on files or programs fails.
pub(crate) trait Tried<T> {
    fn tried(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what.into(), source })
    }
}
