//! Packet lines: git's framing of what goes over a connection.
//!
//! Format: <https://git-scm.com/docs/protocol-common#_pkt_line_format>, and the side bands of
//! <https://git-scm.com/docs/protocol-v2#_packfile_section>.

use bytes::{Buf, Bytes, BytesMut};

/// The most bytes of a packet, with the four that give its length.
const LONGEST: usize = 65_520;
/// The bytes that give a packet's length.
const HEAD: usize = 4;

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// What is sent.
    Data(Bytes),
    /// The end of a message.
    Flush,
    /// The end of a section of a message.
    Delimiter,
    /// The end of an answer, for transports that have no other.
    End,
}

/// What is sent while a pack is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Band {
    /// A part of the pack; empty to keep the connection alive.
    Pack(Bytes),
    /// What a person may like to read.
    Progress,
    /// Why there will be no pack.
    Failure(Bytes),
}

/// Packets out of bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct Packets {
    held: BytesMut,
}

impl Packets {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next packet. Returns `None` if more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(crate) fn next(&mut self) -> Result<Option<Packet>, &'static str> {
        let Some(head) = self.held.first_chunk::<HEAD>() else { return Ok(None) };
        let length = length(*head).ok_or("a packet does not begin with its length")?;
        let packet = match length {
            0 => Packet::Flush,
            1 => Packet::Delimiter,
            2 => Packet::End,
            3 => return Err("a packet has the length 3"),
            length if length > LONGEST => return Err("a packet is longer than packets are"),
            length if length > self.held.len() => return Ok(None),
            length => {
                let mut data = self.held.split_to(length).freeze();
                data.advance(HEAD);
                return Ok(Some(Packet::Data(data)));
            }
        };
        self.held.advance(HEAD);
        Ok(Some(packet))
    }

    /// Whether nothing of a packet has come that is not whole.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

impl Band {
    /// What a packet carries.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn of(mut data: Bytes) -> Result<Self, &'static str> {
        if data.is_empty() {
            return Err("a packet of a pack names no side band");
        }
        match data.get_u8() {
            1 => Ok(Self::Pack(data)),
            2 => Ok(Self::Progress),
            3 => Ok(Self::Failure(data)),
            _ => Err("a packet of a pack names a side band that does not exist"),
        }
    }
}

/// Adds a line to a request.
pub(crate) fn write_line(request: &mut Vec<u8>, line: &str) {
    request.extend_from_slice(format!("{:04x}{line}\n", line.len() + HEAD + 1).as_bytes());
}

/// Adds what separates a request's command from its arguments.
pub(crate) fn write_delimiter(request: &mut Vec<u8>) {
    request.extend_from_slice(b"0001");
}

/// Ends a request.
pub(crate) fn write_flush(request: &mut Vec<u8>) {
    request.extend_from_slice(b"0000");
}

/// Four hexadecimal digits, as which a length is sent.
fn length(head: [u8; HEAD]) -> Option<usize> {
    head.iter().try_fold(0, |length, digit| Some(length * 16 + char::from(*digit).to_digit(16)? as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(text: &'static str) -> Packet {
        Packet::Data(Bytes::from_static(text.as_bytes()))
    }

    /// All packets of some bytes that come in pieces of these sizes, and whether they end with a whole one.
    fn packets(bytes: &[u8], mut sizes: impl FnMut() -> usize) -> Result<(Vec<Packet>, bool), &'static str> {
        let (mut packets, mut found, mut rest) = (Packets::default(), Vec::new(), bytes);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(sizes().clamp(1, rest.len()));
            packets.add(piece);
            rest = after;
            while let Some(packet) = packets.next()? {
                found.push(packet);
            }
        }
        Ok((found, packets.is_empty()))
    }

    #[test]
    fn packets_are_read_in_any_pieces() {
        let mut message = Vec::new();
        write_line(&mut message, "command=ls-refs");
        write_delimiter(&mut message);
        write_line(&mut message, "peel");
        message.extend_from_slice(b"0004");
        message.extend_from_slice(b"0002");
        write_flush(&mut message);
        assert!(message.starts_with(b"0014command=ls-refs\n"));
        let expected =
            vec![data("command=ls-refs\n"), Packet::Delimiter, data("peel\n"), data(""), Packet::End, Packet::Flush];
        for size in [1, 2, 3, 5, 7, 100] {
            assert_eq!(packets(&message, || size), Ok((expected.clone(), true)));
        }
        assert_eq!(packets(&message[..message.len() - 1], || 9).map(|(_, whole)| whole), Ok(false));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for wrong in ["0003", "+004", "-001", " 004", "00 4", "xyzw", "fff1", "ffff", "\u{e9}00"] {
            assert!(packets(wrong.as_bytes(), || 4).is_err(), "{wrong}");
        }
        let longest = [b"fff0", vec![b'x'; LONGEST - HEAD].as_slice()].concat();
        assert_eq!(packets(&longest, || 1000).map(|(found, whole)| (found.len(), whole)), Ok((1, true)));
        for wrong in ["", "\u{4}x", "\u{0}x"] {
            assert!(Band::of(Bytes::from_static(wrong.as_bytes())).is_err(), "{wrong:?}");
        }
        assert_eq!(Band::of(Bytes::from_static(b"\x01")), Ok(Band::Pack(Bytes::new())));
    }

    /// Random bytes, and messages with some bytes replaced, in random pieces: a packet or a refusal, and no byte is lost or made up.
    #[test]
    fn random_bytes_are_packets_or_refused() {
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = Vec::new();
            for _ in 0..random.usize(..8) {
                let (kind, length) = (random.u8(..6), random.usize(..70));
                match kind {
                    0 => write_flush(&mut bytes),
                    1 => write_delimiter(&mut bytes),
                    2 => bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(length)),
                    _ => {
                        bytes.extend_from_slice(format!("{:04x}", length + HEAD).as_bytes());
                        bytes.extend(std::iter::repeat_with(|| random.u8(..5)).take(length));
                    }
                }
            }
            for _ in 0..random.usize(..3) {
                if let Some(place) = bytes.len().checked_sub(1).map(|last| random.usize(..=last)) {
                    bytes[place] = random.u8(..);
                }
            }
            let read = packets(&bytes, || random.usize(1..40));
            let again = packets(&bytes, || usize::MAX);
            // where it is wrong does not depend on the pieces
            assert_eq!(read.is_ok(), again.is_ok(), "seed {seed}");
            let Ok((found, _)) = read else { continue };
            let mut length = 0;
            for packet in found {
                length += HEAD;
                if let Packet::Data(data) = packet {
                    length += data.len();
                    // one of three, or a refusal
                    let _ = Band::of(data);
                }
            }
            assert!(length <= bytes.len(), "seed {seed}");
        }
    }
}
