//! One client of the Open Inference Protocol over gRPC: an HTTP/2 connection, and the same message again and again.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::{SendRequest, handshake};
use http::{HeaderMap, Method, Request, StatusCode};
use tokio::net::TcpStream;

const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";
/// The status of a call that the server is too busy for: RESOURCE_EXHAUSTED and UNAVAILABLE.
const BUSY: [&str; 2] = ["8", "14"];

/// A connection that asks.
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    request: Request<()>,
    message: Bytes,
}

impl Connection {
    /// Opens it over a stream to this address.
    pub(super) async fn open(stream: TcpStream, address: SocketAddr, message: Bytes) -> Result<Self> {
        let (requests, connection) = handshake(stream).await?;
        // it ends when nobody can ask any more
        tokio::spawn(connection);
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{address}{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        Ok(Self { requests, request, message })
    }

    /// Asks once. Returns whether that was refused.
    pub(super) async fn ask(&mut self) -> Result<bool> {
        let mut requests = self.requests.clone().ready().await?;
        let (answered, mut asking) = requests.send_request(self.request.clone(), false)?;
        asking.send_data(self.message.clone(), true)?;
        let (head, mut body) = answered.await?.into_parts();
        ensure!(head.status == StatusCode::OK, "{}", head.status);
        while let Some(data) = body.data().await {
            let length = data?.len();
            body.flow_control().release_capacity(length)?;
        }
        let trailers = body.trailers().await?;
        // an error has no body, and its status may be in the head
        let headers =
            trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(&head.headers);
        is_refused(headers)
    }
}

fn is_refused(headers: &HeaderMap) -> Result<bool> {
    let status = headers.get("grpc-status").context("an answer without grpc-status")?.to_str()?;
    if status == "0" {
        return Ok(false);
    }
    if BUSY.contains(&status) {
        return Ok(true);
    }
    bail!("grpc-status {status}: {:?}", headers.get("grpc-message"))
}

/// `ModelInferRequest` of one tensor of numbers, `image`, framed as gRPC does. By hand, because the server's own code links libtorch.
pub fn infer(model: &str, shape: &[u64], numbers: &[f32]) -> Bytes {
    let sizes: Vec<u8> = shape.iter().flat_map(|size| varint(*size)).collect();
    let raw: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let input = [field(1, b"image"), field(2, b"FP32"), field(3, &sizes)].concat();
    let message = [field(1, model.as_bytes()), field(5, &input), field(7, &raw)].concat();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    // not compressed
    [[0].as_slice(), &length.to_be_bytes(), &message].concat().into()
}

/// A field of a message that has a length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [[(number << 3) | 2].as_slice(), &varint(bytes.len() as u64), bytes].concat()
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_written_as_protobuf_says() {
        assert_eq!(varint(300), [0xac, 0x02]);
        let input = b"\x0a\x05image\x12\x04FP32\x1a\x02\x01\x02";
        let raw = b"\x3a\x08\0\0\x80\x3f\0\0\0\x40";
        let message = [b"\x0a\x01m\x2a\x11".as_slice(), input.as_slice(), raw.as_slice()].concat();
        assert_eq!((input.len(), message.len()), (0x11, 0x20));
        assert_eq!(infer("m", &[1, 2], &[1.0, 2.0]), [b"\0\0\0\0\x20".as_slice(), &message].concat());
    }

    #[test]
    fn a_busy_server_is_no_error() {
        let with = |status| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-status", http::HeaderValue::from_static(status));
            headers
        };
        assert!(!is_refused(&with("0")).unwrap() && is_refused(&with("14")).unwrap());
        assert!(is_refused(&with("13")).is_err() && is_refused(&HeaderMap::new()).is_err());
    }
}
