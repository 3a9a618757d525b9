//! What happens around every request: a time limit, errors as JSON, compression, and metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use prometheus::IntGauge;
use tower::{Layer, Service, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// The time limit of a whole request, which includes the time that the client takes to send the body.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// A shorter answer is not compressed: it fits into one packet.
pub(crate) const LEAST_COMPRESSED: u64 = 1024;
/// The longest error text of the framework that is passed on, in bytes.
const MAX_TEXT: usize = 4096;

/// Ends a request that takes too long, and turns the framework's plain-text errors into JSON, which all other errors are.
pub async fn bounded(request: Request, next: Next) -> Response {
    let Ok(response) = tokio::time::timeout(TIME_LIMIT, next.run(request)).await else {
        return too_late().into_response();
    };
    let status = response.status();
    let json = Some(&HeaderValue::from_static("application/json"));
    if status.as_u16() < 400 || response.headers().get(header::CONTENT_TYPE) == json {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), MAX_TEXT).await.unwrap_or_default();
    Refusal { status, message: String::from_utf8_lossy(&text).into_owned() }.into_response()
}

/// Compresses answers for clients that ask for it.
pub fn compression() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(LEAST_COMPRESSED))
}

/// An answer, compressed if the client accepts that.
pub async fn compressed(accepted: Option<HeaderValue>, response: Response) -> Response {
    let Some(accepted) = accepted else { return response };
    let mut response = Some(response);
    let mut service = compression().layer(service_fn(move |_: Request| {
        let response = response.take().unwrap_or_default();
        async move { Ok::<_, std::convert::Infallible>(response) }
    }));
    let mut request = Request::new(Body::empty());
    request.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
    match service.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

/// The answer to an inference request, and the model that gave it, if one was found.
pub struct Answered<T> {
    /// The model.
    pub model: Option<Arc<Loaded>>,
    /// Its answer.
    pub result: Result<T, Refusal>,
}

impl<T> Answered<T> {
    /// The answer to a request for a model, which the version that is tried beside it may have given.
    pub fn of(model: Arc<Loaded>, answer: Result<(Arc<Loaded>, T), Refusal>) -> Self {
        match answer {
            Ok((model, answer)) => Self { model: Some(model), result: Ok(answer) },
            Err(refusal) => Self { model: Some(model), result: Err(refusal) },
        }
    }
}

impl<T> From<Refusal> for Answered<T> {
    fn from(refusal: Refusal) -> Self {
        Self { model: None, result: Err(refusal) }
    }
}

/// Counts an inference request, measures it from the arrival of its head to its answer, and ends it if it takes too long. The labels come
/// from the model, not from the request: names that clients make up would create metrics without bound.
///
/// This and what the caller does are functions, not layers of the router: a layer costs allocations for every request.
pub async fn counted<T>(metrics: &Metrics, answer: impl Future<Output = Answered<T>>) -> Result<T, Refusal> {
    let begun = Instant::now();
    let _in_flight = InFlight::new(&metrics.in_flight);
    let answered = tokio::time::timeout(TIME_LIMIT, answer).await;
    let Answered { model, result } = answered.unwrap_or_else(|_| too_late().into());
    let took = begun.elapsed();
    metrics.seconds.observe(took.as_secs_f64());
    let status = result.as_ref().err().map_or(StatusCode::OK, |refusal| refusal.status);
    let labels = model.as_ref().map_or(["", ""], |model| [&model.name, &model.version]);
    metrics.requests.with_label_values(&[labels[0], labels[1], status.as_str()]).inc();
    if let Some(model) = model {
        model.statistics.answered(result.is_ok(), took);
    }
    result
}

fn too_late() -> Refusal {
    let message = format!("the request took longer than {} s", TIME_LIMIT.as_secs());
    Refusal { status: StatusCode::REQUEST_TIMEOUT, message }
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
