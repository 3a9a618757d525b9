//! Elements of a tensor as JSON: one flat list, or lists nested by shape.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use slipway_signature::Datatype;

use crate::tensor::{Element, Elements, of_type};

/// The elements as one flat list, whichever way they were nested.
#[derive(Debug)]
pub struct Numbers {
    /// The elements.
    pub elements: Elements,
    /// How the lists were nested: their lengths, the outermost first. Empty for a single number.
    pub nested: Vec<u64>,
    /// The first of them that the datatype does not hold, or where the lists are ragged.
    pub problem: Option<String>,
}

/// Reads elements of this type. What the type does not hold is a problem of the result, not an error: the request may name another type
/// later.
pub struct OfType(pub Datatype);

impl<'de> DeserializeSeed<'de> for OfType {
    type Value = Numbers;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Numbers, D::Error> {
        of_type!(self.0, E => {
            let mut list: Vec<E> = Vec::with_capacity(784);
            let mut nesting = Nesting::default();
            List { list: &mut list, nesting: &mut nesting, depth: 0 }.deserialize(from)?;
            let nested = nesting.lengths.into_iter().flatten().map(|length| length as u64).collect();
            Ok(Numbers { elements: E::list(list), nested, problem: nesting.problem })
        })
    }
}

/// How lists are nested.
#[derive(Default)]
struct Nesting {
    /// The depth of the numbers.
    numbers: Option<usize>,
    /// The length of the lists at each depth.
    lengths: Vec<Option<usize>>,
    problem: Option<String>,
}

/// Appends every element of a nested list.
struct List<'a, E> {
    list: &'a mut Vec<E>,
    nesting: &'a mut Nesting,
    depth: usize,
}

impl<E: Element> List<'_, E> {
    fn add(self, element: Option<E>, given: impl fmt::Debug) {
        if self.nesting.numbers != Some(self.depth) {
            if self.nesting.numbers.is_some() {
                self.nesting.problem("data is ragged: it has numbers beside lists");
            }
            self.nesting.numbers = Some(self.depth);
        }
        if element.is_none() {
            let at = self.list.len();
            self.nesting.problem(format_args!("data[{at}] is {given:?}; {} holds {}", E::DATATYPE, held(E::DATATYPE)));
        }
        self.list.push(element.unwrap_or_default());
    }
}

impl Nesting {
    fn problem(&mut self, problem: impl fmt::Display) {
        self.problem.get_or_insert_with(|| problem.to_string());
    }

    /// Counts a list of this length.
    fn list(&mut self, depth: usize, length: usize) {
        if self.lengths.len() <= depth {
            self.lengths.resize(depth + 1, None);
        }
        match self.lengths[depth] {
            None => self.lengths[depth] = Some(length),
            Some(other) if other == length => {}
            Some(other) => {
                self.problem(format_args!("data is ragged: a list has {length} elements, and one beside it {other}"));
            }
        }
    }
}

/// What a datatype holds.
fn held(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "true and false",
        Datatype::Uint8 => "whole numbers from 0 to 255",
        Datatype::Int8 => "whole numbers from -128 to 127",
        Datatype::Int16 => "whole numbers from -32768 to 32767",
        Datatype::Int32 => "whole numbers from -2147483648 to 2147483647",
        Datatype::Int64 => "whole numbers from -9223372036854775808 to 9223372036854775807",
        Datatype::Fp16 => "numbers up to 65504",
        Datatype::Bf16 | Datatype::Fp32 => "numbers up to 3.4e38",
        Datatype::Fp64 => "numbers up to 1.8e308",
    }
}

impl<'de, E: Element> DeserializeSeed<'de> for List<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, E: Element> Visitor<'de> for List<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_f64<F>(self, number: f64) -> Result<(), F> {
        self.add(E::of_float(number), number);
        Ok(())
    }

    fn visit_u64<F>(self, number: u64) -> Result<(), F> {
        self.add(E::of_integer(number.into()), number);
        Ok(())
    }

    fn visit_i64<F>(self, number: i64) -> Result<(), F> {
        self.add(E::of_integer(number.into()), number);
        Ok(())
    }

    fn visit_bool<F>(self, value: bool) -> Result<(), F> {
        self.add(E::of_bool(value), value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { list, nesting, depth } = self;
        if nesting.numbers.is_some_and(|numbers| numbers <= depth) {
            nesting.problem("data is ragged: it has lists beside numbers");
        }
        let mut length = 0;
        while items.next_element_seed(List { list: &mut *list, nesting: &mut *nesting, depth: depth + 1 })?.is_some() {
            length += 1;
        }
        nesting.list(depth, length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(datatype: Datatype, json: &str) -> Numbers {
        let mut from = serde_json::Deserializer::from_str(json);
        OfType(datatype).deserialize(&mut from).unwrap()
    }

    #[test]
    fn flat_and_nested_lists_are_the_same() {
        for json in ["[1,2,3,4]", "[[1,2],[3,4]]", "[[[1],[2]],[[3],[4.0]]]"] {
            let found = read(Datatype::Int8, json);
            assert_eq!(found.nested.iter().product::<u64>(), 4);
            assert_eq!((found.elements, found.problem), (Elements::Int8(vec![1, 2, 3, 4]), None), "{json}");
        }
        assert_eq!(read(Datatype::Bool, "[true,0,1]").elements, Elements::Bool(vec![true, false, true]));
        assert_eq!(read(Datatype::Int64, "[-9223372036854775808]").elements, Elements::Int64(vec![i64::MIN]));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        for (datatype, json, says) in [
            (Datatype::Uint8, "[0, 300]", "data[1] is 300; UINT8 holds whole numbers from 0 to 255"),
            (Datatype::Int64, "[[1.5]]", "data[0] is 1.5; INT64 holds whole numbers"),
            (Datatype::Int64, "[18446744073709551615]", "data[0] is 18446744073709551615"),
            (Datatype::Fp32, "[1e300]", "FP32 holds numbers up to 3.4e38"),
            (Datatype::Fp32, "[true]", "data[0] is true"),
            (Datatype::Bool, "[2]", "BOOL holds true and false"),
            (Datatype::Fp32, "[[1,2],[3]]", "ragged: a list has 1 elements, and one beside it 2"),
            (Datatype::Fp32, "[1,[2]]", "ragged: it has lists beside numbers"),
            (Datatype::Fp32, "[[1],2]", "ragged: it has numbers beside lists"),
            (Datatype::Fp32, "[[[1,2]],[[3,4],[5,6]]]", "ragged"),
        ] {
            let problem = read(datatype, json).problem.unwrap();
            assert!(problem.contains(says), "{json}: {problem}");
        }
    }
}
