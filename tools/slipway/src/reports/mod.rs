//! What the reports on pull requests are made of.

mod following;
mod outcome;
mod planned;
mod recorded;

use slipway_forge::{Opened, PullRequestState};
use slipway_proposal::Remote;
use slipway_report::Document;

pub(crate) use following::follow;
pub(crate) use planned::Planning;

use crate::failure::Failure;

/// The report on a pull request: before the merge what it would do, after it what came of it. `newest` are other pull requests, as far as they
/// are known.
pub(crate) async fn document(
    planning: &Planning<'_>,
    remote: &Remote,
    opened: &Opened,
    newest: &[Opened],
) -> Result<Document, Failure> {
    match opened.state {
        PullRequestState::Merged => outcome::of(planning, remote, opened, newest).await,
        PullRequestState::Open | PullRequestState::Closed => planning.of_pull_request(remote, opened).await,
    }
}
