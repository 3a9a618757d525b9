//! The trials: those in the cluster, those whose files are on the default branch, and those in the history.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Json;
use super::operation::{Asked, Named, Nothing, Operation};
use super::page::{MOST, Page};
use super::problem::Problem;
use super::shared::Shared;
use crate::view::{Trial, TrialState};

/// `GET /api/v1/trials`
pub(crate) struct List;

/// Which trials.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only those of this experiment.
    experiment: Option<String>,
    /// Only those in this state.
    state: Option<TrialState>,
    /// Only those of this environment.
    environment: Option<String>,
    /// Only those in the history (`true`), or only those that are not (`false`).
    archived: Option<bool>,
    /// At most this many; 200 if nothing is given.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<usize>,
    /// The part after the one whose `next` this was.
    after: Option<String>,
}

/// Trials, the newest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Trials {
    /// The trials.
    trials: Vec<Trial>,
    /// What `after` has to be for the next part; `null` at the end.
    next: Option<String>,
}

impl Operation for List {
    const PATH: &'static str = "/api/v1/trials";
    const ID: &'static str = "listTrials";
    const SUMMARY: &'static str = "Trials, the newest first";
    const PROBLEMS: &'static [(u16, &'static str)] = &[(400, "A parameter cannot be read.")];

    type Path = Nothing;
    type Query = Which;
    type Body = ();
    type Answer = Json<Trials>;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let Which { experiment, state, environment, archived, limit, after } = asked.query;
        let now = shared.now();
        let found = now.all().filter(|trial| {
            experiment.as_ref().is_none_or(|experiment| trial.experiment == *experiment)
                && state.is_none_or(|state| trial.state == state)
                && environment.as_ref().is_none_or(|environment| trial.environment == *environment)
                && archived.is_none_or(|archived| trial.archived == archived)
        });
        let Page { trials, next } = Page::of(found, limit, after.as_deref())?;
        Ok(Json(Trials { trials, next }))
    }
}

/// `GET /api/v1/trials/{name}`
pub(crate) struct One;

impl Operation for One {
    const PATH: &'static str = "/api/v1/trials/{name}";
    const ID: &'static str = "getTrial";
    const SUMMARY: &'static str = "A trial";
    const PROBLEMS: &'static [(u16, &'static str)] = &[(404, "No trial has this name.")];

    type Path = Named;
    type Query = Nothing;
    type Body = ();
    type Answer = Json<Trial>;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        Ok(Json(shared.trial(&asked.path.name)?.as_ref().clone()))
    }
}
