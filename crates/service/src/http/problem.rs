//! Every answer that is not what was asked for: `application/problem+json`, as RFC 9457 has it.

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// The media type.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not answered as it asked, and what to do.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What kind of problem it is, for programs: `urn:slipway:problem:<kind>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// Each mistake with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    #[serde(skip)]
    header: Option<Header>,
}

/// A header that a problem comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// It may be over in some seconds.
    RetryAfter,
    /// A token is needed.
    Authenticate,
}

impl Header {
    fn parts(self) -> (HeaderName, HeaderValue) {
        match self {
            Self::RetryAfter => (RETRY_AFTER, HeaderValue::from_static("5")),
            Self::Authenticate => (WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"slipway\"")),
        }
    }
}

/// A mistake in a file, or in the request's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The file, relative to the project; `body` is the request's body.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The kind of mistake, for programs, such as `unknown-field`.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Option<String>,
}

impl From<&slipway_source::Finding> for Finding {
    fn from(finding: &slipway_source::Finding) -> Self {
        let slipway_source::Finding { file, line, column, code, message, help } = finding.clone();
        Self { file, line, column, code: code.to_owned(), message, help }
    }
}

impl Problem {
    /// A problem of a kind, with its title.
    pub fn new(status: StatusCode, (kind, title): (&str, &str), detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:slipway:problem:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            findings: Vec::new(),
            header: None,
        }
    }

    /// The path, the query or the body is not what the interface takes.
    pub fn malformed(what: &str, detail: impl Into<String>) -> Self {
        let kind = format!("malformed-{}", what.replace(' ', "-"));
        Self::new(StatusCode::BAD_REQUEST, (&kind, &format!("The {what} cannot be read")), detail)
    }

    /// There is no such thing.
    pub fn unknown(what: &str, detail: impl Into<String>) -> Self {
        let kind = format!("unknown-{}", what.replace(' ', "-"));
        Self::new(StatusCode::NOT_FOUND, (&kind, &format!("There is no such {what}")), detail)
    }

    /// The request can be understood, and what it asks for contradicts how things are.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, ("conflict", "That cannot be done as things are"), detail)
    }

    /// Too many do this at once.
    pub fn busy(detail: impl Into<String>) -> Self {
        let busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, ("busy", "Too many ask at once"), detail);
        Self { header: Some(Header::RetryAfter), ..busy }
    }

    /// A system behind this one does not answer, or refuses.
    pub fn unavailable(system: &str, detail: impl Into<String>) -> Self {
        let kind = format!("{}-unavailable", system.to_lowercase());
        let title = format!("{system} does not answer as it should");
        let unavailable = Self::new(StatusCode::SERVICE_UNAVAILABLE, (&kind, &title), detail);
        Self { header: Some(Header::RetryAfter), ..unavailable }
    }

    /// What an answer would be made from has not been read yet.
    pub fn not_ready(detail: impl Into<String>) -> Self {
        let kind = ("not-ready", "This service is not ready yet");
        let not_ready = Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail);
        Self { header: Some(Header::RetryAfter), ..not_ready }
    }

    /// Something that must not happen. The log has the reason; whoever asks gets none, because it may name what is not theirs.
    pub fn unexpected(reason: impl std::fmt::Display) -> Self {
        tracing::error!(event = "unexpected", "{reason}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ("unexpected", "Something went wrong here"),
            "the reason is in the log of this service",
        )
    }

    /// What a status says, for an answer that something below gave without a body.
    pub fn of_status(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::URI_TOO_LONG => "the address is too long: at most 8,192 bytes are read",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                "the head of the request is too large: at most 64 headers and 32 KiB are read"
            }
            StatusCode::BAD_REQUEST => {
                "the head of the request is not HTTP/1.1: a line `METHOD /path HTTP/1.1`, headers as `name: value`, and an empty line"
            }
            _ => "the request cannot be answered",
        };
        let title = status.canonical_reason().unwrap_or("Error");
        let kind = title.to_lowercase().replace(' ', "-");
        Self::new(status, (&kind, title), detail)
    }

    /// The same with each mistake.
    pub fn with_findings(self, findings: Vec<Finding>) -> Self {
        Self { findings, ..self }
    }

    /// Who asks is not known: 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let kind = ("unauthorized", "This needs a token");
        Self { header: Some(Header::Authenticate), ..Self::new(StatusCode::UNAUTHORIZED, kind, detail) }
    }

    /// The document as bytes.
    pub fn json(&self) -> Vec<u8> {
        // only text and numbers
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = self.header.map(Header::parts) {
            headers.insert(name, value);
        }
        response
    }
}

/// An answer without a body that something below gave, with a body that says what its status means.
pub fn with_reason(response: Response) -> Response {
    let status = response.status();
    let has_reason = response.headers().get(CONTENT_TYPE).is_some_and(|found| found == MEDIA_TYPE);
    if has_reason || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let allowed = response.headers().get(ALLOW).cloned();
    let mut response = Problem::of_status(status).into_response();
    if let Some(allowed) = allowed {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}
