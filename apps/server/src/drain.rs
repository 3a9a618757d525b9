//! The time between the signal to stop and the shutdown, in which requests still arrive.
//!
//! A cluster tells a pod to stop and removes it from its Service at the same moment, but clients learn of the removal later. Until
//! then the server answers as before, reports that it is not ready, and closes each connection after its next answer, so that
//! clients with persistent connections move to another server without an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Whether the server was asked to stop. Cheap to clone; clones share the state.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// Begins the drain.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An answer, which is the last of its connection once the drain has begun.
    pub fn last_if_begun(&self, mut response: Response) -> Response {
        if self.has_begun() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Closes each connection after its next answer once the drain has begun.
pub async fn ends_connections(State(drain): State<Drain>, request: Request, next: Next) -> Response {
    drain.last_if_begun(next.run(request).await)
}
