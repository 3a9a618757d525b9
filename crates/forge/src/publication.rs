//! What is published on a pull request: comments, and a check of its newest commit.

use serde::{Deserialize, Serialize};

use tokio::time::Instant;

use crate::Opened;

/// What the comments and the check of a pull request are to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Publication {
    /// The commit that it is about, 40 hex digits. It is published only while this is the newest one of the pull request.
    pub head: String,
    /// Markdown, one comment a part, at most ten. GitHub gets at most 65,536 characters of each, and a line that marks the part.
    pub parts: Vec<String>,
    /// The check of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckRun>,
}

/// A check of a commit, as the page of a pull request shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRun {
    /// Its name, by which branch rules can ask for it.
    pub name: String,
    /// Whether it passed.
    pub conclusion: Conclusion,
    /// One line.
    pub title: String,
    /// Markdown; GitHub gets at most 65,535 characters.
    pub summary: String,
    /// What is said at lines of files; GitHub gets the first 200, and the summary says how many more there are.
    #[serde(default)]
    pub annotations: Vec<Annotation>,
}

/// Whether a check passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conclusion {
    /// It passed.
    Success,
    /// It did not, and may hold up the merge.
    Failure,
    /// It has something to say, and holds up nothing.
    Neutral,
}

/// What is said at a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotation {
    /// The file, from the top of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1; 0 for the whole line.
    pub column: usize,
    /// How bad it is.
    pub level: Level,
    /// One line.
    pub title: String,
    /// Text without Markdown.
    pub message: String,
}

/// How bad an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Notice,
    /// Probably a mistake.
    Warning,
    /// A mistake.
    Failure,
}

/// What came of a publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Published {
    /// The pull request, as it was when everything was there.
    pub pull_request: Opened,
    /// Whether anything had to be written.
    pub changed: bool,
    /// When the last of it had been written, if anything was: what was looked at afterwards took longer.
    #[serde(skip)]
    pub written: Option<Instant>,
    /// What came of the check.
    pub check: CheckOutcome,
    /// The first comment for a person; `None` if the publication has no parts.
    pub url: Option<String>,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckOutcome {
    /// It was written.
    Written,
    /// It was there already.
    Unchanged,
    /// The forge lets others write checks; the reason.
    NotAllowed(String),
    /// The publication has none.
    NotAsked,
}
