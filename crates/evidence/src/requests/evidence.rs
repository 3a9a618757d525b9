//! All that is said about the requests.

use serde::Serialize;
use slipway_digest::Digest;

use crate::{Change, ClassShare, Loss, Model, ReferenceData};

/// All that is said about the requests of a version: numbers, no decision.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// The dataset that the version was trained on.
    pub dataset: String,
    /// The head of that dataset, on which it would be trained again; `None` if no build has published one.
    pub head: Option<Digest>,
    /// The version.
    pub model: Model,
    /// What its requests are compared with.
    pub reference: ReferenceData,
    /// How its answers were distributed on the reference, and how they are in the newest hour.
    pub answers: Vec<ClassShare>,
    /// Have the requests changed? The windows are hours; `after` and `observations` count rows of the sample.
    pub change: Change,
    /// Does it matter? Estimated, on the newest 2,000 rows, after an alarm on those from its hour on. `None` without labels in the reference.
    pub loss: Option<Loss>,
    /// Rows that could not be compared: their numbers are no picture and no answer as the version takes and gives them.
    pub left_out: usize,
    /// What could not be found out, and why.
    pub unknown: Vec<String>,
}
