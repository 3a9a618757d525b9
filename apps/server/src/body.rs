//! A request's body, whole, up to a length.

use std::pin::Pin;

use axum::body::{Body, HttpBody};

use crate::refusal::Refusal;

/// Room for 64 images as nested lists of long numbers.
pub const LONGEST: usize = 4 << 20;
/// How much of a body that is too long is read all the same: a client that still writes would not see why it is refused.
const LEFT_UNREAD: usize = 64 << 20;

/// Reads a body.
///
/// # Errors
/// 413 when it is longer than [`LONGEST`]; 400 when it breaks off.
pub async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let too_long = || Refusal::too_much(format!("the body is longer than {} MiB", LONGEST >> 20));
    let announced = body.size_hint().lower();
    if announced > LEFT_UNREAD as u64 {
        return Err(too_long());
    }
    let mut bytes = Vec::with_capacity((announced as usize).min(LONGEST));
    let mut length = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| Refusal::request(format!("the body broke off: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        length += data.len();
        if length > LEFT_UNREAD {
            return Err(too_long());
        }
        if length <= LONGEST {
            bytes.extend_from_slice(data);
        }
    }
    if length > LONGEST { Err(too_long()) } else { Ok(bytes) }
}
