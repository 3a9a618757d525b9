//! Whether this program lives, and whether it has something to answer.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::answer::{Answer, Described, text_response};
use super::document::Schemas;
use super::operation::{Asked, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;

/// A word.
pub(crate) struct Word(&'static str);

impl Answer for Word {
    fn described(_: &mut Schemas) -> Vec<Described> {
        vec![Described::new(200, "It is.", "text/plain; charset=utf-8", json!({ "type": "string" }))]
    }

    fn respond(self, _: &HeaderMap) -> Response {
        text_response("text/plain; charset=utf-8", self.0)
    }
}

/// `GET /healthz`
pub(crate) struct Live;

impl Operation for Live {
    const PATH: &'static str = "/healthz";
    const ID: &'static str = "isLive";
    const SUMMARY: &'static str = "Whether the process lives";

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Word;

    async fn answer(_: Arc<Shared>, _: Asked<Self>) -> Result<Self::Answer, Problem> {
        Ok(Word("ok\n"))
    }
}

/// `GET /readyz`
pub(crate) struct Ready;

impl Operation for Ready {
    const PATH: &'static str = "/readyz";
    const ID: &'static str = "isReady";
    const SUMMARY: &'static str =
        "Whether the repository, the cluster and MLflow have answered, and git and the cluster were read";
    const PROBLEMS: &'static [(u16, &'static str)] = &[(503, "What is still missing, and what to do.")];

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Word;

    async fn answer(shared: Arc<Shared>, _: Asked<Self>) -> Result<Self::Answer, Problem> {
        let missing = shared.state.missing.borrow();
        if missing.is_empty() { Ok(Word("ready\n")) } else { Err(Problem::not_ready(slipway_service::said(&missing))) }
    }
}
