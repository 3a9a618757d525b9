//! A pull request: the request, and its state.

use serde::{Deserialize, Serialize};

/// A pull request to open, against `main`. Its branch must exist already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch that holds the change.
    pub branch: String,
    /// Its title, one line.
    pub title: String,
    /// Its description, in Markdown.
    pub body: String,
}

/// A pull request that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Its number, from 1.
    pub number: u64,
    /// Its page, or the reference that holds it.
    pub url: String,
    /// The branch that holds the change.
    pub branch: String,
    /// Its title, one line.
    pub title: String,
    /// The branch's commit.
    pub head: String,
    /// Whether it is open.
    pub state: PullRequestState,
}

impl Opened {
    /// Whether it can still be merged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == PullRequestState::Open
    }
}

/// The state of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullRequestState {
    /// It can be merged.
    Open,
    /// It was merged into main.
    Merged,
    /// It was closed without a merge.
    Closed,
}

impl std::fmt::Display for PullRequestState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Merged => "merged",
            Self::Closed => "closed",
        })
    }
}
