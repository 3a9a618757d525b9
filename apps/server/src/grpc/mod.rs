//! The Open Inference Protocol over gRPC: the same models, checks and answers as over HTTP.

#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used, reason = "generated from proto/inference.proto")]
pub mod inference;

mod contents;
mod service;
mod unary;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use inference::grpc_inference_service_server::{GrpcInferenceServiceServer, SERVICE_NAME};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};

use crate::address::Address;
use crate::body::{Held, MAX_LENGTH, Memory};
use crate::refusal::Refusal;

/// The method whose requests are a stream.
const STREAM: &str = "/ModelStreamInfer";
/// How long the request of any other method may take to arrive.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// The routes of the service. They are at the same address as those of HTTP: a gRPC client speaks HTTP/2 from the first byte.
pub fn routes(address: Address) -> Router {
    let service = GrpcInferenceServiceServer::new(service::Service(address.clone()))
        .max_decoding_message_size(MAX_LENGTH)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip);
    let path = format!("/{SERVICE_NAME}/{{method}}");
    Router::new().route_service(&path, service).route_layer(from_fn_with_state(address, within))
}

/// Keeps requests within the memory for bodies: each is read before the service sees it, and a stream counts as one of the longest. What asks for an
/// inference in the usual form is answered here.
async fn within(State(address): State<Address>, mut request: Request, next: Next) -> Response {
    let memory = &address.app.memory;
    if request.uri().path().ends_with(STREAM) {
        let part = match memory.part(MAX_LENGTH) {
            Ok(part) => part,
            Err(refusal) => return Status::from(refusal).into_http(),
        };
        request.extensions_mut().insert(Arc::new(part));
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    let (bytes, part) = match read(memory, body).await {
        Ok(held) => held.split(),
        Err(refusal) => return Status::from(refusal).into_http(),
    };
    if head.uri.path().ends_with(unary::METHOD)
        && let Some(asked) = unary::asked(&head.headers, &bytes)
    {
        drop(bytes);
        let response = unary::answer(&address, &head.headers, asked).await;
        drop(part);
        return response;
    }
    head.extensions.insert(Arc::new(part));
    next.run(Request::from_parts(head, Body::from(bytes))).await
}

async fn read(memory: &Memory, body: Body) -> Result<Held, Refusal> {
    let read = tokio::time::timeout(TIME_LIMIT, memory.read(body, None)).await;
    read.unwrap_or_else(|_| {
        let message = format!("the request took longer than {} s to arrive", TIME_LIMIT.as_secs());
        Err(Refusal { status: StatusCode::REQUEST_TIMEOUT, message })
    })
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
