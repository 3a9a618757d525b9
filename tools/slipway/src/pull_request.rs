//! A pull request in a command's JSON.

use serde::Serialize;
use slipway_forge::Opened;

/// An open pull request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PullRequestReport {
    number: u64,
    url: String,
    branch: String,
    commit: String,
}

impl From<Opened> for PullRequestReport {
    fn from(opened: Opened) -> Self {
        Self { number: opened.number, url: opened.url, branch: opened.branch, commit: opened.head }
    }
}
