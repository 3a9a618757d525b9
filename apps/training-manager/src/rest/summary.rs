//! The environment in a few numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Json;
use super::operation::{Asked, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;
use crate::view::{Trainings, TrialState};

/// `GET /api/v1/summary`
pub(crate) struct Summary;

/// The environment in a few numbers.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Numbers {
    /// The environment's name.
    environment: String,
    /// The commit of the default branch that was read last; empty before the first.
    commit: String,
    /// How many trials that are not in the history are in each state; states without any are left out.
    states: BTreeMap<TrialState, usize>,
    /// Whether this manager is the one that writes; others only answer.
    leader: bool,
}

/// How many trials that are not in the history are in each state.
pub(crate) fn states(now: &Trainings) -> BTreeMap<TrialState, usize> {
    let mut states = BTreeMap::new();
    for trial in now.trials.values() {
        *states.entry(trial.state).or_default() += 1;
    }
    states
}

impl Operation for Summary {
    const PATH: &'static str = "/api/v1/summary";
    const ID: &'static str = "getSummary";
    const SUMMARY: &'static str = "The environment in a few numbers";

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Json<Numbers>;

    async fn answer(shared: Arc<Shared>, _: Asked<Self>) -> Result<Self::Answer, Problem> {
        let now = shared.now();
        Ok(Json(Numbers {
            environment: shared.state.environment.clone(),
            commit: now.commit.clone(),
            states: states(&now),
            leader: shared.is_leader(),
        }))
    }
}
