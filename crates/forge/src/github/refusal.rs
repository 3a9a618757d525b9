//! What an error of octocrab's means, and what to do about it.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use octocrab::GitHubError;

use super::patience::{is_fault, limit};
use crate::Error;

/// An error of the API at `api`, with advice that fits the reason that GitHub gives.
pub(crate) fn explain(api: &str, error: &octocrab::Error) -> Error {
    if let Some(wait) = limit(error) {
        return Error::RateLimited { reset: wait.map_or_else(|| "later".to_owned(), reset) };
    }
    if let Some(reason) = slipway_causes::tls(error) {
        return Error::Tls { url: api.to_owned(), reason };
    }
    let (url, reason) = (api.to_owned(), slipway_causes::chain(error));
    match error {
        octocrab::Error::GitHub { source, .. } => refused(source),
        octocrab::Error::JWT { source, .. } => Error::AppKey(source.to_string()),
        error if is_fault(error) => Error::Unreachable { url, reason },
        _ => Error::Unreadable { url, reason },
    }
}

fn refused(answer: &GitHubError) -> Error {
    let message = message(answer);
    let status = answer.status_code;
    let advice = match status {
        // an app signs by the time
        StatusCode::UNAUTHORIZED if ["('iat')", "('exp')"].iter().any(|claim| message.contains(claim)) => {
            "this machine's clock is wrong: set it, and try again"
        }
        StatusCode::UNAUTHORIZED if message.to_lowercase().contains("json web token") => {
            "the app's number and its private key do not belong together, or this machine's clock is wrong"
        }
        StatusCode::UNAUTHORIZED => {
            "the token is invalid or has expired: set another, or sign in again with `gh auth login`"
        }
        StatusCode::FORBIDDEN if message.contains("SAML") => {
            "authorize the token for the organization's single sign-on"
        }
        StatusCode::FORBIDDEN => "the token needs `pull requests: write` and `contents: write` on this repository",
        StatusCode::NOT_FOUND => "the repository does not exist, or the token may not see it",
        StatusCode::UNPROCESSABLE_ENTITY => invalid(&message),
        status if status.is_redirection() => {
            "the repository was renamed or moved: give the remote its new address with `git remote set-url`"
        }
        _ => "try again later",
    };
    Error::Refused { status: status.as_u16(), message, advice }
}

/// What GitHub says, with its details.
fn message(answer: &GitHubError) -> String {
    let details = answer.errors.iter().flatten().filter_map(|error| {
        let (field, code) = (error["field"].as_str(), error["code"].as_str());
        let named = || Some(format!("{} is {}", field?, code?.replace('_', " ")));
        error["message"].as_str().or_else(|| error.as_str()).map(str::to_owned).or_else(named)
    });
    let text = std::iter::once(answer.message.clone()).chain(details).collect::<Vec<_>>().join(": ");
    // a proxy or a sign-in page answers with a whole page
    let first: String = text.lines().next().unwrap_or_default().chars().take(500).collect();
    if first.trim_start().starts_with('<') { "the answer is a web page, not GitHub's API".to_owned() } else { first }
}

/// What to do when a pull request, a tree or a reference is invalid.
fn invalid(message: &str) -> &'static str {
    let known = [
        ("is too long", "shorten the title or the description"),
        ("No commits between", "the branch holds nothing that the base branch does not: nothing is left to propose"),
        ("head is invalid", "push the branch first: GitHub does not have it"),
        ("base is invalid", "GitHub does not have the base branch: check the name of the default branch"),
        ("already exists", "look at what is there on GitHub under this name"),
        ("not a fast", "somebody else moved the branch: start again from its newest commit"),
    ];
    let found = known.iter().find(|(words, _)| message.contains(words));
    found.map_or("the request is invalid: GitHub's message says why", |(_, advice)| advice)
}

/// `in 42 min, at 14:32 UTC`
fn reset(wait: Duration) -> String {
    let at = SystemTime::now() + wait;
    let minutes = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs() / 60;
    format!("in {} min, at {:02}:{:02} UTC", wait.as_secs().div_ceil(60), minutes / 60 % 24, minutes % 60)
}
