//! Text that is not YAML.

use std::fmt;

use crate::{Finding, Position};

/// A text that is not YAML of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The position of the mistake.
    pub at: Position,
    /// Its kind, stable, as in [`Finding::code`].
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do; `None` if the message says enough.
    pub help: Option<String>,
}

impl Malformed {
    pub(crate) fn new(at: Position, code: &'static str, message: impl Into<String>) -> Self {
        Self { at, code, message: message.into(), help: None }
    }

    pub(crate) fn too_deep(at: Position, limit: usize) -> Self {
        Self::new(at, "yaml-too-deep", format!("nested deeper than {limit} levels"))
    }

    pub(crate) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The same as a finding in a file.
    pub fn in_file(self, file: &str) -> Finding {
        let finding = Finding::at(file, self.at, self.code, self.message);
        match self.help {
            Some(help) => finding.with_help(help),
            None => finding,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.at.line, self.at.column, self.message)
    }
}

impl std::error::Error for Malformed {}
