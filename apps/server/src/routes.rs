//! The HTTP interface: probes, metrics, and the Open Inference Protocol.

use std::sync::Arc;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::address::{Address, App, Entry, Versions};
use crate::ask;
use crate::body;
use crate::challenge;
use crate::drain::ends_connections;
use crate::exchange::{Answered, bounded, compressed, compression, counted};
use crate::feedback;
use crate::grpc;
use crate::infer;
use crate::interface::Interface;
use crate::invocations;
use crate::loaded::Loaded;
use crate::refusal::Refusal;
use crate::statistics::Durations;
use crate::workers::NoAnswer;

/// The protocol's extensions that the server has.
pub const EXTENSIONS: [&str; 4] = ["binary_tensor_data", "classification", "model_repository", "statistics"];
/// Reading a longer body takes a millisecond or more, which the threads that answer everybody do not have.
const LONG: usize = 256 << 10;

/// All routes of an address that answers for these versions.
pub fn routes(app: App, versions: Versions) -> Router {
    let app = Arc::new(app);
    let address = Address { app: Arc::clone(&app), versions };
    // Without layers, each of which costs allocations for every request: `answer` does what they do.
    let inference = Router::new()
        .route("/v2/models/{model}/infer", post(infer_in_service))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer_version))
        .route("/invocations", post(invocations_of_mlflow))
        .method_not_allowed_fallback(wrong_method);
    Router::new()
        .route("/ping", get(ping))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v2", get(server))
        .route("/v2/health/live", get(async || Json(json!({ "live": true }))))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models", get(models))
        .route("/v2/models/stats", get(all_statistics))
        .route("/v2/models/{model}", get(model))
        .route("/v2/models/{model}/ready", get(model_ready))
        .route("/v2/models/{model}/stats", get(model_statistics))
        .route("/v2/models/{model}/versions/{version}", get(version))
        .route("/v2/models/{model}/versions/{version}/ready", get(version_ready))
        .route("/v2/models/{model}/versions/{version}/stats", get(version_statistics))
        .route("/v2/repository/index", post(index))
        .route("/v2/repository/models/{model}/{action}", post(promoted))
        .merge(challenge::routes())
        .merge(feedback::routes())
        .fallback(async || Refusal::missing("unknown path; /v2/models lists the models"))
        .method_not_allowed_fallback(wrong_method)
        .layer((compression(), from_fn_with_state(app.drain.clone(), ends_connections), from_fn(bounded)))
        .merge(inference)
        .with_state(address.clone())
        .merge(grpc::routes(address))
}

async fn wrong_method() -> Refusal {
    Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: "this path does not support the method; use POST for infer, invocations and the repository, and GET for the rest".to_owned(),
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
    app.metrics.model_memory.reset();
    for loaded in app.models.loaded() {
        let memory = i64::try_from(loaded.memory()).unwrap_or(i64::MAX);
        app.metrics.model_memory.with_label_values(&[&loaded.name, &loaded.version]).set(memory);
    }
    gauge_challengers(&app);
    if let Some(sampler) = &app.sampler {
        app.metrics.samples.show(sampler.counts());
    }
    match app.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn gauge_challengers(app: &App) {
    let gauges = &app.metrics.challengers;
    gauges.running.reset();
    gauges.switched_off.reset();
    gauges.e_value.reset();
    for report in app.models.challengers.reports() {
        let of = [report.model.as_str(), &report.challenger];
        let running = i64::from(report.state == "running");
        gauges.running.with_label_values(&[of[0], of[1], report.mode]).set(running);
        if let Some(because) = report.because {
            gauges.switched_off.with_label_values(&[of[0], of[1], because]).set(1);
        }
        let tests = [
            ("errors", &report.tests.errors),
            ("latency", &report.tests.latency),
            ("corrections", &report.tests.corrections),
            ("better", &report.truth.evidence),
        ];
        for (evidence, test) in tests {
            gauges.e_value.with_label_values(&[of[0], of[1], evidence]).set(test.e_value);
        }
    }
}

async fn server(State(address): State<Address>) -> Json<Value> {
    let extensions: Vec<&str> = EXTENSIONS.into_iter().chain(address.feedback().map(|_| feedback::EXTENSION)).collect();
    Json(json!({ "name": "slipway-server", "version": env!("CARGO_PKG_VERSION"), "extensions": extensions }))
}

/// Every model with its versions.
async fn models(State(address): State<Address>) -> Json<Value> {
    let (versions, complete) = address.versions().await;
    let in_service = address.app.models.in_service();
    let loaded = address.loaded();
    let models: Vec<Value> = versions
        .into_iter()
        .map(|(name, versions)| {
            let served = in_service.get(&name).map(|loaded| loaded.version.clone());
            let of_model = loaded.iter().filter(|loaded| loaded.name == name && versions.contains(&loaded.version));
            let memory: serde_json::Map<_, _> =
                of_model.map(|loaded| (loaded.version.clone(), loaded.memory().into())).collect();
            json!({ "name": name, "versions": versions, "in_service": served, "memory_bytes": memory })
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

type Named<T> = Result<Path<T>, PathRejection>;

async fn infer_in_service(State(address): State<Address>, path: Named<String>, request: Request) -> Response {
    match path {
        Ok(Path(name)) => answer(&address, &name, None, request).await,
        Err(rejected) => unnamed(&rejected).into_response(),
    }
}

async fn infer_version(State(address): State<Address>, path: Named<(String, String)>, request: Request) -> Response {
    match path {
        Ok(Path((name, version))) => answer(&address, &name, Some(&version), request).await,
        Err(rejected) => unnamed(&rejected).into_response(),
    }
}

/// Why a path names no model.
fn unnamed(rejected: &PathRejection) -> Refusal {
    Refusal { status: rejected.status(), message: rejected.body_text() }
}

/// Answers an inference request.
async fn answer(address: &Address, name: &str, version: Option<&str>, request: Request) -> Response {
    let app = &address.app;
    let accepted = request.headers().get(header::ACCEPT_ENCODING).cloned();
    let response = body::decompressed(request, async |request| {
        counted(&app.metrics, infer(address, name, version, request)).await.into_response()
    });
    app.drain.last_if_begun(compressed(accepted, response.await).await)
}

async fn infer(address: &Address, name: &str, version: Option<&str>, request: Request) -> Answered<Response> {
    let (head, body) = request.into_parts();
    // what is long is mostly for the workers, whatever waits for a quick model
    let may_join = body.size_hint().lower() <= LONG as u64;
    if let Some((model, refusal)) = may_join.then(|| busy(address, name, version)).flatten() {
        // a compressed one is discarded as it has arrived
        if head.extensions.get::<body::Compressed>().is_none() {
            body::discard(body).await;
        }
        return Answered::of(model, Err(refusal));
    }
    let body = match address.app.memory.read(body, head.extensions.get()).await {
        Ok(body) => body,
        Err(refusal) => return refusal.into(),
    };
    match address.find(name, version).await {
        Ok(model) => {
            let answer = ask(&address.app, &model, version.is_some(), &head.headers, body).await;
            Answered::of(model, answer)
        }
        Err(refusal) => refusal.into(),
    }
}

/// Whether a version in service has more to do than it can answer soon. Who asks for it is told so before the request is read, which would take time
/// from those that are answered.
fn busy(address: &Address, name: &str, version: Option<&str>) -> Option<(Arc<Loaded>, Refusal)> {
    let model = address.app.models.find_in_service(name, version).ok()?;
    let waiting = address.app.workers.crowd(&model)?;
    Some((model, NoAnswer::Busy(waiting).into()))
}

/// Answers, and says which version did.
async fn ask(
    app: &App,
    model: &Arc<Loaded>,
    named: bool,
    headers: &HeaderMap,
    body: body::Held,
) -> Result<(Arc<Loaded>, Response), Refusal> {
    let (bytes, _part) = body.split();
    let json_length = headers.get(infer::JSON_LENGTH);
    let infer::Asked { id, inputs, rows, wanted } = if bytes.len() <= LONG {
        infer::read(&bytes, json_length, &model.interface)?
    } else {
        let (model, json_length) = (Arc::clone(model), json_length.cloned());
        let read = move || infer::read(&bytes, json_length.as_ref(), &model.interface);
        tokio::task::spawn_blocking(read).await.map_err(|error| Refusal::unexpected(error.to_string()))??
    };
    let features = wanted.iter().any(|one| one.is_on_request(&model.interface));
    let (model, outputs) = app.ask(model, ask::Asked { id: id.as_deref(), inputs, rows, named, features }).await?;
    let response = infer::response(&model, id, &wanted, &outputs)?;
    Ok((model, response))
}

/// Which model `/invocations` asks.
#[derive(Deserialize)]
struct Asked {
    model: Option<String>,
    version: Option<String>,
}

/// Answers as `mlflow models serve` does, for the model that is named or the only one in service.
async fn invocations_of_mlflow(
    State(address): State<Address>,
    query: Result<Query<Asked>, QueryRejection>,
    request: Request,
) -> Response {
    let Query(asked) = match query {
        Ok(query) => query,
        Err(rejected) => return as_mlflow(Refusal::request(rejected.body_text())),
    };
    let app = &address.app;
    let accepted = request.headers().get(header::ACCEPT_ENCODING).cloned();
    let response = body::decompressed(request, async |request| {
        match counted(&app.metrics, invoke(&address, &asked, request)).await {
            Ok(answer) => Json(answer).into_response(),
            Err(refusal) => as_mlflow(refusal),
        }
    });
    app.drain.last_if_begun(compressed(accepted, response.await).await)
}

async fn invoke(address: &Address, asked: &Asked, request: Request) -> Answered<Value> {
    let app = &address.app;
    let (head, body) = request.into_parts();
    let found = async {
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if let Some(kind) = kind.filter(|kind| !kind.trim_start().starts_with("application/json")) {
            let message = format!("the Content-Type is {kind}; send application/json");
            return Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, message });
        }
        let held = app.memory.read(body, head.extensions.get()).await?;
        let name = asked.model.clone().map_or_else(|| only_one(app), Ok)?;
        Ok((held, address.find(&name, asked.version.as_deref()).await?))
    };
    let (held, model) = match found.await {
        Ok(found) => found,
        Err(refusal) => return refusal.into(),
    };
    let answer = async {
        let (bytes, _part) = held.split();
        let reading = Arc::clone(&model);
        let read = tokio::task::spawn_blocking(move || invocations::read(&bytes, &reading.interface));
        let invocation = read.await.map_err(|error| Refusal::unexpected(error.to_string()))??;
        let (inputs, rows, named) = (invocation.inputs, invocation.rows, asked.version.is_some());
        let (model, outputs) = app.ask(&model, ask::Asked { id: None, inputs, rows, named, features: false }).await?;
        let answer = invocations::answer(&model.interface, &outputs, invocation.table)?;
        Ok((model, answer))
    };
    let answer = answer.await;
    Answered::of(model, answer)
}

/// The name of the only model in service.
fn only_one(app: &App) -> Result<String, Refusal> {
    let in_service = app.models.in_service();
    let names: Vec<&str> = in_service.keys().map(String::as_str).collect();
    match names.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Refusal::missing(
            "no model is in service: merge a promotion (`slipway promote NAME`); or, at the internal address, name a version: ?model=NAME&version=N",
        )),
        several => Err(Refusal::request(format!("{} are in service; name one: ?model=NAME", several.join(", ")))),
    }
}

/// A refusal in the form of MLflow's errors.
fn as_mlflow(refusal: Refusal) -> Response {
    let code = match refusal.status.as_u16() {
        404 => "RESOURCE_DOES_NOT_EXIST",
        503 => "TEMPORARILY_UNAVAILABLE",
        500.. => "INTERNAL_ERROR",
        _ => "BAD_REQUEST",
    };
    (refusal.status, Json(json!({ "error_code": code, "message": refusal.message }))).into_response()
}

/// Whether the server is ready, as MLflow's server says it.
async fn ping(State(address): State<Address>) -> Result<&'static str, Refusal> {
    address.app.is_ready().map(|()| "\n")
}

fn metadata(model: &Loaded, versions: &[String]) -> Value {
    let Interface { platform, inputs, labels, .. } = &model.interface;
    let mut metadata = json!({
        "name": model.name,
        "versions": versions,
        "platform": platform,
        "inputs": inputs,
        "outputs": model.interface.offered().collect::<Vec<_>>(),
    });
    if !labels.is_empty() {
        metadata["labels"] = json!(labels);
    }
    metadata
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    ready: bool,
}

/// Every version that this address answers for, in the form of the protocol's repository extension.
async fn index(State(address): State<Address>, body: Bytes) -> Result<Json<Vec<Entry>>, Refusal> {
    let which: Which = match body.trim_ascii() {
        b"" => Which { ready: false },
        body => serde_json::from_slice(body)
            .map_err(|error| Refusal::request(format!("the body is not {{\"ready\": true or false}}: {error}")))?,
    };
    Ok(Json(address.index(which.ready).await))
}

/// Versions are put into service by pull requests, not by requests.
async fn promoted(Path((model, action)): Path<(String, String)>) -> Refusal {
    Refusal::request(format!(
        "{action} of {model}: versions are put into service by a pull request; `slipway promote` opens one"
    ))
}

async fn all_statistics(State(address): State<Address>) -> Json<Value> {
    Json(json!({ "model_stats": address.loaded().iter().map(|model| statistics(model)).collect::<Vec<_>>() }))
}

async fn model_statistics(State(address): State<Address>, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let loaded = address.find(&name, None).await?;
    Ok(Json(json!({ "model_stats": [statistics(&loaded)] })))
}

async fn version_statistics(
    State(address): State<Address>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let loaded = address.find(&name, Some(&version)).await?;
    Ok(Json(json!({ "model_stats": [statistics(&loaded)] })))
}

/// The counts of a version, as the protocol's statistics extension writes them.
fn statistics(model: &Loaded) -> Value {
    let counts = model.statistics.counts();
    let of = |durations: &Durations| json!({ "count": durations.count, "ns": durations.ns });
    let batches = counts.batches.iter().map(|(rows, infer)| json!({ "batch_size": rows, "compute_infer": of(infer) }));
    json!({
        "name": model.name,
        "version": model.version,
        "last_inference": counts.last_inference,
        "inference_count": counts.inferences,
        "execution_count": counts.executions,
        "inference_stats": {
            "success": of(&counts.success),
            "fail": of(&counts.fail),
            "queue": of(&counts.queue),
            "compute_input": of(&counts.input),
            "compute_infer": of(&counts.infer),
            "compute_output": of(&counts.output),
        },
        "batch_stats": batches.collect::<Vec<_>>(),
    })
}
