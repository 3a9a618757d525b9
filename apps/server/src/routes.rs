//! The HTTP interface: probes, metrics, and the Open Inference Protocol.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use slipway_model::Config;
use tokio::sync::watch;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::decompression::RequestDecompressionLayer;

use crate::body::{self, Memory};
use crate::drain::{Drain, ends_connections};
use crate::exchange::{bounded, counted};
use crate::follow::Readiness;
use crate::infer;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::models::Models;
use crate::refusal::Refusal;
use crate::workers::Workers;

/// A shorter answer is not compressed: it fits into one packet.
const LEAST_COMPRESSED: u64 = 1024;
/// Reading a longer body takes a millisecond or more, which the threads that answer everybody do not have.
const LONG: usize = 256 << 10;

/// Which versions an address answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Those in service: for everybody.
    InService,
    /// Every registered version, which is loaded when it is asked for: for the page and for people inside.
    Registered,
}

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
    /// The memory for requests' bodies.
    pub memory: Memory,
}

/// The state of one address.
#[derive(Clone)]
struct Address {
    app: Arc<App>,
    versions: Versions,
}

/// All routes of an address that answers for these versions.
pub fn routes(app: App, versions: Versions) -> Router {
    let inference = Router::new()
        .route("/v2/models/{model}/infer", post(infer_in_service))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer_version))
        .method_not_allowed_fallback(wrong_method)
        // As one layer, the first outermost: each layer of a router costs allocations.
        .route_layer((
            from_fn_with_state(app.metrics.clone(), counted),
            from_fn(bounded),
            from_fn(body::compressed),
            RequestDecompressionLayer::new(),
        ));
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
        .layer((
            CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(LEAST_COMPRESSED)),
            from_fn_with_state(app.drain.clone(), ends_connections),
        ))
        .with_state(Address { app: Arc::new(app), versions })
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

async fn readyz(State(Address { app, .. }): State<Address>) -> Result<&'static str, Refusal> {
    app.is_ready().map(|()| "ready\n")
}

async fn ready(State(Address { app, .. }): State<Address>) -> Result<Json<Value>, Refusal> {
    app.is_ready().map(|()| Json(json!({ "ready": true })))
}

async fn metrics(State(Address { app, .. }): State<Address>) -> Response {
    app.metrics.bodies.set(i64::try_from(app.memory.in_use()).unwrap_or(i64::MAX));
    app.metrics.ready.set(i64::from(app.is_ready().is_ok()));
    match app.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn server() -> Json<Value> {
    Json(
        json!({ "name": "slipway-server", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"] }),
    )
}

impl Address {
    /// A model's version in service, or the version that is asked for.
    async fn find(&self, name: &str, version: Option<&str>) -> Result<Arc<Loaded>, Refusal> {
        match (self.versions, version) {
            (Versions::Registered, Some(version)) => self.app.models.find_registered(name, version).await,
            _ => self.app.models.find_in_service(name, version),
        }
    }

    /// The versions of every model that this address answers for, the one in service first and then the newest; and whether they are
    /// complete. Without MLflow, the versions in service still answer.
    async fn versions(&self) -> (BTreeMap<String, Vec<String>>, bool) {
        let in_service = self.app.models.in_service();
        let mut versions: BTreeMap<String, Vec<String>> =
            in_service.iter().map(|(name, loaded)| (name.clone(), vec![loaded.version.clone()])).collect();
        if self.versions == Versions::InService {
            return (versions, true);
        }
        let Some(registered) = self.app.models.registered().await else { return (versions, false) };
        for version in registered.iter() {
            let of_model = versions.entry(version.name.clone()).or_default();
            if of_model.first() != Some(&version.version) {
                of_model.push(version.version.clone());
            }
        }
        (versions, true)
    }
}

/// Every model with its versions.
async fn models(State(address): State<Address>) -> Json<Value> {
    let (versions, complete) = address.versions().await;
    let in_service = address.app.models.in_service();
    let models: Vec<Value> = versions
        .into_iter()
        .map(|(name, versions)| {
            let served = in_service.get(&name).map(|loaded| loaded.version.clone());
            json!({ "name": name, "versions": versions, "in_service": served })
        })
        .collect();
    Json(json!({ "models": models, "complete": complete }))
}

async fn model(State(address): State<Address>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let loaded = address.find(&name, None).await?;
    let (mut versions, complete) = address.versions().await;
    let versions = versions.remove(&name).unwrap_or_else(|| vec![loaded.version.clone()]);
    let mut metadata = metadata(&loaded, &versions);
    metadata["complete"] = json!(complete);
    Ok(Json(metadata))
}

async fn version(
    State(address): State<Address>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let loaded = address.find(&name, Some(&version)).await?;
    let versions = [loaded.version.clone()];
    Ok(Json(metadata(&loaded, &versions)))
}

async fn model_ready(State(address): State<Address>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let loaded = address.find(&name, None).await?;
    Ok(Json(json!({ "name": loaded.name, "version": loaded.version, "ready": true })))
}

async fn version_ready(
    State(address): State<Address>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let loaded = address.find(&name, Some(&version)).await?;
    Ok(Json(json!({ "name": loaded.name, "version": loaded.version, "ready": true })))
}

async fn infer_in_service(
    State(address): State<Address>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    answer(&address, &name, None, request).await
}

async fn infer_version(
    State(address): State<Address>,
    Path((name, version)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    answer(&address, &name, Some(&version), request).await
}

async fn answer(address: &Address, name: &str, version: Option<&str>, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let body = address.app.memory.read(body, head.extensions.get()).await?;
    let model = address.find(name, version).await?;
    let mut response = ask(&address.app, &model, &head.headers, body).await.into_response();
    response.extensions_mut().insert(model);
    Ok(response)
}

async fn ask(app: &App, model: &Arc<Loaded>, headers: &HeaderMap, body: body::Held) -> Result<Response, Refusal> {
    let (bytes, _part) = body.split();
    let json_length = headers.get(infer::JSON_LENGTH);
    let infer::Images { id, pixels, images, wanted } = if bytes.len() <= LONG {
        infer::read(&bytes, json_length, model.config())?
    } else {
        let (model, json_length) = (Arc::clone(model), json_length.cloned());
        let read = move || infer::read(&bytes, json_length.as_ref(), model.config());
        tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::unexpected(error.to_string()))??
    };
    let probabilities = app.workers.ask(Arc::clone(model), pixels, images).await?;
    infer::response(model, id, &wanted, images, &probabilities)
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
