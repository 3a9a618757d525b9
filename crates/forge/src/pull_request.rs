//! A pull request: the request to open one, and its state.

use serde::{Deserialize, Serialize};

/// A pull request to open. Its branch must be on the forge already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// The branch that holds the change.
    pub branch: String,
    /// The branch that it is merged into.
    pub base: String,
    /// One line; GitHub gets at most 256 characters.
    pub title: String,
    /// Markdown; GitHub gets at most 65,536 characters.
    pub body: String,
    /// Whether it is opened as a draft, which nobody can merge yet.
    pub draft: bool,
    /// Names of labels.
    pub labels: Vec<String>,
    /// Who is asked for a review: `octo`, or `org/team`. A bare repository keeps the names; nobody can give a review there.
    pub reviewers: Vec<String>,
}

/// A pull request that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// Its number, from 1.
    pub number: u64,
    /// The page for a person.
    pub url: String,
    /// The branch that holds the change.
    pub branch: String,
    /// Its title, one line.
    pub title: String,
    /// The newest commit of the branch.
    pub head: String,
    /// Whether it is open, merged or closed.
    pub state: PullRequestState,
    /// The branch that it is merged into.
    pub base: String,
    /// Its description, Markdown. It is not to be trusted: whoever opened it wrote it.
    pub body: String,
    /// The login of whoever opened it; empty in a bare repository, and if that user is gone.
    pub author: String,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Who was asked for a review and has not given one, such as `octo`, or a team as `octo/team`; in a bare repository, where
    /// nobody can give one, whoever was asked.
    pub reviewers: Vec<String>,
    /// Whether it is a draft.
    pub is_draft: bool,
    /// The repository that holds its branch, `owner/name`; in a bare repository its path. `None` if it was a fork that is gone.
    pub head_repository: Option<String>,
    /// Whether its branch is in another repository than its base branch.
    pub is_fork: bool,
    /// The commit of the base branch that it was merged as; `None` unless it is merged.
    pub merge_commit: Option<String>,
    /// How many commits it has; `None` in a list, and in a bare repository until it is merged.
    pub commits: Option<usize>,
    /// When it was opened, in seconds since 1970; `None` in a bare repository of an earlier release.
    #[serde(skip)]
    pub opened_at: Option<i64>,
}

impl Opened {
    /// Whether it can still be merged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == PullRequestState::Open
    }
}

/// Whether a pull request is open, merged or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullRequestState {
    /// It can be merged.
    Open,
    /// Its commits are on the base branch.
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
