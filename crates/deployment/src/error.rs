//! Why the deployed objects cannot be determined.

use std::path::{Path, PathBuf};

use slipway_source::Finding;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the deployed objects cannot be determined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Files have mistakes, or kustomize cannot build them.
    #[error("{} found", slipway_project::count(.0.len(), "problem"))]
    Invalid(Vec<Finding>),
    /// The tree before a change cannot be built.
    #[error("before the change: {0}")]
    Before(Box<Error>),
    /// kustomize or helm cannot be started.
    #[error("cannot run {}: {source}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The environment does not have this Application.
    #[error("{environment} has no Application `{name}`")]
    NoApplication {
        /// The environment.
        environment: String,
        /// The Application.
        name: String,
    },
    /// An upstream source cannot be rendered here.
    #[error("{0}")]
    Upstream(String),
    /// A chart, or what it depends on, cannot be had.
    #[error("{0}")]
    Fetch(String),
    /// A chart is to be rendered, and there is no helm.
    #[error("helm is needed to render a chart and was not found; how to get it: {}", crate::HOW_TO_GET_HELM)]
    NoHelm,
    /// A file or folder on this machine cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The project cannot be read.
    #[error(transparent)]
    Project(#[from] slipway_project::Error),
    /// git failed on an upstream repository.
    #[error(transparent)]
    Git(#[from] slipway_git::Error),
}

impl Error {
    /// Whether the cause is on this machine or on the way to a repository, and so says nothing about the files.
    #[must_use]
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::Fetch(_) | Self::Git(_) | Self::NoHelm | Self::Program { .. } | Self::File { .. })
    }

    pub(crate) fn file(path: &Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path: path.clone(), source }
    }
}
