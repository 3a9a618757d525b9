//! Reads a request's body up to a maximum length.

use std::pin::Pin;

use axum::body::{Body, HttpBody};

use crate::refusal::Refusal;

/// Room for 64 images as nested lists of long numbers.
pub const MAX_LENGTH: usize = 4 << 20;
/// A body that is too long is still read up to this length, because a client that is still writing would not see the refusal.
const MAX_DISCARDED: usize = 64 << 20;

/// Reads a body.
///
/// # Errors
/// 413 when it is longer than [`MAX_LENGTH`]; 400 when the connection breaks.
pub async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let too_long = || Refusal::too_much(format!("the body is longer than {} MiB", MAX_LENGTH >> 20));
    let announced = body.size_hint().lower();
    if announced > MAX_DISCARDED as u64 {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity((announced as usize).min(MAX_LENGTH));
    let mut length = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Refusal::request(format!("the body is incomplete: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > MAX_DISCARDED {
            return Err(too_long());
        }
        if length <= MAX_LENGTH {
            bytes.extend_from_slice(data);
        }
    }
    if length > MAX_LENGTH { Err(too_long()) } else { Ok(bytes) }
}
