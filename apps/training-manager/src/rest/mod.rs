//! The REST interface: what the manager knows as JSON, events and logs, and pull requests in place of changes.
//!
//! Each operation is a type that implements [`operation::Operation`], in the file of its resource. [`interface`] lists them all; the routes
//! and the OpenAPI document are made from that list. [`guard`] holds for every request, and [`serve`] bounds the connections.

mod answer;
mod body;
mod cancel;
mod confusion;
mod curves;
mod document;
mod events;
mod experiments;
mod health;
mod history;
mod interface;
mod log;
mod metrics;
mod openapi;
mod operation;
mod page;
mod person;
mod propose;
mod shared;
mod summary;
mod tracking;
mod trials;
mod writer;
mod writing;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::routing::MethodRouter;
use slipway_service::http::{ended, guard, problem, token};
use tokio::sync::watch;

pub use metrics::Metrics;
pub use person::People;
pub use slipway_service::http::problem::{Finding, Problem};
pub use slipway_service::http::serve;
pub use slipway_service::http::token::Token;
pub use writer::{Bare, Denied, Who, Writer, Writers};

use crate::view::Trainings;
use crate::waiting::Missing;
use shared::Shared;

/// What the interface answers from, and by what.
pub struct State {
    /// What the manager knows. Answers are made from the newest value.
    pub trainings: watch::Receiver<Arc<Trainings>>,
    /// What is missing before this manager is ready.
    pub missing: watch::Receiver<Missing>,
    /// The environment's name.
    pub environment: String,
    /// The namespace of the TrainJobs and their pods.
    pub namespace: String,
    /// Has curves, confusion matrices, and the logs of pods that are gone.
    pub mlflow: slipway_mlflow::Client,
    /// What `/metrics` counts. The manager's loops count in a clone of it.
    pub metrics: Metrics,
    /// What there is once the repository and the cluster have answered. Until then nothing but probes and metrics is answered.
    pub connected: Arc<OnceLock<Connected>>,
}

/// What there is once the repository and the cluster have answered.
pub struct Connected {
    /// Whether git and the cluster were read, so that what is not known does not exist; otherwise what is still awaited.
    pub read: watch::Receiver<Result<(), String>>,
    /// Whether this manager holds the lease.
    pub leader: watch::Receiver<bool>,
    /// Reads the logs of pods. It must not limit how long an answer may be silent: a log may be.
    pub cluster: kube::Client,
    /// Who may open pull requests; `None` if nobody may.
    pub writers: Option<Arc<dyn Writers>>,
}

/// All routes.
pub fn router(state: State) -> Router {
    let entries = interface::entries();
    let document = document::document(&entries).to_string().into_bytes();
    let mut routes: BTreeMap<&str, MethodRouter<Arc<Shared>>> = BTreeMap::new();
    for entry in &entries {
        let before = routes.remove(entry.path).unwrap_or_default();
        routes.insert(entry.path, before.merge((entry.route)()));
    }
    let mut router = Router::new();
    for (path, route) in routes {
        router = router.route(path, route);
    }
    router
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(guard::guard))
        .with_state(Arc::new(Shared::new(state, document)))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::unknown("path", format!("nothing is at {}: /openapi.json lists the paths", uri.path()))
}

async fn wrong_method(method: Method) -> Problem {
    let detail = format!("this path does not support {method}; the header `Allow` lists what it does");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, ("wrong-method", "The path does not support the method"), detail)
}
