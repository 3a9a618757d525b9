use std::path::PathBuf;

use super::PROGRAMS;

/// Why a program could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is not in the list.
    #[error("unknown program {0:?}; known: {names}", names = names())]
    NoSuchProgram(String),
    /// Go is not installed, or not on the path.
    #[error("cannot run `go`: {0}; install Go 1.26.3 or newer (https://go.dev/doc/install) and put it on the PATH")]
    NoGo(std::io::Error),
    /// `go` failed.
    #[error("{program}: `{command}` failed:\n{last}\n(all of its output: {log})", log = log.display())]
    Go {
        /// What was being built.
        program: String,
        /// The command that failed.
        command: String,
        /// Its last lines.
        last: String,
        /// All of its output.
        log: PathBuf,
    },
    /// Go printed something unexpected.
    #[error("`{command}` printed {printed:?}")]
    Printed {
        /// The command.
        command: String,
        /// What it printed.
        printed: String,
    },
    /// A file or folder.
    #[error(transparent)]
    File(#[from] crate::file::Error),
}

/// A result of a build.
pub type Result<T> = std::result::Result<T, Error>;

fn names() -> String {
    PROGRAMS.iter().map(|program| program.name).collect::<Vec<_>>().join(", ")
}
