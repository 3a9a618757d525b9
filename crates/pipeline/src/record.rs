//! What is known about an item after it was read, as bytes.

use slipway_digest::Digest;

use crate::levels::Levels;
use crate::report::Reason;

/// Which part of its source an item is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Part {
    // in the order in which one of several duplicates is kept: what tests must not train
    Test,
    Validation,
    Train,
    /// The source has no parts.
    Whole,
}

/// Why an item cannot be used, whatever else is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is not where an image with a label is.
    WrongPlace,
    /// Neither PNG nor JPEG.
    NotAnImage,
    /// What the decoder says.
    Unreadable(String),
    /// So many bytes.
    TooLarge(u64),
    /// A row of a table, and what exactly is wrong.
    Row(Reason, String),
}

/// An item that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// Its name within its unit; empty if it is the whole unit.
    pub(crate) name: &'a str,
    pub(crate) part: Part,
    /// As its source says it: a name, or a number from 0.
    pub(crate) label: &'a str,
    pub(crate) outcome: Result<Good, Fault>,
}

/// An item whose image or row is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Good {
    /// Of its pixels as read.
    pub(crate) content: Digest,
    /// Of its pixels after the transforms.
    pub(crate) result: Digest,
    /// Height and width as read.
    pub(crate) read: [u32; 2],
    /// The lowest and the highest level as read.
    pub(crate) range: [u8; 2],
    /// Height, width and channels after the transforms.
    pub(crate) shape: [u32; 3],
    /// Its difference hash; `None` if it was read when no rule asked for one, and of rows.
    pub(crate) hash: Option<u64>,
    pub(crate) levels: Levels,
    pub(crate) payload: Payload,
}

/// Where the bytes are that are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payload {
    /// The number of the pack that holds them.
    pub(crate) pack: u32,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) kind: Kind,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Levels,
    Png,
    Jpeg,
    /// The values of a row of a table.
    Row,
}

/// Appends numbers and texts to bytes. Integers are big-endian, so bytes sort as numbers do.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn clear(&mut self) -> &mut Self {
        self.bytes.clear();
        self
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.raw(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.u32(text.len() as u32).raw(text.as_bytes())
    }

    pub(crate) fn digest(&mut self, digest: &Digest) -> &mut Self {
        self.raw(digest.as_bytes())
    }

    pub(crate) fn levels(&mut self, levels: Levels) -> &mut Self {
        // of one image, which has at most 2^27 levels
        self.u32(levels.count as u32).u64(levels.sum as u64).u64(levels.squares as u64)
    }

    pub(crate) fn payload(&mut self, payload: Payload) -> &mut Self {
        self.u32(payload.pack).u64(payload.offset).u32(payload.length).u8(payload.kind as u8)
    }
}

/// Takes them off again. `None` at the end, and for what was not written so.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn raw<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*first)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.raw().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.raw().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.raw().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.raw().map(u64::from_be_bytes)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        let (text, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        std::str::from_utf8(text).ok()
    }

    pub(crate) fn digest(&mut self) -> Option<Digest> {
        self.raw().map(Digest::from_bytes)
    }

    pub(crate) fn part(&mut self) -> Option<Part> {
        [Part::Test, Part::Validation, Part::Train, Part::Whole].get(usize::from(self.u8()?)).copied()
    }

    pub(crate) fn levels(&mut self) -> Option<Levels> {
        Some(Levels { count: self.u32()?.into(), sum: self.u64()?.into(), squares: self.u64()?.into() })
    }

    pub(crate) fn payload(&mut self) -> Option<Payload> {
        let (pack, offset, length) = (self.u32()?, self.u64()?, self.u32()?);
        let kind = [Kind::Levels, Kind::Png, Kind::Jpeg, Kind::Row].get(usize::from(self.u8()?)).copied()?;
        Some(Payload { pack, offset, length, kind })
    }
}

impl<'a> Item<'a> {
    pub(crate) fn write(&self, to: &mut Writer) {
        to.text(self.name).u8(self.part as u8).text(self.label);
        match &self.outcome {
            Ok(good) => {
                to.u8(if good.hash.is_some() { 0 } else { 6 });
                to.digest(&good.content).digest(&good.result).u32(good.read[0]).u32(good.read[1]);
                to.raw(&good.range).u32(good.shape[0]).u32(good.shape[1]).u8(good.shape[2] as u8);
                if let Some(hash) = good.hash {
                    to.u64(hash);
                }
                to.levels(good.levels).payload(good.payload);
            }
            Err(Fault::WrongPlace) => {
                to.u8(1);
            }
            Err(Fault::NotAnImage) => {
                to.u8(2);
            }
            Err(Fault::Unreadable(reason)) => {
                to.u8(3).text(reason);
            }
            Err(Fault::TooLarge(bytes)) => {
                to.u8(4).u64(*bytes);
            }
            Err(Fault::Row(reason, detail)) => {
                to.u8(5).u8(*reason as u8).text(detail);
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'a>) -> Option<Self> {
        let (name, part, label) = (from.text()?, from.part()?, from.text()?);
        let outcome = match from.u8()? {
            kind @ (0 | 6) => Ok(Good {
                content: from.digest()?,
                result: from.digest()?,
                read: [from.u32()?, from.u32()?],
                range: from.raw()?,
                shape: [from.u32()?, from.u32()?, from.u8()?.into()],
                hash: if kind == 0 { Some(from.u64()?) } else { None },
                levels: from.levels()?,
                payload: from.payload()?,
            }),
            1 => Err(Fault::WrongPlace),
            2 => Err(Fault::NotAnImage),
            3 => Err(Fault::Unreadable(from.text()?.to_owned())),
            4 => Err(Fault::TooLarge(from.u64()?)),
            5 => {
                let reason = Reason::ALL.get(usize::from(from.u8()?)).copied()?;
                Err(Fault::Row(reason, from.text()?.to_owned()))
            }
            _ => return None,
        };
        Some(Self { name, part, label, outcome })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let good = Good {
            content: Digest::of("a"),
            result: Digest::of("b"),
            read: [28, 29],
            range: [3, 250],
            shape: [8, 9, 3],
            hash: Some(0x0123_4567_89ab_cdef),
            levels: Levels::of(&[1, 2, 3]),
            payload: Payload { pack: 7, offset: 1 << 40, length: 99, kind: Kind::Jpeg },
        };
        let row = Fault::Row(Reason::WrongCell, "column `x` is empty".to_owned());
        let unreadable = Fault::Unreadable("cut".to_owned());
        let faults = [Fault::WrongPlace, Fault::NotAnImage, unreadable, Fault::TooLarge(5), row];
        let unhashed = Good { hash: None, ..good };
        for outcome in [Ok(good), Ok(unhashed)].into_iter().chain(faults.map(Err)) {
            let item = Item { name: "é", part: Part::Train, label: "cat", outcome };
            let mut writer = Writer::default();
            item.write(&mut writer);
            let mut reader = Reader { bytes: &writer.bytes };
            assert_eq!(Item::read(&mut reader).unwrap(), item);
            assert!(reader.bytes.is_empty());
            for length in 0..writer.bytes.len() {
                assert_eq!(Item::read(&mut Reader { bytes: &writer.bytes[..length] }), None);
            }
        }
    }
}
