//! What is written to a pull request: the parts of the comment, and the check.

use serde::{Deserialize, Serialize};

/// A report as it stands at a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    /// The reviewed commit, 40 hex digits.
    pub head: String,
    /// The comment's parts in Markdown, at least one.
    pub parts: Vec<String>,
    /// The check of the reviewed commit.
    pub check: Option<CheckRun>,
}

/// A check of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    /// Its name, by which a rule of a branch requires it.
    pub name: String,
    /// How it ended.
    pub conclusion: Conclusion,
    /// One line of text.
    pub title: String,
    /// Markdown; GitHub gets at most 65,535 characters.
    pub summary: String,
    /// Remarks at lines of files.
    pub annotations: Vec<Annotation>,
}

/// A remark at a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The file, from the top of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub level: Level,
    /// One line of text.
    pub title: String,
    /// Text, not Markdown.
    pub message: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// Everything is as it should be.
    Success,
    /// Something must be changed.
    Failure,
    /// Not everything could be examined.
    Neutral,
}

/// How bad what an annotation says is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Notice,
    /// Probably not meant.
    Warning,
    /// A mistake.
    Failure,
}
