//! What a client is told if a request fails: Kubernetes' `Status`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::resource::Resource;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    /// A word for programs, as Kubernetes writes it.
    reason: &'static str,
    /// For a person.
    message: String,
    /// Which object it is about.
    details: Value,
}

/// What a handler answers.
pub(super) type Answer<T = Response> = Result<T, Refusal>;

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: json!({}) }
    }

    /// The request cannot be understood.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// The object cannot be what the request says.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// There is no token, or nobody knows it.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            "Unauthorized: send the token of the state folder's kubeconfig",
        )
    }

    /// Whoever asks may not do this.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// Nothing is at this path.
    pub(super) fn no_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
    }

    /// There is no such object.
    pub(super) fn no_object(resource: Resource, name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("{} {name:?} not found", resource.title()))
            .about(resource, name)
    }

    /// There is such an object already.
    pub(super) fn exists(resource: Resource, name: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "AlreadyExists", format!("{} {name:?} already exists", resource.title()))
            .about(resource, name)
    }

    /// Somebody else has changed the object since it was read.
    pub(super) fn conflict(resource: Resource, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: the object has been modified; please apply your changes to the latest version \
             and try again",
            resource.title()
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// No such method is served at this path.
    pub(super) fn no_method() -> Self {
        let message = "the server does not allow this method on the requested resource: jobs are made and cancelled by their files on main";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// The changes since this version are no longer known.
    pub(super) fn expired(version: u64, oldest: u64) -> Self {
        Self::new(StatusCode::GONE, "Expired", format!("too old resource version: {version} ({oldest})"))
    }

    /// None of the forms that the client accepts is served.
    pub(super) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// A body has a form that is not read here.
    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// A body that cannot be taken, such as one that is too long.
    pub(super) fn of_body(code: StatusCode, message: String) -> Self {
        let reason = if code == StatusCode::PAYLOAD_TOO_LARGE { "RequestEntityTooLarge" } else { "BadRequest" };
        Self::new(code, reason, message)
    }

    /// Something that should not happen.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    fn about(self, resource: Resource, name: &str) -> Self {
        let details = json!({ "name": name, "group": resource.group(), "kind": resource.plural() });
        Self { details, ..self }
    }

    /// The object that says so, as an answer and in a watch.
    pub(super) fn status(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code.as_u16(),
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.code, Json(self.status())).into_response()
    }
}
