//! What is known of each dataset, as REST and metrics show it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use slipway_evidence::{Decision, Evidence, requests};

/// All datasets that are watched, by name.
pub type Watched = BTreeMap<String, Arc<DatasetState>>;

/// What is known of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetState {
    /// Whether anything is opened about it; if not, nothing is built or looked at either.
    pub enabled: bool,
    /// The numbers, as of the last look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What was decided then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// When that was, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<i64>,
    /// The pull request of the head, or the issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
    /// Why the last attempt to build it, or to look at it, failed; `None` if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What is wrong with the data: why they cannot be built, or that most of what lands cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
    /// What is known of the requests of the version that was trained on it, if those are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestsState>,
    /// Where its images land.
    #[serde(skip)]
    pub landing: Vec<slipway_experiment::Landing>,
}

/// What is known of the requests of the version in service.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestsState {
    /// The numbers, as of the last look; `None` if there was nothing to compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<requests::Evidence>,
    /// What was decided then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// When that was, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<i64>,
    /// The pull request, or the issue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
    /// Why the last attempt to look failed; `None` if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}
