//! Merging and closing a pull request.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::GitHub;
use super::finding::missing;
use super::patience::Repeat;
use super::pull::Pull;
use crate::resolution::of_any_files;
use crate::{Error, MergeMethod, PullRequestState, Result};

/// How often a merge is tried again because the base branch moved meanwhile, and the pause before that.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Merged {
    sha: String,
}

impl GitHub {
    /// Merges a pull request if its newest commit is still `head`; the new commit of the base branch. One that is merged already stays so.
    pub(crate) async fn merge(&self, number: u64, method: MergeMethod, head: &str) -> Result<String> {
        let client = self.client().await?;
        let route = self.route(&format!("pulls/{number}/merge"));
        let body = json!({ "merge_method": method, "sha": head });
        let mut attempt = 0;
        loop {
            attempt += 1;
            // of the same head nothing is merged twice
            let merge = || client.put::<Merged, _, _>(&route, Some(&body));
            let error = match self.ask(Repeat::Harmless, merge).await {
                Ok(merged) => return Ok(merged.sha),
                Err(error) => error,
            };
            let may_be_merged = match &error {
                Error::Refused { status, .. } => matches!(status, 404 | 405 | 409 | 422 | 500..),
                error => matches!(error, Error::Unreachable { .. }),
            };
            if !may_be_merged {
                return Err(error);
            }
            // the answer may have been lost, or somebody else was first
            let pull = self.pull(number).await?;
            match self.why_not(pull, head, error)? {
                Refusal::Merged(commit) => return Ok(commit),
                Refusal::BaseMoved(error) if attempt > ATTEMPTS => return Err(error),
                Refusal::BaseMoved(_) => tokio::time::sleep(PAUSE * attempt).await,
            }
        }
    }

    /// What a merge that was refused came to.
    fn why_not(&self, pull: Pull, head: &str, error: Error) -> Result<Refusal> {
        let mergeable = pull.mergeable;
        let opened = self.opened(pull)?;
        let number = opened.number;
        let resolution = of_any_files("origin", &opened);
        if opened.head != head && opened.is_open() {
            return Err(Error::HeadMoved { number, expected: head.to_owned(), head: opened.head });
        }
        match (opened.state, opened.merge_commit) {
            (PullRequestState::Merged, Some(commit)) if opened.head == head => return Ok(Refusal::Merged(commit)),
            (PullRequestState::Open, _) => {}
            (state, _) => return Err(Error::NotOpen { number, state: state.to_string() }),
        }
        let Error::Refused { status, message, advice } = error else { return Err(error) };
        let base_moved = message.contains("Base branch was modified");
        let advice = match StatusCode::from_u16(status) {
            Ok(StatusCode::METHOD_NOT_ALLOWED | StatusCode::CONFLICT) => match reason(&message) {
                Some(advice) => advice.into(),
                None if mergeable == Some(false) => format!(
                    "it conflicts with its base branch (`slipway report {number}` names the files): {resolution}"
                )
                .into(),
                None => "its page says what is missing".into(),
            },
            _ => return Err(Error::Refused { status, message, advice }),
        };
        let error = Error::NotMergeable { number, reason: message, advice };
        if base_moved { Ok(Refusal::BaseMoved(error)) } else { Err(error) }
    }

    /// Closes a pull request without a merge. One that is closed already stays so.
    pub(crate) async fn close(&self, number: u64) -> Result<()> {
        let client = self.client().await?;
        let (route, body) = (self.route(&format!("pulls/{number}")), json!({ "state": "closed" }));
        let close = || client.patch::<Pull, _, _>(&route, Some(&body));
        let closed = match self.ask(Repeat::Harmless, close).await {
            // some answer so to one that is merged
            Err(Error::Refused { status: 422, .. }) => self.pull(number).await?,
            closed => closed.map_err(|error| missing(error, number))?,
        };
        match self.opened(closed)?.state {
            PullRequestState::Merged => Err(Error::NotOpen { number, state: PullRequestState::Merged.to_string() }),
            PullRequestState::Closed => Ok(()),
            PullRequestState::Open => Err(self.unreadable("a pull request that was closed is still open")),
        }
    }
}

/// A merge that GitHub refused, of a pull request whose head is as expected.
enum Refusal {
    /// It is merged, as this commit.
    Merged(String),
    /// The base branch moved while GitHub merged.
    BaseMoved(Error),
}

/// What to do about a merge that GitHub refuses for a known reason.
fn reason(message: &str) -> Option<&'static str> {
    let known = [
        ("base branch was modified", "try again"),
        ("draft", "mark it as ready for review first"),
        ("are not allowed", "use another merge method: the repository allows others"),
        ("merge queue", "add it to the queue on its page"),
        ("review", "ask for the review that is missing"),
        ("status check", "wait for the checks of its newest commit, or correct what they say"),
    ];
    let message = message.to_lowercase();
    known.iter().find(|(words, _)| message.contains(words)).map(|(_, advice)| *advice)
}
