//! `ModelInfer` as most clients call it: one message that is not compressed. What the framework does for streams of messages costs as much as
//! the rest of a quick answer, so it gets only the other requests.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec as _, CompressionEncoding, EncodeBody, SingleMessageCompressionOverride};
use tonic_prost::ProstCodec;

use super::inference::{ModelInferRequest, ModelInferResponse};
use super::service::infer;
use crate::address::Address;
use crate::exchange::LEAST_COMPRESSED;

/// The end of the method's path.
pub(super) const METHOD: &str = "/ModelInfer";
/// How the messages of a request may be compressed, and those of its answer.
const ENCODING: &str = "grpc-encoding";
const ACCEPTED: &str = "grpc-accept-encoding";
const GZIP: &str = "gzip";
/// Before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// What a request asks for, if it is one message that is not compressed. The framework says what is wrong with any other.
pub(super) fn asked(headers: &HeaderMap, body: &[u8]) -> Option<ModelInferRequest> {
    if headers.contains_key(ENCODING) {
        return None;
    }
    let ([0, length @ ..], message) = body.split_first_chunk::<PREFIX>()? else { return None };
    if u32::from_be_bytes(*length) as usize != message.len() {
        return None;
    }
    ModelInferRequest::decode(message).ok()
}

/// Answers it.
pub(super) async fn answer(address: &Address, headers: &HeaderMap, asked: ModelInferRequest) -> Response {
    match infer(address, asked).await {
        Ok(answer) if answer.encoded_len() as u64 >= LEAST_COMPRESSED && accept_gzip(headers) => compressed(answer),
        Ok(answer) => plain(&answer),
        Err(refusal) => Status::from(refusal).into_http(),
    }
}

fn accept_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPTED).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.split(',').any(|encoding| encoding.trim() == GZIP))
}

fn plain(answer: &ModelInferResponse) -> Response {
    let length = answer.encoded_len();
    let mut bytes = Vec::with_capacity(PREFIX + length);
    bytes.push(0);
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    if let Err(error) = answer.encode(&mut bytes) {
        return Status::internal(format!("the answer cannot be written: {error}")).into_http();
    }
    of_grpc(Body::new(Answer::Message(bytes.into())))
}

fn compressed(answer: ModelInferResponse) -> Response {
    let encoder = ProstCodec::<ModelInferResponse, ModelInferRequest>::default().encoder();
    let body = EncodeBody::new_server(
        encoder,
        futures::stream::iter([Ok::<_, Status>(answer)]),
        Some(CompressionEncoding::Gzip),
        SingleMessageCompressionOverride::default(),
        None,
    );
    let mut response = of_grpc(Body::new(body));
    response.headers_mut().insert(ENCODING, HeaderValue::from_static(GZIP));
    response
}

fn of_grpc(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// What is left to be sent of an answer: its message and the status, the status alone, or nothing.
enum Answer {
    Message(Bytes),
    Status,
    Sent,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, rest) = match std::mem::replace(&mut *self, Self::Sent) {
            Self::Message(bytes) => (Frame::data(bytes), Self::Status),
            Self::Status => {
                let status = (Status::GRPC_STATUS, HeaderValue::from_static("0"));
                (Frame::trailers(HeaderMap::from_iter([status])), Self::Sent)
            }
            Self::Sent => return Poll::Ready(None),
        };
        *self = rest;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Sent)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn one_message_is_read_and_all_else_is_left_to_the_framework() {
        // a model's name
        let message = b"\0\0\0\0\x03\x0a\x01m";
        let none = HeaderMap::new();
        assert_eq!(asked(&none, message).unwrap().model_name, "m");
        assert_eq!(asked(&none, b"\0\0\0\0\0"), Some(ModelInferRequest::default()));
        // compressed, two of them, incomplete, no message, and not of this kind
        for body in [
            b"\x01\0\0\0\x03\x0a\x01m".as_slice(),
            b"\0\0\0\0\0\0\0\0\0\0",
            &message[..7],
            b"\0\0\0",
            b"\0\0\0\0\x03\x0a\x02m",
        ] {
            assert_eq!(asked(&none, body), None, "{body:?}");
        }
        assert_eq!(asked(&with(ENCODING, "gzip"), message), None);
    }

    #[test]
    fn gzip_is_for_who_accepts_it() {
        assert!(accept_gzip(&with(ACCEPTED, "identity, deflate, gzip")) && accept_gzip(&with(ACCEPTED, "gzip")));
        assert!(!accept_gzip(&HeaderMap::new()) && !accept_gzip(&with(ACCEPTED, "identity,deflate")));
    }

    #[tokio::test]
    async fn an_answer_is_a_message_and_its_status() {
        let answer = ModelInferResponse { id: "7".repeat(2000), ..Default::default() };
        let response = plain(&answer);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc");
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()[Status::GRPC_STATUS], "0");
        let bytes = body.to_bytes();
        let (prefix, message) = bytes.split_first_chunk::<PREFIX>().unwrap();
        assert_eq!(u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize, message.len());
        assert_eq!((prefix[0], ModelInferResponse::decode(message).unwrap()), (0, answer.clone()));
        // the same compressed
        let response = compressed(answer);
        assert_eq!(response.headers()[ENCODING], "gzip");
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()[Status::GRPC_STATUS], "0");
        let short = body.to_bytes();
        assert!(short[0] == 1 && short.len() < bytes.len() / 2, "{short:?}");
    }
}
