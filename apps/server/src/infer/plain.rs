//! The JSON of a request in its plain form, which nearly every request has: members without escapes, and numbers of FP32 or FP64. It is
//! read in one pass, straight into the numbers.
//!
//! Whatever is not as expected here is read again by `json`, which knows every form and says what is wrong.

use slipway_signature::Datatype;

use super::json::{Request, Tensor};
use super::numbers::Numbers;
use crate::tensor::Element;

/// Lists in lists, at most.
const DEEPEST: usize = 8;
/// Powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Digits that always fit in 64 bits.
const DIGITS: usize = 19;
/// Up to here, a double holds every whole number exactly.
const EXACT: u64 = 1 << 53;

/// Reads a request whose inputs probably have these datatypes. `None` if its form is another one.
pub(super) fn parse(json: &[u8], expected: &[Datatype]) -> Option<Request> {
    let mut reader = Reader { rest: json };
    let (mut id, mut inputs) = (None, None);
    reader.members(|reader, member| match member {
        b"id" if id.is_none() => {
            id = Some(reader.text()?.to_owned());
            Some(())
        }
        b"inputs" if inputs.is_none() => {
            let mut list = Vec::with_capacity(expected.len());
            reader.elements(|reader| {
                list.push(reader.input(*expected.get(list.len())?)?);
                Some(())
            })?;
            inputs = Some(list);
            Some(())
        }
        _ => None,
    })?;
    reader.blank();
    let inputs = inputs.filter(|_| reader.rest.is_empty())?;
    Some(Request { id, binary: false, inputs, outputs: Vec::new() })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn blank(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// The next byte after blanks.
    fn next(&mut self) -> Option<u8> {
        self.blank();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// The members of an object.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &[u8]) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        loop {
            let name = self.text()?.as_bytes();
            self.expect(b':')?;
            member(self, name)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    /// The elements of a list that is not empty, and how many there are.
    fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<usize> {
        self.expect(b'[')?;
        let mut count = 0;
        loop {
            element(self)?;
            count += 1;
            match self.next()? {
                b',' => {}
                b']' => return Some(count),
                _ => return None,
            }
        }
    }

    fn input(&mut self, expected: Datatype) -> Option<Tensor> {
        let (mut name, mut datatype, mut shape, mut data) = (None, None, None, None);
        self.members(|reader, member| {
            match member {
                b"name" if name.is_none() => name = Some(reader.text()?),
                b"datatype" if datatype.is_none() => datatype = Some(reader.text()?),
                b"shape" if shape.is_none() => {
                    let mut sizes = Vec::with_capacity(4);
                    reader.elements(|reader| {
                        sizes.push(reader.size()?);
                        Some(())
                    })?;
                    shape = Some(sizes);
                }
                b"data" if data.is_none() => {
                    data = Some(match expected {
                        Datatype::Fp32 => reader.numbers::<f32>()?,
                        Datatype::Fp64 => reader.numbers::<f64>()?,
                        _ => return None,
                    });
                }
                _ => return None,
            }
            Some(())
        })?;
        let datatype = datatype.filter(|datatype| *datatype == expected.as_str())?.to_owned();
        let name = name.unwrap_or_default().to_owned();
        Some(Tensor { name, datatype, shape: shape?, binary_data_size: None, shared_memory: false, data })
    }

    /// A whole number without sign, fraction or exponent.
    fn size(&mut self) -> Option<u64> {
        self.blank();
        let mut digits = Digits::default();
        self.digits(&mut digits);
        let zeros = digits.count > 1 && digits.leading;
        (digits.count > 0 && digits.count < DIGITS && !zeros && !matches!(self.rest, [b'.' | b'e' | b'E', ..]))
            .then_some(digits.value)
    }

    /// Numbers in lists that are nested by shape.
    fn numbers<E: Element>(&mut self) -> Option<Numbers> {
        let mut list: Vec<E> = Vec::with_capacity(784);
        let mut lengths = [0; DEEPEST];
        let depth = self.list(&mut list, &mut lengths)?;
        let nested = lengths[..depth].iter().map(|length| *length as u64).collect();
        Some(Numbers { elements: E::list(list), nested, problem: None })
    }

    /// Appends the numbers of a list. `lengths` begins with the lengths of the lists at this depth and below, or 0 if there was none yet.
    /// Returns how deep the numbers are.
    fn list<E: Element>(&mut self, list: &mut Vec<E>, lengths: &mut [usize]) -> Option<usize> {
        let (length, below) = lengths.split_first_mut()?;
        self.expect(b'[')?;
        self.blank();
        let mut depth = 0;
        let mut count = 0;
        if let [b'[', ..] = self.rest {
            loop {
                self.blank();
                let found = self.list(list, below)?;
                if count > 0 && found != depth {
                    return None;
                }
                depth = found;
                count += 1;
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        } else {
            loop {
                self.blank();
                list.push(E::of_float(self.number()?)?);
                count += 1;
                match self.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        if *length != 0 && *length != count {
            return None;
        }
        *length = count;
        Some(depth + 1)
    }

    /// The nearest double to a number.
    fn number(&mut self) -> Option<f64> {
        // what most pixels are
        if let [b'0', b'.', b'0', b',' | b']', ..] = self.rest {
            self.rest = &self.rest[3..];
            return Some(0.0);
        }
        let begin = self.rest;
        let negative = self.rest.first() == Some(&b'-');
        if negative {
            self.rest = &self.rest[1..];
        }
        let mut digits = Digits::default();
        self.digits(&mut digits);
        let whole = digits.count;
        if whole == 0 || (whole > 1 && digits.leading) {
            return None;
        }
        let mut exponent = 0;
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits(&mut digits);
            if digits.count == whole {
                return None;
            }
            exponent = -i32::try_from(digits.count - whole).ok()?;
        }
        if let [b'e' | b'E', rest @ ..] = self.rest {
            let (sign, rest) = match rest {
                [b'-', rest @ ..] => (-1, rest),
                [b'+', rest @ ..] => (1, rest),
                rest => (1, rest),
            };
            self.rest = rest;
            let mut power = Digits::default();
            self.digits(&mut power);
            if !(1..=3).contains(&power.count) {
                return None;
            }
            exponent += sign * i32::try_from(power.value).ok()?;
        }
        match POWERS.get(exponent.unsigned_abs() as usize) {
            // Both are exact, so what they give is rounded once.
            Some(power) if digits.count <= DIGITS && digits.value <= EXACT => {
                let value = digits.value as f64;
                let value = if exponent < 0 { value / power } else { value * power };
                Some(if negative { -value } else { value })
            }
            _ => {
                let text = std::str::from_utf8(&begin[..begin.len() - self.rest.len()]).ok()?;
                text.parse().ok().filter(|number: &f64| number.is_finite())
            }
        }
    }

    /// Appends decimal digits.
    fn digits(&mut self, digits: &mut Digits) {
        digits.leading |= digits.count == 0 && self.rest.first() == Some(&b'0');
        while let Some((eight, rest)) = self.rest.split_first_chunk::<8>() {
            let Some(value) = eight_digits(u64::from_le_bytes(*eight)) else { break };
            digits.value = digits.value.wrapping_mul(100_000_000).wrapping_add(value);
            digits.count += 8;
            self.rest = rest;
        }
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest {
            digits.value = digits.value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            digits.count += 1;
            self.rest = rest;
        }
    }
}

/// Decimal digits that were read.
#[derive(Default)]
struct Digits {
    /// Their number, if there are not more than [`DIGITS`].
    value: u64,
    count: usize,
    /// Whether the first one is 0.
    leading: bool,
}

/// The number that eight bytes are, the first in the lowest place of `text`; `None` if not all of them are digits. Neighbours are put
/// together, then pairs of them, then pairs of those (Lemire, "Number parsing at a gigabyte per second", 2021).
fn eight_digits(text: u64) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const SIXES: u64 = 0x0606_0606_0606_0606;
    if text & HIGH != ZEROS || text.wrapping_add(SIXES) & HIGH != ZEROS {
        return None;
    }
    let digits = text - ZEROS;
    let pairs = (digits & 0x000f_000f_000f_000f) * 10 + ((digits >> 8) & 0x000f_000f_000f_000f);
    let fours = (pairs & 0x0000_00ff_0000_00ff) * 100 + ((pairs >> 16) & 0x0000_00ff_0000_00ff);
    Some((fours & 0xffff) * 10_000 + (fours >> 32))
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;
    use crate::tensor::Elements;

    /// Whether it is read here, as the other reader reads it.
    fn alike(body: &str) -> bool {
        let expected = [Datatype::Fp32];
        let Some(plain) = parse(body.as_bytes(), &expected) else { return false };
        format!("{plain:?}") == format!("{:?}", json::read(body.as_bytes(), &expected).unwrap())
    }

    fn body(data: &str) -> String {
        format!(r#"{{"id": "é", "inputs": [{{"name": "x", "datatype": "FP32", "shape": [2, 2], "data": {data}}}]}}"#)
    }

    #[test]
    fn numbers_are_the_nearest_to_their_text() {
        let mut random = 7_u64;
        let mut next = move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 11
        };
        for round in 0..2000 {
            let unit = next() as f64 / (1_u64 << 53) as f64;
            let texts = [
                format!("{unit}"),
                format!("{}", unit as f32),
                format!("{}", -unit * 1000.0),
                format!("{:e}", unit * 1e-4),
                format!("{:e}", unit * 1e30),
                format!("{:.*}", round % 30, unit),
                format!("{}", next() >> (round % 40)),
                format!("{}", (next() % 256) as f64 / 255.0),
            ];
            let list = format!("[{}]", texts.join(if round % 2 == 0 { "," } else { ", " }));
            let want: Vec<f64> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let read = |body: String, datatype| {
                let request = parse(body.as_bytes(), &[datatype]);
                request.and_then(|mut request| request.inputs.remove(0).data).map(|data| data.elements)
            };
            let single = Elements::Fp32(want.iter().map(|number| *number as f32).collect());
            assert_eq!(read(body(&list), Datatype::Fp32), Some(single), "{list}");
            let double = read(body(&list).replace("FP32", "FP64"), Datatype::Fp64);
            assert_eq!(double, Some(Elements::Fp64(want)), "{list}");
        }
    }

    #[test]
    fn plain_requests_are_read_here() {
        for data in [
            "[0.0,1.0,0,1]",
            "[[0.5, 1],[ 0.25 ,-0.0 ] ]",
            "[[[1e-3],[2E+2]],[[3],[4.5e0]]]",
            "[0.0]",
            "[12345678.87654321]",
        ] {
            assert!(alike(&body(data)), "{data}");
        }
        let reordered = r#" {"inputs":[{"data":[1,2],"shape":[2],"datatype":"FP32"}]} "#;
        assert!(alike(reordered));
        let request = parse(body("[[1,2],[3,4]]").as_bytes(), &[Datatype::Fp32]).unwrap();
        let numbers = request.inputs[0].data.as_ref().unwrap();
        assert_eq!(
            (&numbers.elements, numbers.nested.as_slice()),
            (&Elements::Fp32(vec![1.0, 2.0, 3.0, 4.0]), &[2, 2][..])
        );
    }

    #[test]
    fn everything_else_is_left_to_the_other_reader() {
        for data in [
            "[]",
            "[[]]",
            "[01]",
            "[+1]",
            "[.5]",
            "[1.]",
            "[1e]",
            "[1e+]",
            "[NaN]",
            "[Infinity]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "1",
            "[-]",
            "[[1],2]",
            "[1,[2]]",
            "[[1,2],[3]]",
            "[[[1]],[2]]",
            "[true]",
            "[null]",
            "[\"1\"]",
            "[1e39]",
            "[1e400]",
            "[0x1]",
            "[1_0]",
            "{}",
            "[[[[[[[[[1]]]]]]]]]",
            "[1]]",
            "[1}",
        ] {
            assert!(parse(body(data).as_bytes(), &[Datatype::Fp32]).is_none(), "{data}");
        }
        let good = body("[1,2,3,4]");
        for (from, to) in [
            ("\"x\"", "\"\\u0078\""),
            ("\"x\"", "7"),
            ("\"x\"", "\"a\nb\""),
            ("\"x\"", "\"a\n\""),
            ("FP32", "FP64"),
            ("FP32", "INT8"),
            ("[2, 2]", "[2, -2]"),
            ("[2, 2]", "[2.0, 2]"),
            ("[2, 2]", "[]"),
            ("[2, 2]", "[02, 2]"),
            ("[2, 2]", "[20000000000000000000, 2]"),
            ("\"id\"", "\"more\""),
            ("\"id\": \"é\"", "\"id\": null"),
            ("}]}", "}]} x"),
            ("}]}", "}, {}]}"),
            ("}]}", "}], \"inputs\": []}"),
            ("}]}", ", \"parameters\": {}}]}"),
            ("}]}", ", \"data\": [1]}]}"),
            ("\"shape\": [2, 2], ", ""),
            ("\"datatype\": \"FP32\", ", ""),
        ] {
            let other = good.replacen(from, to, 1);
            assert!(other != good && parse(other.as_bytes(), &[Datatype::Fp32]).is_none(), "{other}");
        }
        for cut in 0..good.len() {
            assert!(parse(&good.as_bytes()[..cut], &[Datatype::Fp32]).is_none(), "{cut}");
        }
        assert!(parse(good.as_bytes(), &[Datatype::Int8]).is_none() && parse(good.as_bytes(), &[]).is_none());
        assert!(parse(b"{\"id\": \"\xff\"}", &[]).is_none() && parse(b"{}", &[]).is_none());
    }
}
