//! Why finished TrainJobs registered nothing, as MLflow knows it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use slipway_experiment::Unmet;
use slipway_mlflow::{Client, Run};
use slipway_names::tag::{GATE, GATE_UNMET, TRAINJOB};

use crate::failure::Failure;

/// Why a finished TrainJob registered nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "because")]
pub(crate) enum Unregistered {
    /// The gate refused the model, whose metrics miss these bounds.
    GateRefused { unmet: Vec<Unmet> },
    /// The experiment has no `register`.
    NotAsked,
}

impl fmt::Display for Unregistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GateRefused { unmet } => {
                write!(f, "registered nothing: the gate refused the model: {}", unmet_bounds(unmet))
            }
            Self::NotAsked => f.write_str("registered nothing: the experiment has no spec.register"),
        }
    }
}

/// The bounds that were missed, in words.
pub(crate) fn unmet_bounds(unmet: &[Unmet]) -> String {
    unmet.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The reason of each such TrainJob, by its name.
pub(crate) async fn unregistered(client: &Client) -> Result<BTreeMap<String, Unregistered>, Failure> {
    let experiments = client.search_experiments().await?;
    let experiments: Vec<&str> = experiments.iter().map(String::as_str).collect();
    let filter = format!("attributes.status = 'FINISHED' and tags.\"{GATE}\" != 'passed'");
    let runs = client.search_runs(&experiments, &filter, &["attributes.start_time ASC"]).await?;
    runs.iter().map(|run| Ok((run.tags.get(TRAINJOB).cloned().unwrap_or_default(), reason(run)?))).collect()
}

/// The reason of a finished run that did not register anything.
pub(crate) fn reason(run: &Run) -> Result<Unregistered, Failure> {
    if run.tags.get(GATE).is_some_and(|gate| gate == "none") {
        return Ok(Unregistered::NotAsked);
    }
    let unmet = run.tags.get(GATE_UNMET).map_or("[]", String::as_str);
    let unmet = serde_json::from_str(unmet).map_err(|error| {
        Failure::Unexpected(format!("the tag {GATE_UNMET} of run {} cannot be read: {error}: {unmet}", run.run_id))
    })?;
    Ok(Unregistered::GateRefused { unmet })
}
