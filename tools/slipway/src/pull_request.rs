//! A pull request among a command's arguments, and in its JSON.

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

/// Where a pull request is, whether it was opened now or was open before.
pub(crate) fn is_open(opened: &Opened) -> String {
    format!("pull request #{} is open ({}): {}", opened.number, opened.branch, opened.url)
}

/// The number of a pull request, as a person writes it: `7` or `#7`.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix('#').unwrap_or(text).parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a pull request has a number, such as 7".to_owned())
}
