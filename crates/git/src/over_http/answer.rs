//! A remote's answer, read as it comes.

use std::io::Write;

use bytes::Bytes;
use flate2::write::GzDecoder;
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use super::endpoint::Endpoint;
use super::packets::{Packet, Packets};
use crate::{Error, Result};

/// How much of a compressed answer is unpacked at a time: at most a thousand times as much comes out of it.
const SLICE: usize = 4096;

/// An answer that is being read. What has not been read yet is not in memory.
pub(crate) struct Answer<'a> {
    endpoint: &'a Endpoint,
    response: Response,
    /// What has come and is not unpacked yet.
    raw: Bytes,
    unpacked: Option<GzDecoder<Vec<u8>>>,
    packets: Packets,
    /// How many bytes of it may be read, and how many of those are left.
    most: u64,
    left: u64,
}

impl<'a> Answer<'a> {
    /// # Errors
    /// [`Error::Unreadable`] for an encoding that was not asked for.
    pub(crate) fn new(endpoint: &'a Endpoint, response: Response, most: u64) -> Result<Self> {
        let encoding = response.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
        let unpacked = match encoding.as_deref() {
            None | Some(b"" | b"identity") => None,
            Some(b"gzip" | b"x-gzip") => Some(GzDecoder::new(Vec::new())),
            Some(_) => return Err(endpoint.unreadable("it is compressed in a way that was not asked for")),
        };
        Ok(Self { endpoint, response, raw: Bytes::new(), unpacked, packets: Packets::default(), most, left: most })
    }

    /// The next packet. Returns `None` at the end of the answer.
    ///
    /// # Errors
    /// [`Error::Silent`], [`Error::Unreachable`] for an answer that breaks off; [`Error::Unreadable`], [`Error::TooLarge`].
    pub(crate) async fn packet(&mut self) -> Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.packets.next().map_err(|reason| self.endpoint.unreadable(reason))? {
                return Ok(Some(packet));
            }
            if self.raw.is_empty() {
                let chunk = self.response.chunk().await.map_err(|error| self.endpoint.broken(&error))?;
                let Some(chunk) = chunk else {
                    let is_whole = self.packets.is_empty();
                    return if is_whole { Ok(None) } else { Err(self.endpoint.cut()) };
                };
                self.raw = chunk;
            }
            self.unpack()?;
        }
    }

    /// The next packet that is not missing: whoever asks needs one.
    ///
    /// # Errors
    /// As [`packet`](Self::packet); [`Error::Unreachable`] at the end of the answer.
    pub(crate) async fn needed(&mut self) -> Result<Packet> {
        self.packet().await?.ok_or_else(|| self.endpoint.cut())
    }

    /// Makes packets of the next bytes.
    fn unpack(&mut self) -> Result<()> {
        let Some(decoder) = &mut self.unpacked else {
            let raw = std::mem::take(&mut self.raw);
            return self.take(&raw);
        };
        let slice = self.raw.split_to(self.raw.len().min(SLICE));
        let written = decoder.write_all(&slice).and_then(|()| decoder.flush());
        written.map_err(|_| self.endpoint.unreadable("it cannot be unpacked"))?;
        let unpacked = std::mem::take(decoder.get_mut());
        self.take(&unpacked)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| Error::TooLarge { remote: self.endpoint.shown(), most: self.most })?;
        self.packets.add(bytes);
        Ok(())
    }
}
