//! The Open Inference Protocol over gRPC: the same models, checks and answers as over HTTP.

#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used, reason = "generated from proto/inference.proto")]
pub mod inference;

mod contents;
mod service;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use inference::grpc_inference_service_server::{GrpcInferenceServiceServer, SERVICE_NAME};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};

use crate::address::Address;
use crate::body::{MAX_LENGTH, Memory};
use crate::refusal::Refusal;

/// The method whose requests are a stream.
const STREAM: &str = "/ModelStreamInfer";
/// How long the request of any other method may take to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The routes of the service. They are at the same address as those of HTTP: a gRPC client speaks HTTP/2 from the first byte.
pub fn routes(address: Address) -> Router {
    let memory = address.app.memory.clone();
    let service = GrpcInferenceServiceServer::new(service::Service(address))
        .max_decoding_message_size(MAX_LENGTH)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let path = format!("/{SERVICE_NAME}/{{method}}");
    Router::new().route_service(&path, service).route_layer(from_fn_with_state(memory, within))
}

/// Keeps requests within the memory for bodies: each is read before the service sees it, and a stream counts as one of the longest.
async fn within(State(memory): State<Memory>, request: Request, next: Next) -> Response {
    match read(&memory, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => Status::from(refusal).into_http(),
    }
}

async fn read(memory: &Memory, mut request: Request) -> Result<Request, Refusal> {
    if request.uri().path().ends_with(STREAM) {
        request.extensions_mut().insert(Arc::new(memory.part(MAX_LENGTH)?));
        return Ok(request);
    }
    let (mut head, body) = request.into_parts();
    let read = tokio::time::timeout(TIME_LIMIT, memory.read(body, None)).await;
    let late = |_| Refusal {
        status: axum::http::StatusCode::REQUEST_TIMEOUT,
        message: format!("the request took longer than {} s to arrive", TIME_LIMIT.as_secs()),
    };
    let (bytes, part) = read.map_err(late)??.split();
    head.extensions.insert(Arc::new(part));
    Ok(Request::from_parts(head, Body::from(bytes)))
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.status.as_u16() {
            400 => Code::InvalidArgument,
            404 => Code::NotFound,
            408 => Code::DeadlineExceeded,
            413 => Code::ResourceExhausted,
            503 => Code::Unavailable,
            _ => Code::Internal,
        };
        Self::new(code, refusal.message)
    }
}
