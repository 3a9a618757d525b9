//! What ends the server, with its exit code.

use std::process::ExitCode;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// Its environment is wrong: exit code 3.
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
