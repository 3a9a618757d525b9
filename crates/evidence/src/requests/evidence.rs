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
    /// How its answers were distributed on the reference, and how they are in the newest hour; empty if that has fewer than 20 rows.
    pub answers: Vec<ClassShare>,
    /// Have the requests changed? `after` and `observations` count rows of the sample, at most 500 of an hour.
    pub change: Change,
    /// Hours that had requests.
    pub hours: usize,
    /// Does it matter? Estimated, on the newest 2,000 rows, after an alarm on those from its hour on. `None` without labels in the reference, and of fewer
    /// than 100 rows.
    pub loss: Option<Loss>,
    /// In so many of the newest hours in a row it mattered, at most 3.
    pub in_a_row: usize,
    /// Rows that could not be compared: their numbers are no picture and no answer as the version takes and gives them.
    pub left_out: usize,
    /// Files that could not be read.
    pub unread: usize,
    /// Files that were written after their hour was judged, and are in no window.
    pub late: usize,
    /// What could not be found out, and why.
    pub unknown: Vec<String>,
}

impl Evidence {
    /// Whether the requests have changed and that matters, by the estimate.
    #[must_use]
    pub fn matters(&self) -> bool {
        self.change.alarm.is_some() && self.loss.as_ref().is_some_and(|loss| loss.matters)
    }
}
