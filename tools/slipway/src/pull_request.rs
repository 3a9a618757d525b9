//! A pull request among a command's arguments, and in its JSON.

use serde::Serialize;
use slipway_forge::{Forge, Opened};

use crate::failure::Failure;

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

/// Where a pull request is, whether it was opened now or was open before.
pub(crate) fn is_open(opened: &Opened) -> String {
    format!("pull request #{} is open ({}): {}", opened.number, opened.branch, opened.url)
}

/// The number of a pull request, as a person writes it: `7` or `#7`.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix('#').unwrap_or(text).parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a pull request has a number, such as 7".to_owned())
}

/// Why nothing is done about a branch that has moved.
pub(crate) const MOVED: &str = "no open pull request has this branch at this commit any more, so nothing is done";

/// The open pull request of a branch that `--head` names by its owner, at the commit of `--commit`. `None` if it has moved, or is not open any
/// more.
pub(crate) async fn of_head(forge: &Forge, head: &str, commit: &str) -> Result<Option<Opened>, Failure> {
    let (owner, branch) = head
        .split_once(':')
        .ok_or_else(|| Failure::Input(format!("--head {head}: give the owner and the branch, such as octo:topic")))?;
    Ok(forge.find(owner, branch, commit).await?)
}
