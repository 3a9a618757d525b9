//! Errors that end the server, with their exit codes.

use std::process::ExitCode;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The environment or the arguments are invalid: exit code 3.
    #[error("{0}")]
    Input(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Unexpected(String),
}

impl From<Fatal> for ExitCode {
    fn from(fatal: Fatal) -> Self {
        match fatal {
            Fatal::Input(_) => Self::from(3),
            Fatal::Unexpected(_) => Self::from(1),
        }
    }
}
