//! A pull request: what is asked for, and what became of it.

use serde::{Deserialize, Serialize};

/// A pull request to open, against `main`. Its branch must be there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch that holds the change.
    pub branch: String,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
}

/// A pull request that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// Its number, from 1.
    pub number: u64,
    /// Where a person sees it.
    pub url: String,
    /// The branch that holds the change.
    pub branch: String,
    /// One line.
    pub title: String,
    /// The branch's commit.
    pub head: String,
    /// What became of it.
    pub state: PullRequestState,
}

impl Opened {
    /// Whether it can still be merged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == PullRequestState::Open
    }
}

/// What became of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullRequestState {
    /// It waits.
    Open,
    /// It is part of main.
    Merged,
    /// It was given up.
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
