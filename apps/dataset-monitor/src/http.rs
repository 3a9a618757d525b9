//! The interface: probes, metrics, what is known of each dataset, and notifications of the object store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use slipway_service::http::guard::guard;
use slipway_service::http::problem::Problem;
use slipway_service::http::token::Token;
use slipway_service::said;
use tokio::sync::watch;

use crate::events::hinted;
use crate::hints::Hints;
use crate::metrics::Metrics;
use crate::waiting::Missing;
use crate::watched::{DatasetState, Watched};

/// The most bytes of a notification: S3 sends one event in each, MinIO up to a thousand on its way back.
const MOST: usize = 1 << 20;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How a token is sent.
const HOW: &str = "send `Authorization: Bearer <token>` with the token that the monitor was given";

/// What the interface answers from.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What is missing before this monitor is ready.
    pub missing: watch::Receiver<Missing>,
    /// What is known of each dataset.
    pub watched: watch::Receiver<Arc<Watched>>,
    /// Whether this monitor holds the lease; nothing before the cluster has answered.
    pub leader: Arc<OnceLock<watch::Receiver<bool>>>,
    /// Where hints go.
    pub hints: Hints,
    /// The bucket that has the heads.
    pub heads: String,
    /// What is counted.
    pub metrics: Metrics,
    /// A file with the token that notifications need; it is read each time.
    pub token_file: Option<PathBuf>,
}

/// All routes.
pub fn router(interface: Interface) -> Router {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/datasets", get(datasets))
        .route("/events", post(events))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(guard))
        .with_state(Arc::new(interface))
}

async fn live() -> Response {
    text("ok\n")
}

async fn ready(State(interface): State<Arc<Interface>>) -> Result<Response, Problem> {
    let missing = interface.missing.borrow();
    if missing.is_empty() { Ok(text("ready\n")) } else { Err(Problem::not_ready(said(&missing))) }
}

async fn metrics(State(interface): State<Arc<Interface>>) -> Result<Response, Problem> {
    let is_leader = interface.leader.get().is_some_and(|leader| *leader.borrow());
    let is_ready = interface.missing.borrow().is_empty();
    let watched = Arc::clone(&interface.watched.borrow());
    let text = interface.metrics.text(&watched, is_leader, is_ready).map_err(Problem::unexpected)?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

async fn datasets(State(interface): State<Arc<Interface>>) -> Result<Response, Problem> {
    {
        let missing = interface.missing.borrow();
        if !missing.is_empty() {
            return Err(Problem::not_ready(said(&missing)));
        }
    }
    let watched = Arc::clone(&interface.watched.borrow());
    let shown: BTreeMap<&String, &DatasetState> = watched.iter().map(|(name, state)| (name, &**state)).collect();
    let mut response = Json(shown).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A notification. What is in it changes nothing but when somebody looks.
async fn events(
    State(interface): State<Arc<Interface>>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let counted = |outcome: &str| interface.metrics.events.with_label_values(&[outcome]).inc();
    if let Err(problem) = may_tell(interface.token_file.clone(), &headers).await {
        counted("refused");
        return Err(problem);
    }
    let read = tokio::time::timeout(ARRIVAL, to_bytes(body, MOST)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            counted("refused");
            let detail = format!("a notification has at most {MOST} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ("too-large", "The body is too large"), detail));
        }
        Err(_) => {
            counted("refused");
            let detail = format!("the body did not arrive within {} s", ARRIVAL.as_secs());
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, ("too-slow", "The body is too slow"), detail));
        }
    };
    let watched = Arc::clone(&interface.watched.borrow());
    let Some(about) = hinted(&body, &watched, &interface.heads) else {
        counted("refused");
        return Err(Problem::malformed("body", "it is no event notification of S3: JSON with `Records`"));
    };
    counted(if about.is_empty() { "of_nothing_watched" } else { "taken" });
    interface.hints.add(about);
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses who does not have the token, if there is one.
async fn may_tell(file: Option<PathBuf>, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(file) = file else { return Ok(()) };
    let given = Token::of(headers, HOW)?;
    let text = tokio::fs::read_to_string(&file).await;
    let text = text.map_err(|error| Problem::unexpected(format!("{}: {error}", file.display())))?;
    let expected = Token::read(text.trim());
    let expected = expected.ok_or_else(|| Problem::unexpected(format!("{} holds no token", file.display())))?;
    if given.is(&expected) { Ok(()) } else { Err(Problem::unauthorized(format!("it is not that token: {HOW}"))) }
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail =
        format!("nothing is at {}: there are /healthz, /readyz, /metrics, /events and /api/v1/datasets", uri.path());
    Problem::unknown("path", detail)
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!("this path does not support {method}; the header `Allow` lists what it does");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, ("wrong-method", "The path does not support the method"), detail)
}

fn text(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
