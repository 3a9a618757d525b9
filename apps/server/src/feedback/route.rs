//! The routes: `POST /v2/models/<model>[/versions/<version>]/feedback?label=<class>` with the request that was asked as its body.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use slipway_digest::Digest;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::runtime::Handle;

use super::{Answered, Feedback, Kept, Note, Picture, Place, answered};
use crate::address::Address;
use crate::body;
use crate::infer;
use crate::loaded::Loaded;
use crate::refusal::Refusal;

/// What the right answer is.
#[derive(Debug, Deserialize)]
struct Says {
    label: String,
}

type Named<T> = Result<Path<T>, PathRejection>;
type Asked = Result<Query<Says>, QueryRejection>;

/// The routes for feedback.
pub fn routes() -> Router<Address> {
    Router::new()
        .route("/v2/models/{model}/feedback", post(in_service))
        .route("/v2/models/{model}/versions/{version}/feedback", post(version))
}

async fn in_service(State(address): State<Address>, path: Named<String>, says: Asked, request: Request) -> Response {
    match path {
        Ok(Path(name)) => respond(address, name, None, says, request).await,
        Err(rejected) => Refusal { status: rejected.status(), message: rejected.body_text() }.into_response(),
    }
}

async fn version(
    State(address): State<Address>,
    path: Named<(String, String)>,
    says: Asked,
    request: Request,
) -> Response {
    match path {
        Ok(Path((name, version))) => respond(address, name, Some(version), says, request).await,
        Err(rejected) => Refusal { status: rejected.status(), message: rejected.body_text() }.into_response(),
    }
}

async fn respond(address: Address, name: String, version: Option<String>, says: Asked, request: Request) -> Response {
    let Some(feedback) = address.feedback().cloned() else {
        return Refusal::missing("this address takes no feedback").into_response();
    };
    let Query(Says { label }) = match says {
        Ok(says) => says,
        Err(_) => return Refusal::request("say the right class: …/feedback?label=CLASS").into_response(),
    };
    // it owns what it needs, so that it may go from thread to thread
    let answer = |request| async move {
        let (model, response) = match address.find(&name, version.as_deref()).await {
            Ok(model) => (model.name.clone(), take(&address, &feedback, model, label, request).await),
            Err(refusal) => (String::new(), refusal.into_response()),
        };
        feedback.count(&model, response.status());
        response
    };
    body::decompressed(request, answer).await
}

async fn take(address: &Address, feedback: &Feedback, model: Arc<Loaded>, label: String, request: Request) -> Response {
    match checked(address, feedback, model, label, request).await {
        Ok(Kept { uri, new }) => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            (status, Json(json!({ "stored": uri, "new": new }))).into_response()
        }
        Err(Denied::Refused(refusal)) => refusal.into_response(),
        Err(Denied::TooMuch(seconds)) => {
            let message = format!("there is too much feedback at the moment; try again in {seconds} s");
            let refusal = Refusal { status: StatusCode::TOO_MANY_REQUESTS, message };
            ([(header::RETRY_AFTER, HeaderValue::from(seconds))], refusal).into_response()
        }
    }
}

/// Why feedback is not kept.
enum Denied {
    Refused(Refusal),
    /// The seconds to wait.
    TooMuch(u64),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Checks everything that a client says before it counts, asks the version again, and keeps what came of it.
async fn checked(
    address: &Address,
    feedback: &Feedback,
    model: Arc<Loaded>,
    label: String,
    request: Request,
) -> Result<Kept, Denied> {
    let app = &address.app;
    let (head, body) = request.into_parts();
    let (bytes, _part) = app.memory.read(body, head.extensions.get()).await?.split();
    let (reading, json_length) = (Arc::clone(&model), head.headers.get(infer::JSON_LENGTH).cloned());
    let read = move || -> Result<_, Refusal> {
        let infer::Asked { id, inputs, rows, .. } = infer::read(&bytes, json_length.as_ref(), &reading.interface)?;
        let picture = Picture::of(&inputs)?;
        Ok((id, inputs, rows, picture.png()?))
    };
    let read = tokio::task::spawn_blocking(read).await;
    let (id, inputs, rows, image) = read.map_err(|error| Refusal::unexpected(error.to_string()))??;
    let place = Place::new(&model.name, &label, id.as_deref())?;
    if !model.interface.labels.is_empty() && !model.interface.labels.contains(&label) {
        return Err(unknown(&label, &model.interface.labels).into());
    }
    feedback.token(&head.headers).map_err(|wait| Denied::TooMuch(wait.as_secs() + 1))?;
    let writing = Arc::clone(&feedback.writing).try_acquire_owned();
    let writing = writing.map_err(|_| Refusal::unavailable("the server is busy with feedback"))?;
    let outputs = app.workers.ask(Arc::clone(&model), inputs, rows, false).await.map_err(Refusal::from)?;
    let answered = answered(&model.interface, &outputs)?;
    let Some(class) = answered.classes.iter().position(|one| *one == label) else {
        return Err(unknown(&label, &answered.classes).into());
    };
    let answer = answered.answer().to_owned();
    let Answered { classes, probabilities } = answered;
    let time = OffsetDateTime::now_utc().format(&Rfc3339).map_err(|error| Refusal::unexpected(error.to_string()))?;
    let request = id.unwrap_or_default();
    let note = Note {
        request: request.clone(),
        model: model.name.clone(),
        version: model.version.clone(),
        digest: model.digest,
        label,
        answer,
        classes,
        probabilities,
        image: Digest::of(&image),
        time,
    };
    let landing = feedback.landing.clone();
    // in a thread of its own, so that a client which goes away does not end it half way
    let keep = move || {
        let kept = Handle::current().block_on(landing.keep(&place, &note, image))?;
        drop(writing);
        if kept.new {
            let Note { model, version, label, answer, .. } = &note;
            tracing::info!(event = "feedback", model, version, label, answer, "kept as {}", kept.uri);
        }
        Ok::<_, Refusal>(kept)
    };
    let kept = tokio::task::spawn_blocking(keep).await.map_err(|error| Refusal::unexpected(error.to_string()))?;
    let kept = kept?;
    if let Some(challenger) = app.models.challengers.of(&model.name).filter(|_| kept.new) {
        challenger.corrected(&request, class as i64);
    }
    Ok(kept)
}

fn unknown(label: &str, classes: &[String]) -> Refusal {
    /// Classes that are listed.
    const MOST: usize = 20;
    let shown: Vec<&str> = classes.iter().take(MOST).map(String::as_str).collect();
    let more = if classes.len() > MOST { format!(" and {} more", classes.len() - MOST) } else { String::new() };
    let label = infer::start_of(label);
    Refusal::request(format!("`{label}` is not a class of this version; its classes are {}{more}", shown.join(", ")))
}
