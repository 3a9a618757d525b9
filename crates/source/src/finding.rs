//! One mistake in a file: where, what, and what to do.

use std::fmt;

use serde::Serialize;

use crate::Position;

/// One mistake in a file. Displayed as `file:line:column: message`; ordered by file and position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// The file as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The kind of mistake, stable, for programs: `unknown-field`, `out-of-range`, `budget-exceeded`, ….
    pub code: &'static str,
    /// What is wrong, with the offending text.
    pub message: String,
    /// What is allowed, or what to do next.
    pub help: Option<String>,
}

impl Finding {
    /// A finding without help.
    pub fn new(file: &str, line: usize, column: usize, code: &'static str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, column, code, message: message.into(), help: None }
    }

    /// A finding without help at a position.
    pub fn at(file: &str, at: Position, code: &'static str, message: impl Into<String>) -> Self {
        Self::new(file, at.line, at.column, code, message)
    }

    /// Adds what is allowed, or what to do next.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Finding {}
