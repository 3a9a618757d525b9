//! The document of the interface, as the interface gives it.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::answer::{Answer, Described, json_response};
use super::document::Schemas;
use super::operation::{Asked, Nothing, Operation};
use super::problem::Problem;
use super::shared::Shared;

/// `GET /openapi.json`
pub(crate) struct Document;

/// The document's text.
pub(crate) struct Text(Vec<u8>);

impl Answer for Text {
    fn described(_: &mut Schemas) -> Vec<Described> {
        vec![Described::new(200, "This document.", "application/json", json!({ "type": "object" }))]
    }

    fn respond(self, asked: &HeaderMap) -> Response {
        json_response(self.0, asked)
    }
}

impl Operation for Document {
    const PATH: &'static str = "/openapi.json";
    const ID: &'static str = "getDocument";
    const SUMMARY: &'static str = "This document";

    type Path = Nothing;
    type Query = Nothing;
    type Body = ();
    type Answer = Text;

    async fn answer(shared: Arc<Shared>, _: Asked<Self>) -> Result<Self::Answer, Problem> {
        Ok(Text(shared.document.clone()))
    }
}
