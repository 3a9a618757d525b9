//! The HTTP interface: probes, metrics, and the Open Inference Protocol.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use slipway_mlflow::ModelVersion;
use slipway_model::Config;
use tokio::sync::watch;

use crate::body;
use crate::drain::{Drain, ends_connections};
use crate::exchange::{bounded, counted};
use crate::follow::Readiness;
use crate::infer;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::refusal::Refusal;
use crate::workers::Workers;

/// How long listing the registered versions may take. If it takes longer, only the versions in service are listed.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(3);

/// The state that all handlers share.
#[derive(Clone)]
pub struct App {
    /// The models that answer.
    pub models: Arc<Models>,
    /// The threads that run them.
    pub workers: Arc<Workers>,
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the first list is in service.
    pub ready: watch::Receiver<Readiness>,
    /// Whether the server was asked to stop.
    pub drain: Drain,
}

/// All routes.
pub fn routes(app: App) -> Router {
    let inference = Router::new()
        .route("/v2/models/{model}/infer", post(infer_in_service))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer_version))
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn(bounded))
        .route_layer(from_fn_with_state(app.metrics.clone(), counted));
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v2", get(server))
        .route("/v2/health/live", get(async || Json(json!({ "live": true }))))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models", get(models))
        .route("/v2/models/{model}", get(model))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/versions/{version}", get(version))
        .route("/v2/models/{model}/versions/{version}/ready", get(version_ready))
        .fallback(async || Refusal::missing("unknown path; /v2/models lists the models"))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(bounded))
        .merge(inference)
        .layer(from_fn_with_state(app.drain.clone(), ends_connections))
        .with_state(app)
}

async fn wrong_method() -> Refusal {
    Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: "this path does not support the method; use POST for infer and GET for the rest".to_owned(),
    }
}

impl App {
    /// Whether requests should be sent here.
    fn is_ready(&self) -> Result<(), Refusal> {
        if self.drain.has_begun() {
            return Err(Refusal::unavailable("the server was asked to stop; it still answers for a while"));
        }
        self.ready.borrow().clone().map_err(Refusal::unavailable)
    }
}

async fn readyz(State(app): State<App>) -> Result<&'static str, Refusal> {
    app.is_ready().map(|()| "ready\n")
}

async fn ready(State(app): State<App>) -> Result<Json<Value>, Refusal> {
    app.is_ready().map(|()| Json(json!({ "ready": true })))
}

async fn metrics(State(app): State<App>) -> Response {
    app.metrics.ready.set(i64::from(app.is_ready().is_ok()));
    match app.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn server() -> Json<Value> {
    Json(json!({ "name": "slipway-server", "version": env!("CARGO_PKG_VERSION"), "extensions": [] }))
}

/// Every model with its versions, the one in service first.
async fn models(State(app): State<App>) -> Result<Json<Value>, Refusal> {
    let in_service = app.models.in_service();
    let mut names: std::collections::BTreeMap<String, Vec<String>> =
        in_service.iter().map(|(name, loaded)| (name.clone(), vec![loaded.version.clone()])).collect();
    // without MLflow, the versions in service still answer
    let registered = soon(app.models.registry().all()).await;
    let complete = registered.is_some();
    for version in registered.unwrap_or_default() {
        let versions = names.entry(version.name).or_default();
        if !versions.contains(&version.version) {
            versions.push(version.version);
        }
    }
    let models: Vec<Value> = names
        .into_iter()
        .map(|(name, versions)| {
            let served = in_service.get(&name).map(|loaded| loaded.version.clone());
            json!({ "name": name, "versions": versions, "in_service": served })
        })
        .collect();
    Ok(Json(json!({ "models": models, "complete": complete })))
}

/// What the registry lists; `None` if it fails or does not answer soon, which is logged.
async fn soon(versions: impl Future<Output = Result<Vec<ModelVersion>, Refusal>>) -> Option<Vec<ModelVersion>> {
    let reason = match tokio::time::timeout(REGISTRY_TIMEOUT, versions).await {
        Ok(Ok(versions)) => return Some(versions),
        Ok(Err(refusal)) => refusal.message,
        Err(_) => format!("no answer within {} s", REGISTRY_TIMEOUT.as_secs()),
    };
    tracing::warn!(event = "registry_not_listed", "{reason}");
    None
}

async fn model(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let loaded = app.models.find(&name, None).await?;
    let mut versions = vec![loaded.version.clone()];
    for version in soon(app.models.registry().versions(&name)).await.unwrap_or_default() {
        if version.version != loaded.version {
            versions.push(version.version);
        }
    }
    Ok(Json(metadata(&loaded, &versions)))
}

async fn version(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let loaded = app.models.find(&name, Some(&version)).await?;
    let versions = [loaded.version.clone()];
    Ok(Json(metadata(&loaded, &versions)))
}

async fn model_ready(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let loaded = app.models.find(&name, None).await?;
    Ok(Json(json!({ "name": loaded.name, "version": loaded.version, "ready": true })))
}

async fn version_ready(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let loaded = app.models.find(&name, Some(&version)).await?;
    Ok(Json(json!({ "name": loaded.name, "version": loaded.version, "ready": true })))
}

async fn infer_in_service(State(app): State<App>, Path(name): Path<String>, body: Body) -> Result<Response, Refusal> {
    answer(&app, &name, None, body).await
}

async fn infer_version(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    body: Body,
) -> Result<Response, Refusal> {
    answer(&app, &name, Some(&version), body).await
}

async fn answer(app: &App, name: &str, version: Option<&str>, body: Body) -> Result<Response, Refusal> {
    let body = body::read(body).await?;
    let model = app.models.find(name, version).await?;
    let mut response = ask(app, &model, &body).await.into_response();
    response.extensions_mut().insert(model);
    Ok(response)
}

async fn ask(app: &App, model: &Arc<Loaded>, body: &[u8]) -> Result<Response, Refusal> {
    let infer::Images { id, pixels, images } = infer::read(body, model.config())?;
    let probabilities = app.workers.ask(Arc::clone(model), pixels, images).await?;
    Ok(Json(infer::Response::new(model, id, images, probabilities)).into_response())
}

fn metadata(model: &Loaded, versions: &[String]) -> Value {
    let Config { input: [channels, height, width], classes, .. } = model.config();
    json!({
        "name": model.name,
        "versions": versions,
        "platform": "libtorch",
        "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, channels, height, width]}],
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
            {"name": "label", "datatype": "INT64", "shape": [-1]},
        ],
    })
}
