//! Reads the bodies of requests: each up to a maximum length, and all of them together up to another. Compressed bodies count
//! decompressed.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{Layer, Service, service_fn};
use tower_http::decompression::{DecompressionBody, RequestDecompressionLayer};

use crate::refusal::Refusal;

/// Room for 64 images as nested lists of long numbers.
pub const MAX_LENGTH: usize = 4 << 20;
/// The most bytes of all bodies that are being read, or whose requests are not answered yet. Numbers of a body, once they are read,
/// take at most twice as much again.
pub const MAX_TOTAL: usize = 64 << 20;
/// A body that is too long is still read up to this length, because a client that is still writing would not see the refusal.
const MAX_DISCARDED: usize = 64 << 20;
/// What is reserved for a body before its first bytes arrive, at most.
const FIRST: usize = 64 << 10;
/// The unit in which memory is counted.
const UNIT: usize = 1 << 10;

/// Marks a request whose body arrived compressed.
#[derive(Clone, Copy, Debug)]
pub struct Compressed;

/// The memory for bodies. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Semaphore>);

/// A body, which holds its part of the memory until it is dropped.
#[derive(Debug)]
pub struct Held {
    /// The bytes.
    pub bytes: Vec<u8>,
    part: Part,
}

/// A part of the memory for bodies.
#[derive(Debug)]
pub struct Part(Option<OwnedSemaphorePermit>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_TOTAL / UNIT)))
    }
}

impl Held {
    /// The bytes, and their part of the memory.
    pub fn split(self) -> (Vec<u8>, Part) {
        (self.bytes, self.part)
    }
}

impl Memory {
    /// Reads a body.
    ///
    /// # Errors
    /// 413 when it is longer than [`MAX_LENGTH`]; 503 when too many others are being read; 400 when it is incomplete or cannot be
    /// decompressed.
    pub async fn read(&self, mut body: Body, compressed: Option<&Compressed>) -> Result<Held, Refusal> {
        let too_long = || Refusal::too_much(format!("the body is longer than {} MiB", MAX_LENGTH >> 20));
        // What a few bytes decompress to is not worth reading; the bytes themselves are discarded below.
        let most = if compressed.is_some() { MAX_LENGTH } else { MAX_DISCARDED };
        let announced = body.size_hint().lower();
        if announced > most as u64 {
            return Err(too_long());
        }
        let mut held = Held { bytes: Vec::with_capacity((announced as usize).min(FIRST)), part: Part(None) };
        let mut length = 0;
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|error| Refusal::request(format!("the body cannot be read: {error}")))?;
            let Some(data) = frame.data_ref() else { continue };
            length += data.len();
            if length > most {
                return Err(too_long());
            }
            if length <= MAX_LENGTH {
                self.add(&mut held.part, length)?;
                held.bytes.extend_from_slice(data);
            }
        }
        if length > MAX_LENGTH { Err(too_long()) } else { Ok(held) }
    }

    /// A part of this many bytes, for something that will be read.
    ///
    /// # Errors
    /// 503 when there is no room.
    pub fn part(&self, length: usize) -> Result<Part, Refusal> {
        let mut part = Part(None);
        self.add(&mut part, length).map(|()| part)
    }

    /// How much of it is in use, in bytes.
    pub fn in_use(&self) -> usize {
        MAX_TOTAL - self.0.available_permits() * UNIT
    }

    /// Makes a part as large as `length` bytes.
    fn add(&self, Part(part): &mut Part, length: usize) -> Result<(), Refusal> {
        let more = length.div_ceil(UNIT) - part.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.0).try_acquire_many_owned(more) else {
            return Err(Refusal::unavailable(format!(
                "the server is busy: the requests that are not answered yet take {} MiB",
                MAX_TOTAL >> 20
            )));
        };
        match part {
            Some(part) => part.merge(more),
            None => *part = Some(more),
        }
        Ok(())
    }
}

/// Takes a body that nobody needs from its connection: a client that is still writing would not see the answer.
pub async fn discard(mut body: impl HttpBody<Data = Bytes> + Unpin) {
    let mut length = 0;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        && length <= MAX_DISCARDED
    {
        length += frame.data_ref().map_or(0, Bytes::len);
    }
}

/// A body as it arrives, which is still there after its decompression was given up.
struct Arrives(Arc<Mutex<Body>>);

impl HttpBody for Arrives {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(cx)
    }
}

/// Answers a request whose body may be compressed, and says what is wrong if the server cannot decompress it. What is not read of such a
/// body is discarded, because a client that is still writing would not see the refusal.
pub async fn decompressed<F: Future<Output = Response>>(
    mut request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let Some(encoding) = request.headers().get(header::CONTENT_ENCODING).cloned() else {
        return answer(request).await;
    };
    request.extensions_mut().insert(Compressed);
    let mut rest = None;
    let request = request.map(|body| {
        let arriving = Arc::new(Mutex::new(body));
        rest = Some(Arrives(Arc::clone(&arriving)));
        Body::new(Arrives(arriving))
    });
    let mut answer = Some(answer);
    let mut service =
        RequestDecompressionLayer::new().layer(service_fn(|request: Request<DecompressionBody<Body>>| {
            let answering = answer.take().map(|answer| answer(request.map(Body::new)));
            async move {
                Ok::<_, Infallible>(match answering {
                    Some(answering) => answering.await,
                    None => Response::default(),
                })
            }
        }));
    let response = match service.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    if let Some(rest) = rest {
        discard(rest).await;
    }
    if response.status() != StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return response;
    }
    let message = format!("the body's Content-Encoding is {encoding:?}; send it as gzip, as deflate or uncompressed");
    let refusal = Refusal { status: response.status(), message }.into_response();
    let accepted = response.headers().get(header::ACCEPT_ENCODING).cloned();
    (accepted.map(|accepted| [(header::ACCEPT_ENCODING, accepted)]), refusal).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_the_memory_and_give_it_back() {
        let memory = Memory::default();
        let read = |length: usize| memory.read(Body::from(vec![b' '; length]), None);
        let mut held = Vec::new();
        for _ in 0..MAX_TOTAL / MAX_LENGTH {
            held.push(read(MAX_LENGTH).await.unwrap());
        }
        let refusal = read(1).await.unwrap_err();
        assert_eq!(refusal.status, StatusCode::SERVICE_UNAVAILABLE, "{refusal}");
        assert!(read(0).await.is_ok());
        assert_eq!(memory.in_use(), MAX_TOTAL);
        let (bytes, part) = held.pop().unwrap().split();
        drop(bytes);
        // Its numbers are still in memory.
        assert!(read(1).await.is_err());
        drop(part);
        assert_eq!(read(MAX_LENGTH).await.unwrap().bytes.len(), MAX_LENGTH);
    }
}
