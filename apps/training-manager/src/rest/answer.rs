//! What an operation answers, how that is documented, and how it is sent.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use slipway_digest::Digest;

use super::document::Schemas;
use super::problem::Problem;

/// The digits of a digest that tell two answers apart.
const TAG: usize = 32;

/// What an operation answers if nothing goes wrong.
pub(crate) trait Answer: Send {
    /// The answers that there may be.
    fn described(schemas: &mut Schemas) -> Vec<Described>;

    /// The answer to a request with these headers.
    fn respond(self, asked: &HeaderMap) -> Response;
}

/// An answer as the document has it.
pub(crate) struct Described {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    /// Its media type, and the object that OpenAPI has for that; `None` for an answer without a body.
    pub(crate) content: Option<(&'static str, Value)>,
    /// Its headers with what they mean.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl Described {
    /// An answer with a body.
    pub(crate) fn new(status: u16, description: &'static str, media_type: &'static str, schema: Value) -> Self {
        let content = Some((media_type, json!({ "schema": schema })));
        Self { status, description, content, headers: Vec::new() }
    }
}

/// An answer as JSON. Whoever has the same already (`If-None-Match`) is told so.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: Serialize + JsonSchema + Send> Answer for Json<T> {
    fn described(schemas: &mut Schemas) -> Vec<Described> {
        let schema = schemas.sent::<T>();
        let mut found = Described::new(200, "What was asked for.", "application/json", schema);
        found.headers.push(("ETag", "Changes when the answer does; `If-None-Match` takes it."));
        let description = "`If-None-Match` names the answer: nothing has changed.";
        let same = Described { status: 304, description, content: None, headers: Vec::new() };
        vec![found, same]
    }

    fn respond(self, asked: &HeaderMap) -> Response {
        let text = match serde_json::to_vec(&self.0) {
            Ok(text) => text,
            Err(error) => return Problem::unexpected(format!("an answer cannot be written: {error}")).into_response(),
        };
        json_response(text, asked)
    }
}

/// JSON text as an answer that can be asked for again by its tag.
pub(crate) fn json_response(text: Vec<u8>, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", &Digest::of(&text).hex()[..TAG]);
    let mut response = Response::default();
    if is_known(asked, &tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(text);
    }
    // kept, but never used without asking
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// Whether the request names this tag. Proxies that compress an answer mark its tag as weak.
fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    let named = asked.get_all(IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    let mut named = named.flat_map(|value| value.split(',')).map(str::trim);
    named.any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

/// A text that is sent as it is.
pub(crate) fn text_response(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
