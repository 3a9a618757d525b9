//! What can go wrong with a cluster.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What can go wrong with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something that a cluster needs.
    #[error("this machine cannot run a cluster; it lacks:\n{}", .0.iter().map(|missing| format!("  - {missing}")).collect::<Vec<_>>().join("\n"))]
    Machine(Vec<String>),
    /// The cluster does not run.
    #[error("cluster `{0}` is not running; start it with: testbed up --cluster {0}")]
    NotRunning(String),
    /// A name that a cluster cannot have.
    #[error("`{0}` is not a valid name for a cluster: use 1 to 40 of a-z, 0-9 and `-`, and begin with a letter")]
    Name(String),
    /// A component that does not exist.
    #[error("unknown component `{name}`; known: {all}")]
    UnknownComponent {
        /// What was asked for.
        name: String,
        /// The components, separated by commas.
        all: String,
    },
    /// Something was not ready in time.
    #[error("{what}: not ready after {} s{evidence}", .limit.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// The time that was allowed.
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
        /// Its output.
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
    /// The API server cannot be asked, or refuses.
    #[error(transparent)]
    Api(Box<slipway_cluster::Error>),
    /// A request that was made with kube's client failed.
    #[error("asking the API server")]
    Request(#[source] Box<kube::Error>),
    /// A file that is not an image, or a registry that cannot be written.
    #[error(transparent)]
    Images(#[from] crate::images::Error),
    /// The mirror cannot be copied.
    #[error(transparent)]
    Mirror(#[from] crate::mirror::Error),
    /// A file cannot be read or written, or a program cannot be run.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// The reason.
        source: io::Error,
    },
}

impl From<slipway_cluster::Error> for Error {
    fn from(error: slipway_cluster::Error) -> Self {
        Self::Api(Box::new(error))
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Request(Box::new(error))
    }
}

/// Adds what was tried to the error of an operation on files or programs.
pub(crate) trait Tried<T> {
    fn tried(self, what: impl Into<String>) -> Result<T, Error>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, what: impl Into<String>) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what.into(), source })
    }
}
