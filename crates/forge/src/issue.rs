//! An issue: the request to open one, and what came of it.

use serde::Serialize;

/// An issue to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewIssue {
    /// What it is about, such as `drift digits 0a1b2c3d`: there is one issue for it, ever. Letters, digits, blanks and `-_.`.
    pub about: String,
    /// One line; GitHub gets at most 256 characters.
    pub title: String,
    /// Markdown; GitHub gets at most 65,536 characters.
    pub body: String,
    /// Names of labels.
    pub labels: Vec<String>,
}

/// An issue that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// The page for a person.
    pub url: String,
    /// Whether it was opened just now; otherwise it was there.
    pub is_new: bool,
}
