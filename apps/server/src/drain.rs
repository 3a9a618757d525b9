//! The time between being asked to end and ending, in which requests still come.
//!
//! In a cluster a pod is told to end at the same moment as everyone who sends requests to it is told that it is gone, and those
//! hear of it later. Until they have, the server answers as before, but says that it is not ready, and ends each connection
//! with its next answer, so that clients that keep connections open go elsewhere by agreement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Whether the server was asked to end. Cheap to clone; clones are told together.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// From now on.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets each connection end with its next answer once the drain has begun.
pub async fn ends_connections(State(drain): State<Drain>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if drain.has_begun() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
