//! Middleware for requests: a time limit, errors as JSON, and metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::IntGauge;

use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// The time limit of a whole request, which includes the time that the client takes to send the body.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The longest error text of the framework that is passed on, in bytes.
const MAX_TEXT: usize = 4096;

/// Ends a request that takes too long, and turns the framework's plain-text errors into JSON, which all other errors are.
pub async fn bounded(request: Request, next: Next) -> Response {
    let Ok(response) = tokio::time::timeout(TIME_LIMIT, next.run(request)).await else {
        let message = format!("the request took longer than {} s", TIME_LIMIT.as_secs());
        return Refusal { status: StatusCode::REQUEST_TIMEOUT, message }.into_response();
    };
    let status = response.status();
    let json = Some(&HeaderValue::from_static("application/json"));
    if status.as_u16() < 400 || response.headers().get(header::CONTENT_TYPE) == json {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), MAX_TEXT).await.unwrap_or_default();
    Refusal { status, message: String::from_utf8_lossy(&text).into_owned() }.into_response()
}

/// Counts an inference request and measures it, from the arrival of its head to its answer. The labels come from the model in the
/// response's extensions, not from the request: names that clients make up would create metrics without bound.
pub async fn counted(State(metrics): State<Metrics>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let _in_flight = InFlight::new(&metrics.in_flight);
    let response = next.run(request).await;
    metrics.seconds.observe(begun.elapsed().as_secs_f64());
    let model = response.extensions().get::<Arc<Loaded>>();
    let [name, version] = model.map_or(["", ""], |model| [&model.name, &model.version]);
    metrics.requests.with_label_values(&[name, version, response.status().as_str()]).inc();
    response
}

/// Counts a request as in flight until it is dropped, even if its client disconnects before the answer.
struct InFlight<'a>(&'a IntGauge);

impl<'a> InFlight<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
