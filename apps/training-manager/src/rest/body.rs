//! The body of a request: JSON of a bounded size, with the token of whoever sends it.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::document::Schemas;
use super::problem::{Finding, Problem};
use super::token::Token;

/// How a token is sent.
const HOW: &str = "send `Authorization: Bearer <token>`: with GitHub your own token, with a repository of this machine that of its manager";

/// The most bytes of a body.
const MOST: usize = 256 << 10;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// What an operation reads of a request's body.
pub(crate) trait Body: Sized + Send {
    /// Whether something is written, so that a token is needed.
    const WRITES: bool;

    /// The body as OpenAPI has it; `None` if none is read.
    fn described(schemas: &mut Schemas) -> Option<Value>;

    /// Reads it.
    fn read(head: &Parts, body: HttpBody) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// An operation that only reads takes none.
impl Body for () {
    const WRITES: bool = false;

    fn described(_: &mut Schemas) -> Option<Value> {
        None
    }

    async fn read(_: &Parts, _: HttpBody) -> Result<Self, Problem> {
        Ok(())
    }
}

/// What somebody asks to be written.
pub(crate) struct Written<T> {
    /// The token of whoever asks.
    pub(crate) token: Token,
    /// What was sent.
    pub(crate) content: T,
}

impl<T: DeserializeOwned + JsonSchema + Send> Body for Written<T> {
    const WRITES: bool = true;

    fn described(schemas: &mut Schemas) -> Option<Value> {
        let schema = schemas.received::<T>();
        Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }))
    }

    async fn read(head: &Parts, body: HttpBody) -> Result<Self, Problem> {
        check_type(&head.headers)?;
        let token = Token::of(&head.headers, HOW)?;
        let text = whole(&head.headers, body).await?;
        Ok(Self { token, content: parse(&text)? })
    }
}

/// A form of a foreign page can send other types without asking, but not this one.
fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let all: Vec<_> =
        headers.get_all(CONTENT_TYPE).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    let kind =
        |found: &str| found.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    let said = match all.as_slice() {
        [found] if kind(found) => return Ok(()),
        [] => "no Content-Type".to_owned(),
        all => format!("the Content-Type `{}`", all.join(", ")),
    };
    let detail = format!("the request has {said}: send JSON with `Content-Type: application/json`");
    let kind = ("unsupported-content-type", "Only JSON is read");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kind, detail))
}

async fn whole(headers: &HeaderMap, body: HttpBody) -> Result<Vec<u8>, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MOST as u64) {
        return Err(too_large());
    }
    let reading = Limited::new(body, MOST).collect();
    match tokio::time::timeout(ARRIVAL, reading).await {
        Ok(Ok(read)) => Ok(read.to_bytes().into()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Problem::malformed("body", format!("it broke off: {error}"))),
        Err(_) => {
            let detail = format!("the body did not arrive within {} s: send it at once", ARRIVAL.as_secs());
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, ("slow-body", "The body takes too long"), detail))
        }
    }
}

fn too_large() -> Problem {
    let detail = format!("the body is longer than {} KiB, which is more than an experiment needs", MOST >> 10);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ("too-large", "The body is too large"), detail)
}

/// Reads JSON; one without anything is `{}`.
fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let text = if text.trim_ascii().is_empty() { b"{}" } else { text };
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line().max(1), error.column().max(1));
        let said = error.to_string();
        let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message).to_owned();
        let is_json = matches!(error.classify(), serde_json::error::Category::Data);
        let code = if is_json { "unexpected-content" } else { "malformed-json" };
        let detail = format!("line {line}, column {column} of the body: {message}; /openapi.json describes it");
        let finding = Finding { file: "body".to_owned(), line, column, code: code.to_owned(), message, help: None };
        Problem::malformed("body", detail).with_findings(vec![finding])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Content {
        #[serde(default)]
        draft: bool,
    }

    #[test]
    fn what_is_wrong_with_json_has_its_place() {
        for (text, line, column, code) in [
            ("{\n \"draft\" true\n}", 2, 10, "malformed-json"),
            ("{\"draft\": 1}", 1, 11, "unexpected-content"),
            ("{\"other\": 1}", 1, 8, "unexpected-content"),
            ("[", 1, 1, "malformed-json"),
        ] {
            let problem = parse::<Content>(text.as_bytes()).unwrap_err();
            let found = &problem.findings[0];
            assert_eq!((found.line, found.column, found.code.as_str()), (line, column, code), "{text}: {problem:?}");
            assert!(!found.message.contains(" at line "), "{found:?}");
        }
        assert!(!parse::<Content>(b" \n").unwrap().draft);
        assert!(parse::<Content>("{\"draft\": \u{1}}".as_bytes()).is_err());
    }
}
