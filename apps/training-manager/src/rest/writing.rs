//! Opening a pull request for whoever asks: one at a time, and the same one for the same request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;
use slipway_forge::Opened;
use slipway_proposal::Opening;
use tokio::runtime::Handle;

use super::answer::{Answer, Described, json_response};
use super::document::Schemas;
use super::problem::{Finding, Problem};
use super::shared::Shared;
use super::token::Token;
use super::writer::{Denied, Writer};

/// How long a request may take: git and the forge have time limits of their own.
pub(crate) const LIMIT: Duration = Duration::from_secs(150);
/// The problems of every request that writes.
pub(crate) const PROBLEMS: [(u16, &str); 9] = [
    (400, "The body cannot be read; `findings` has the place."),
    (401, "There is no token, or nobody has it."),
    (403, "Whoever has the token may not do that; or the request comes from a page of another site."),
    (404, "There is no such thing on the default branch."),
    (409, "That cannot be done as things are, or changes nothing."),
    (413, "The body is larger than 256 KiB."),
    (415, "The body is not `application/json`."),
    (422, "What was sent has mistakes; `findings` has the place of each."),
    (503, "Too many ask at once, or the forge does not answer."),
];
/// How often something begins again because somebody else was first.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// A pull request that does what was asked for, once a person merges it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Proposed {
    /// Its number.
    number: u64,
    /// Its page.
    url: String,
    /// Its branch.
    branch: String,
    /// Its title.
    title: String,
    /// Whether it was open before.
    existed: bool,
}

impl Answer for Proposed {
    fn described(schemas: &mut Schemas) -> Vec<Described> {
        let schema = schemas.sent::<Self>();
        let mut new = Described::new(201, "The pull request is open.", "application/json", schema.clone());
        new.headers.push(("Location", "Its page, if it has one."));
        vec![new, Described::new(200, "The same one was open already.", "application/json", schema)]
    }

    fn respond(self, _: &HeaderMap) -> Response {
        let mut response = json_response(serde_json::to_vec(&self).unwrap_or_default(), &HeaderMap::new());
        *response.status_mut() = if self.existed { StatusCode::OK } else { StatusCode::CREATED };
        if let Ok(location) = HeaderValue::from_str(&self.url) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

/// What becomes a pull request.
pub(crate) trait Change: Send + 'static {
    /// What it is, for the log.
    fn describe(&self) -> String;

    /// Opens it, or finds the one that is open.
    async fn open(&self, writer: &Writer, opening: Opening) -> Result<Opened, Refused>;
}

/// Why there is no pull request.
pub(crate) enum Refused {
    Problem(Problem),
    Proposal(slipway_proposal::Error),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<slipway_proposal::Error> for Refused {
    fn from(error: slipway_proposal::Error) -> Self {
        Self::Proposal(error)
    }
}

/// Opens a pull request in the name of whoever has the token. It goes on even if nobody waits for the answer any more.
pub(crate) async fn write(
    shared: Arc<Shared>,
    token: &Token,
    draft: bool,
    change: impl Change,
) -> Result<Proposed, Problem> {
    let place = shared.writes.take()?;
    let Some(writers) = &shared.connected()?.writers else {
        let detail = "this manager opens no pull requests, because SLIPWAY_MANAGER_TOKEN_FILE is not set; \
            `slipway propose` and `slipway cancel` do";
        return Err(Problem::new(StatusCode::FORBIDDEN, ("no-writers", "Nothing is written here"), detail));
    };
    let writer = writers.sign_in(token).await.map_err(denied)?;
    // libgit2 and git block
    let working = tokio::task::spawn_blocking(move || {
        Handle::current().block_on(async {
            let _one = shared.writing.lock().await;
            let proposed = propose(&writer, draft, &change).await;
            drop(place);
            proposed
        })
    });
    working.await.map_err(Problem::unexpected)?
}

async fn propose(writer: &Writer, draft: bool, change: &impl Change) -> Result<Proposed, Problem> {
    let preface = format!("Asked for by {}, through Slipway's training manager.", writer.who.markdown());
    let opening = Opening { draft, preface, is_reported: true, ..Opening::default() };
    let before = writer.remote.forge.list_open().await.map_err(|error| of_proposal(error.into()))?;
    let before: BTreeSet<u64> = before.into_iter().map(|opened| opened.number).collect();
    let mut attempt = 1;
    let opened = loop {
        match change.open(writer, opening.clone()).await {
            Ok(opened) => break opened,
            Err(Refused::Problem(problem)) => return Err(problem),
            Err(Refused::Proposal(error)) if attempt < ATTEMPTS && is_of_the_moment(&error) => {
                tracing::debug!(event = "again", attempt, "{error}");
            }
            Err(Refused::Proposal(error)) => return Err(of_proposal(error)),
        }
        tokio::time::sleep(PAUSE * attempt).await;
        attempt += 1;
    };
    let Opened { number, url, branch, title, .. } = opened;
    let existed = before.contains(&number);
    tracing::info!(event = "pull_request", who = %writer.who, asked = change.describe(), number, url, existed);
    Ok(Proposed { number, url, branch, title, existed })
}

/// Whether it may be that somebody else was first, with the same thing.
fn is_of_the_moment(error: &slipway_proposal::Error) -> bool {
    match error {
        slipway_proposal::Error::Git(error) => error.is_unavailable(),
        slipway_proposal::Error::Forge(error) => {
            matches!(
                error,
                slipway_forge::Error::Busy { .. } | slipway_forge::Error::BranchMoved(_) | slipway_forge::Error::Git(_)
            )
        }
        _ => false,
    }
}

fn denied(denied: Denied) -> Problem {
    match denied {
        Denied::Unknown(reason) => Problem::unauthorized(reason),
        Denied::Forbidden(reason) => forbidden(reason),
        Denied::Unavailable(reason) => {
            tracing::warn!(event = "sign_in_failed", "{reason}");
            Problem::unavailable("Forge", reason)
        }
    }
}

fn forbidden(reason: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, ("forbidden", "Whoever has this token may not do that"), reason)
}

/// What was sent is understood, and wrong.
pub(crate) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, ("invalid", "What was sent has mistakes"), detail)
}

fn of_proposal(error: slipway_proposal::Error) -> Problem {
    use slipway_forge::Error as Forge;
    use slipway_proposal::Error;
    match error {
        Error::Invalid(findings) => {
            let detail = findings.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join("; ");
            invalid(detail).with_findings(findings.iter().map(Finding::from).collect())
        }
        Error::NothingToCancel { .. } | Error::NothingRuns { .. } => {
            Problem::unknown("thing to cancel", error.to_string())
        }
        Error::UnknownEnvironment { .. } => invalid(error.to_string()),
        Error::HasEnded { .. }
        | Error::NotRenderedThere { .. }
        | Error::CancelledInPart { .. }
        | Error::NotEditable { .. }
        | Error::TooManyBranches(_) => Problem::conflict(error.to_string()),
        Error::Forge(Forge::Refused { status: 401, .. }) => Problem::unauthorized(error.to_string()),
        Error::Forge(Forge::Refused { status: 403 | 404, .. }) => forbidden(error.to_string()),
        Error::Forge(Forge::Tls { .. }) => unavailable(&error),
        Error::Forge(ref reason) if reason.is_unavailable() => unavailable(&error),
        Error::Git(ref reason) if reason.is_unavailable() => unavailable(&error),
        error => Problem::unexpected(error),
    }
}

fn unavailable(error: &slipway_proposal::Error) -> Problem {
    tracing::warn!(event = "forge_failed", "{error}");
    Problem::unavailable("Forge", error.to_string())
}
