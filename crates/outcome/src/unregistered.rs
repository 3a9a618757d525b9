//! Why finished TrainJobs registered nothing, as MLflow knows it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use slipway_experiment::Unmet;
use slipway_mlflow::{Client, Run};
use slipway_names::tag::{GATE, GATE_UNMET, TRAINJOB};

use crate::{Error, Result};

/// Why a finished TrainJob registered nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "because")]
pub enum Unregistered {
    /// The gate refused the model, whose metrics miss these bounds.
    GateRefused {
        /// The bounds that were missed.
        unmet: Vec<Unmet>,
    },
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
#[must_use]
pub fn unmet_bounds(unmet: &[Unmet]) -> String {
    unmet.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The reason of each such TrainJob, by its name.
///
/// # Errors
/// When MLflow refuses or fails; [`Error::Tag`].
pub async fn unregistered(client: &Client) -> Result<BTreeMap<String, Unregistered>> {
    let experiments = client.search_experiments().await?;
    let experiments: Vec<&str> = experiments.iter().map(String::as_str).collect();
    let filter = format!("attributes.status = 'FINISHED' and tags.\"{GATE}\" != 'passed'");
    let runs = client.search_runs(&experiments, &filter, &["attributes.start_time ASC"]).await?;
    runs.iter().map(|run| Ok((run.tags.get(TRAINJOB).cloned().unwrap_or_default(), reason(run)?))).collect()
}

/// The reason of a finished run that did not register anything.
///
/// # Errors
/// [`Error::Tag`].
pub fn reason(run: &Run) -> Result<Unregistered> {
    if run.tags.get(GATE).is_some_and(|gate| gate == "none") {
        return Ok(Unregistered::NotAsked);
    }
    let unmet = run.tags.get(GATE_UNMET).map_or("[]", String::as_str);
    let unmet = serde_json::from_str(unmet).map_err(|error| Error::Tag {
        tag: GATE_UNMET,
        run: run.run_id.clone(),
        reason: error.to_string(),
        value: unmet.to_owned(),
    })?;
    Ok(Unregistered::GateRefused { unmet })
}
