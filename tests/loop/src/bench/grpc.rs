//! One client of the Open Inference Protocol over gRPC: an HTTP/2 connection, and the same message again and again.
//!
//! As over HTTP/1.1, the bytes of a request are there before it is sent, and of an answer only that is read which says where it ends and whether it is
//! one. A library for HTTP/2 would cost as much as the server's part of it, on the same cores. This client keeps no table of headers for the server
//! (`SETTINGS_HEADER_TABLE_SIZE` is 0), so that each block can be read alone.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags of frames.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// The bytes of a frame before its payload.
const HEAD: usize = 9;
/// The longest payload of a frame that every server takes.
const LONGEST: usize = 16 << 10;
/// What may be sent on a connection, and on a stream, before the other side has allowed more.
const WINDOW: usize = (64 << 10) - 1;
/// The most that may be allowed.
const WIDEST: u32 = i32::MAX as u32;

/// A connection that asks.
pub(super) struct Connection {
    stream: TcpStream,
    /// The first request puts its headers into the server's table, and the others name their places in it.
    requests: [Request; 2],
    /// The number of the next request.
    next: u32,
    /// The bytes that the server still takes on this connection.
    window: i64,
    /// The bytes of answers since the server was last allowed to send more.
    received: usize,
    read: Vec<u8>,
    /// What is to be said apart from requests.
    replies: Vec<u8>,
}

/// The frames of a request.
struct Request {
    bytes: Vec<u8>,
    /// Where its number is.
    numbers: Vec<usize>,
    /// The bytes of its message.
    message: usize,
}

impl Connection {
    /// Opens it over a stream.
    pub(super) async fn open(mut stream: TcpStream, message: &Bytes) -> Result<Self> {
        ensure!(message.len() <= WINDOW, "a message of {} bytes is longer than what a stream takes", message.len());
        let mut hello = PREFACE.to_vec();
        // no table of headers, and nothing that was not asked for
        write_frame(&mut hello, SETTINGS, 0, 0, &[[0_u8, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0]].concat());
        write_frame(&mut hello, WINDOW_UPDATE, 0, 0, &(WIDEST - WINDOW as u32).to_be_bytes());
        stream.write_all(&hello).await?;
        let requests = [first_headers(), next_headers()].map(|headers| Request::new(&headers, message));
        let (read, replies) = (Vec::with_capacity(16 << 10), Vec::new());
        Ok(Self { stream, requests, next: 1, window: WINDOW as i64, received: 0, read, replies })
    }

    /// Asks once. Returns whether that was refused.
    pub(super) async fn ask(&mut self) -> Result<bool> {
        let stream = self.next;
        ensure!(stream < WIDEST, "the connection has no numbers left for requests");
        let request = &mut self.requests[usize::from(stream > 1)];
        request.number(stream);
        let message = request.message as i64;
        while self.window < message {
            self.receive().await?;
            self.frames(stream)?;
        }
        self.window -= message;
        self.next += 2;
        self.stream.write_all(&self.requests[usize::from(stream > 1)].bytes).await?;
        loop {
            if let Some(refused) = self.frames(stream)? {
                return Ok(refused);
            }
            self.receive().await?;
        }
    }

    async fn receive(&mut self) -> Result<()> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies).await?;
            self.replies.clear();
        }
        ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the server closed the connection");
        Ok(())
    }

    /// Reads the frames that have come. Returns whether the request with this number was refused, once it is answered.
    fn frames(&mut self, stream: u32) -> Result<Option<bool>> {
        let (mut at, mut answer) = (0, None);
        while let Some(frame) = Frame::of(&self.read[at..])? {
            at += frame.length();
            let Frame { kind, flags, number, payload } = frame;
            match kind {
                DATA | HEADERS if number != stream => bail!("an answer to {number}, where {stream} was asked"),
                DATA => {
                    self.received += payload.len();
                    ensure!(flags & END_STREAM == 0, "an answer without grpc-status");
                }
                HEADERS => {
                    ensure!(flags & (END_HEADERS | PADDED | PRIORITY) == END_HEADERS, "headers with the flags {flags}");
                    let status = status(payload)?;
                    if flags & END_STREAM != 0 {
                        answer = Some(status.context("an answer without grpc-status")? == Status::Busy);
                    }
                }
                SETTINGS if flags & ACK == 0 => {
                    check(payload)?;
                    write_frame(&mut self.replies, SETTINGS, ACK, 0, &[]);
                }
                PING if flags & ACK == 0 => write_frame(&mut self.replies, PING, ACK, 0, payload),
                WINDOW_UPDATE if number == 0 => self.window += i64::from(number_of(payload)?),
                RST_STREAM | GOAWAY | CONTINUATION => bail!("the server sent a frame of type {kind}: {payload:?}"),
                _ => {}
            }
        }
        self.read.drain(..at);
        if self.received >= WIDEST as usize / 2 {
            write_frame(&mut self.replies, WINDOW_UPDATE, 0, 0, &(self.received as u32).to_be_bytes());
            self.received = 0;
        }
        Ok(answer)
    }
}

impl Request {
    fn new(headers: &[u8], message: &[u8]) -> Self {
        let mut request = Self { bytes: Vec::new(), numbers: Vec::new(), message: message.len() };
        request.add(HEADERS, END_HEADERS, headers);
        let mut rest = message.chunks(LONGEST).peekable();
        while let Some(part) = rest.next() {
            request.add(DATA, if rest.peek().is_some() { 0 } else { END_STREAM }, part);
        }
        request
    }

    fn add(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        self.numbers.push(self.bytes.len() + HEAD - 4);
        write_frame(&mut self.bytes, kind, flags, 0, payload);
    }

    /// Gives it a number.
    fn number(&mut self, number: u32) {
        for at in &self.numbers {
            self.bytes[*at..*at + 4].copy_from_slice(&number.to_be_bytes());
        }
    }
}

/// A frame that was read.
#[derive(Debug, PartialEq, Eq)]
struct Frame<'a> {
    kind: u8,
    flags: u8,
    /// Of the request that it belongs to; 0 if it is about the connection.
    number: u32,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// `None` until the whole frame is there.
    fn of(bytes: &'a [u8]) -> Result<Option<Self>> {
        let Some((&[a, b, c, kind, flags, d, e, f, g], rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        ensure!(length <= LONGEST, "a frame of {length} bytes, which this client has not allowed");
        let number = u32::from_be_bytes([d, e, f, g]) & WIDEST;
        Ok(rest.get(..length).map(|payload| Self { kind, flags, number, payload }))
    }

    /// With its head.
    fn length(&self) -> usize {
        HEAD + self.payload.len()
    }
}

fn write_frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, number: u32, payload: &[u8]) {
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(payload);
}

/// A number of 31 bits.
fn number_of(payload: &[u8]) -> Result<u32> {
    let bytes = payload.first_chunk::<4>().context("a frame without its number")?;
    Ok(u32::from_be_bytes(*bytes) & WIDEST)
}

/// Fails if the server's settings allow less on a stream than every client may expect.
fn check(settings: &[u8]) -> Result<()> {
    for setting in settings.chunks_exact(6) {
        if setting[..2] == [0, 4] {
            let window = number_of(&setting[2..])?;
            ensure!(window as usize >= WINDOW, "the server takes only {window} bytes on a stream");
        }
    }
    Ok(())
}

/// The headers of a request, all of which but the first two go into the server's table.
fn first_headers() -> Vec<u8> {
    // POST, http
    let mut block = vec![0x83, 0x86];
    let mut add = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    };
    // :authority, :path and content-type are in the table that everybody has
    add(&[0x40 | 1], "localhost");
    add(&[0x40 | 4], PATH);
    add(&[0x40 | 31], "application/grpc");
    add(b"\x40\x02te", "trailers");
    block
}

/// The same headers by their places in the table. What was put there last has the first place behind the 61 that everybody has.
fn next_headers() -> Vec<u8> {
    vec![0x83, 0x86, 0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]
}

/// What an answer says about its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Done,
    /// RESOURCE_EXHAUSTED or UNAVAILABLE.
    Busy,
}

/// The status in a block of headers; `None` if there is none.
///
/// # Errors
/// When the call has failed, or the block is not one of a server without a table of headers.
fn status(block: &[u8]) -> Result<Option<Status>> {
    let (mut rest, mut found) = (block, None);
    while let Some(first) = rest.first().copied() {
        if first & 0x80 != 0 {
            let place = integer(&mut rest, 7)?;
            // of all that is in everybody's table, only another status of HTTP would say that something is wrong
            ensure!((1..=61).contains(&place) && !(9..=14).contains(&place), "the header at {place} of the table");
        } else if first & 0xe0 == 0x20 {
            ensure!(integer(&mut rest, 5)? == 0, "the server keeps a table of headers, which it was told not to do");
        } else {
            let place = integer(&mut rest, if first & 0x40 != 0 { 6 } else { 4 })?;
            ensure!(!(8..=14).contains(&place), "an answer with another status of HTTP than 200");
            let is_status = place == 0 && text(&mut rest)?.is(&GRPC_STATUS);
            let value = text(&mut rest)?;
            if is_status {
                let is = |number: &Spelled| value.is(number);
                found = Some(if is(&OK) {
                    Status::Done
                } else if BUSY.iter().any(is) {
                    Status::Busy
                } else {
                    bail!("the call failed, with the grpc-status {value:?}")
                });
            }
        }
    }
    Ok(found)
}

/// A text as it is, and in the code of Huffman that HTTP/2 has.
struct Spelled {
    plain: &'static [u8],
    coded: &'static [u8],
}

const GRPC_STATUS: Spelled =
    Spelled { plain: b"grpc-status", coded: &[0x9a, 0xca, 0xc8, 0xb2, 0x12, 0x34, 0xda, 0x8f] };
const OK: Spelled = Spelled { plain: b"0", coded: &[0x07] };
const BUSY: [Spelled; 2] = [Spelled { plain: b"8", coded: &[0x7b] }, Spelled { plain: b"14", coded: &[0x0b, 0x5f] }];

/// A text of a block.
#[derive(Debug)]
struct Text<'a> {
    coded: bool,
    bytes: &'a [u8],
}

impl Text<'_> {
    fn is(&self, text: &Spelled) -> bool {
        self.bytes == if self.coded { text.coded } else { text.plain }
    }
}

/// Takes a text.
fn text<'a>(rest: &mut &'a [u8]) -> Result<Text<'a>> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (bytes, others) = rest.split_at_checked(length).context("a block of headers that ends within a text")?;
    *rest = others;
    Ok(Text { coded, bytes })
}

fn byte(rest: &mut &[u8]) -> Result<usize> {
    let (first, others) = rest.split_first().context("a block of headers that ends within a number")?;
    *rest = others;
    Ok(usize::from(*first))
}

/// Takes a number whose first byte has this many bits of it.
fn integer(rest: &mut &[u8], bits: u32) -> Result<usize> {
    let most = (1_usize << bits) - 1;
    let mut number = byte(rest)? & most;
    if number < most {
        return Ok(number);
    }
    for shift in [0, 7, 14] {
        let more = byte(rest)?;
        number += (more & 0x7f) << shift;
        if more & 0x80 == 0 {
            return Ok(number);
        }
    }
    bail!("a number in a block of headers that is too large")
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

    /// A header as h2 writes it when there is no table: neither its name nor its value is in one.
    fn header(name: &Spelled, value: &[u8]) -> Vec<u8> {
        let lengths = [0x80 | name.coded.len() as u8, 0x80 | value.len() as u8];
        [&[0, lengths[0]][..], name.coded, &[lengths[1]], value].concat()
    }

    #[test]
    fn a_busy_server_is_no_error() {
        let with = |value: &[u8]| status(&header(&GRPC_STATUS, value));
        assert_eq!(with(OK.coded).unwrap(), Some(Status::Done));
        assert!(BUSY.iter().all(|busy| with(busy.coded).unwrap() == Some(Status::Busy)));
        // 13
        assert!(with(&[0x0b, 0x3f]).unwrap_err().to_string().contains("the call failed"));
        // as it is, and a name that is in everybody's table
        assert_eq!(status(b"\x40\x0bgrpc-status\x0214").unwrap(), Some(Status::Busy));
        assert_eq!(status(b"\x88\x5f\x10application/grpc").unwrap(), None);
        // the table is made empty first
        assert_eq!(
            status(&[b"\x20\x88".as_slice(), &header(&GRPC_STATUS, OK.coded)].concat()).unwrap(),
            Some(Status::Done)
        );
        // 404, another status in its own words, and a place in a table that is not there
        for block in [b"\x8d".as_slice(), b"\x48\x03302", b"\xbe", b"\x3f\xe1\x1f", b"\x00\x7f", b"\xff"] {
            assert!(status(block).is_err(), "{block:?}");
        }
    }

    #[test]
    fn a_frame_is_read_when_all_of_it_is_there() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, DATA, END_STREAM, 5, b"abc");
        write_frame(&mut bytes, PING, ACK, 0, &[]);
        let first = Frame { kind: DATA, flags: END_STREAM, number: 5, payload: b"abc" };
        for length in 0..first.length() {
            assert_eq!(Frame::of(&bytes[..length]).unwrap(), None);
        }
        assert_eq!(Frame::of(&bytes).unwrap(), Some(first));
        let second = Frame { kind: PING, flags: ACK, number: 0, payload: &[] };
        assert_eq!(Frame::of(&bytes[12..]).unwrap(), Some(second));
        assert!(Frame::of(&[0xff; HEAD]).is_err());
    }

    #[test]
    fn all_frames_of_a_request_have_its_number() {
        let mut request = Request::new(&next_headers(), &[7; LONGEST + 1]);
        request.number(9);
        let (mut at, mut found) = (0, Vec::new());
        while let Some(frame) = Frame::of(&request.bytes[at..]).unwrap() {
            found.push((frame.kind, frame.flags, frame.number, frame.payload.len()));
            at += frame.length();
        }
        let wanted = [(HEADERS, END_HEADERS, 9, 6), (DATA, 0, 9, LONGEST), (DATA, END_STREAM, 9, 1)];
        assert_eq!((found.as_slice(), at), (wanted.as_slice(), request.bytes.len()));
    }
}
