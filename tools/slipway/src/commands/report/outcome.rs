//! What came of a merged pull request.

use slipway_forge::Opened;
use slipway_proposal::Remote;
use slipway_report::Document;

use super::planned::Planning;
use crate::failure::Failure;

/// The report on a pull request that is merged.
pub(super) async fn of(_planning: &Planning<'_>, _remote: &Remote, _opened: &Opened) -> Result<Document, Failure> {
    todo!()
}
