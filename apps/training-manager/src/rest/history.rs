//! What came of the trials whose files were moved to the history.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::Json;
use super::operation::{Asked, Nothing, Operation};
use super::page::{MOST, Page};
use super::problem::Problem;
use super::shared::Shared;
use crate::view::Trial;

/// `GET /api/v1/history`
pub(crate) struct List;

/// Which records.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Only those of this experiment.
    experiment: Option<String>,
    /// At most this many; 200 if nothing is given.
    #[schemars(range(min = 1, max = MOST))]
    limit: Option<usize>,
    /// The part after the one whose `next` this was.
    after: Option<String>,
}

/// The history, the newest first.
#[derive(Serialize, JsonSchema)]
pub(crate) struct History {
    /// The trials as they were recorded.
    records: Vec<Trial>,
    /// What `after` has to be for the next part; `null` at the end.
    next: Option<String>,
}

impl Operation for List {
    const PATH: &'static str = "/api/v1/history";
    const ID: &'static str = "listHistory";
    const SUMMARY: &'static str = "Trials in the history, the newest first";
    const PROBLEMS: &'static [(u16, &'static str)] = &[(400, "A parameter cannot be read.")];

    type Path = Nothing;
    type Query = Which;
    type Body = ();
    type Answer = Json<History>;

    async fn answer(shared: Arc<Shared>, asked: Asked<Self>) -> Result<Self::Answer, Problem> {
        let Which { experiment, limit, after } = asked.query;
        let now = shared.now();
        let is_of = |trial: &Trial| experiment.as_ref().is_none_or(|experiment| trial.experiment == *experiment);
        let found = now.archived.values().filter(|trial| is_of(trial));
        let Page { trials: records, next } = Page::of(found, limit, after.as_deref())?;
        Ok(Json(History { records, next }))
    }
}
