//! What holds for every request: it ends in time, and what is refused is refused as JSON.

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

/// For a whole request; a client that sends its body more slowly than this is let go.
const LONGEST: Duration = Duration::from_secs(30);
/// The framework's own refusals are a line.
const LONGEST_TEXT: usize = 4096;

/// Ends a request that takes too long, and gives refusals that are plain text the form that all others have.
pub async fn bounded(request: Request, next: Next) -> Response {
    let Ok(response) = tokio::time::timeout(LONGEST, next.run(request)).await else {
        let message = format!("the request took longer than {} s", LONGEST.as_secs());
        return Refusal { status: StatusCode::REQUEST_TIMEOUT, message }.into_response();
    };
    let status = response.status();
    let json = Some(&HeaderValue::from_static("application/json"));
    if status.as_u16() < 400 || response.headers().get(header::CONTENT_TYPE) == json {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), LONGEST_TEXT).await.unwrap_or_default();
    Refusal { status, message: String::from_utf8_lossy(&text).into_owned() }.into_response()
}

/// Counts an inference request, from when its head has arrived to its answer. Which model answered is in the response's
/// extensions: names that only a client knows would make figures without end.
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

/// Counts a request for as long as it is worked on, also when its client leaves before the answer.
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
