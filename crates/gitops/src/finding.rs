//! One mistake in the tree: where, what, and what to do.

use std::fmt;

/// One mistake. Shown as `file:line:column: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The file, from the repository's top.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The kind of mistake, stable, for programs.
    pub code: &'static str,
    /// What is wrong, with the offending text.
    pub message: String,
    /// What is allowed, or what to do next.
    pub help: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}
