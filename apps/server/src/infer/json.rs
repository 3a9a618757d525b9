//! The JSON of a request.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use slipway_signature::Datatype;

use super::numbers::{Numbers, OfType};
use super::plain;
use super::wanted::Requested;

/// A request as it was sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: Option<String>,
    /// Whether outputs are binary unless they say otherwise.
    pub(super) binary: bool,
    pub(super) inputs: Vec<Tensor>,
    pub(super) outputs: Vec<Requested>,
}

/// An input as it was sent.
#[derive(Debug, Default)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<u64>,
    pub(super) binary_data_size: Option<u64>,
    pub(super) shared_memory: bool,
    pub(super) data: Option<Numbers>,
}

#[derive(Deserialize)]
struct RequestParameters {
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(Deserialize)]
struct TensorParameters {
    binary_data_size: Option<u64>,
    shared_memory_region: Option<IgnoredAny>,
}

/// Reads a request whose inputs probably have these datatypes.
pub(super) fn parse(json: &[u8], expected: &[Datatype]) -> serde_json::Result<Request> {
    plain::parse(json, expected).map_or_else(|| read(json, expected), Ok)
}

/// Reads any form of it.
///
/// An object's members have no order, so an input's numbers may come before its datatype. They are then read as what the model takes. If
/// that was wrong, everything is read again.
pub(super) fn read(json: &[u8], expected: &[Datatype]) -> serde_json::Result<Request> {
    let read = |expected: &[Datatype]| {
        let mut from = serde_json::Deserializer::from_slice(json);
        let request = Whole(expected).deserialize(&mut from)?;
        from.end()?;
        Ok(request)
    };
    let request = read(expected)?;
    let declared = |input: &Tensor| input.datatype.parse().unwrap_or(Datatype::Fp32);
    let other = |input: &Tensor| input.data.as_ref().is_some_and(|data| data.elements.datatype() != declared(input));
    if request.inputs.iter().any(other) {
        return read(&request.inputs.iter().map(declared).collect::<Vec<_>>());
    }
    Ok(request)
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Id,
    Parameters,
    Inputs,
    Outputs,
    #[serde(other)]
    Other,
}

struct Whole<'a>(&'a [Datatype]);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Request;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Request, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let (mut id, mut binary, mut inputs, mut outputs) = (None, false, None, None);
        while let Some(member) = map.next_key()? {
            match member {
                Member::Id => id = map.next_value()?,
                Member::Parameters => {
                    let parameters: Option<RequestParameters> = map.next_value()?;
                    binary = parameters.is_some_and(|parameters| parameters.binary_data_output);
                }
                Member::Inputs => inputs = Some(map.next_value_seed(Inputs(self.0))?),
                Member::Outputs => outputs = map.next_value()?,
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let inputs = inputs.ok_or_else(|| A::Error::missing_field("inputs"))?;
        Ok(Request { id, binary, inputs, outputs: outputs.unwrap_or_default() })
    }
}

struct Inputs<'a>(&'a [Datatype]);

impl<'de> DeserializeSeed<'de> for Inputs<'_> {
    type Value = Vec<Tensor>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Vec<Tensor>, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Inputs<'_> {
    type Value = Vec<Tensor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of inputs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Tensor>, A::Error> {
        let mut inputs: Vec<Tensor> = Vec::with_capacity(self.0.len());
        let expected = |at: usize| self.0.get(at).copied().unwrap_or(Datatype::Fp32);
        while let Some(input) = list.next_element_seed(Input(expected(inputs.len())))? {
            inputs.push(input);
        }
        Ok(inputs)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum TensorMember {
    Name,
    Datatype,
    Shape,
    Parameters,
    Data,
    #[serde(other)]
    Other,
}

struct Input(Datatype);

impl<'de> DeserializeSeed<'de> for Input {
    type Value = Tensor;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Tensor, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Input {
    type Value = Tensor;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an input")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensor, A::Error> {
        let mut tensor = Tensor::default();
        let (mut datatype, mut shape): (Option<String>, Option<Vec<u64>>) = (None, None);
        while let Some(member) = map.next_key()? {
            match member {
                TensorMember::Name => tensor.name = map.next_value()?,
                TensorMember::Datatype => datatype = Some(map.next_value()?),
                TensorMember::Shape => shape = Some(map.next_value()?),
                TensorMember::Parameters => {
                    if let Some(parameters) = map.next_value::<Option<TensorParameters>>()? {
                        tensor.binary_data_size = parameters.binary_data_size;
                        tensor.shared_memory = parameters.shared_memory_region.is_some();
                    }
                }
                TensorMember::Data => {
                    let declared = datatype.as_deref().and_then(|datatype| datatype.parse().ok());
                    tensor.data = Some(map.next_value_seed(OfType(declared.unwrap_or(self.0)))?);
                }
                TensorMember::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        tensor.datatype = datatype.ok_or_else(|| A::Error::missing_field("datatype"))?;
        tensor.shape = shape.ok_or_else(|| A::Error::missing_field("shape"))?;
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Elements;

    fn data(json: &str, expected: Datatype) -> Elements {
        parse(json.as_bytes(), &[expected]).unwrap().inputs.remove(0).data.unwrap().elements
    }

    #[test]
    fn members_have_no_order() {
        let json = r#"{"outputs": null, "inputs": [{"data": [300, 2], "shape": [2], "name": "x", "datatype": "INT16"}], "id": "a"}"#;
        for expected in [Datatype::Int16, Datatype::Uint8, Datatype::Fp32] {
            assert_eq!(data(json, expected), Elements::Int16(vec![300, 2]));
        }
    }

    #[test]
    fn what_follows_the_request_is_an_error() {
        let error = parse(br#"{"inputs": []} x"#, &[]).unwrap_err().to_string();
        assert!(error.contains("trailing characters at line 1 column 16"), "{error}");
        assert!(parse(br#"{"inputs": [{"shape": [1]}]}"#, &[]).unwrap_err().to_string().contains("`datatype`"));
        assert!(parse(b"{}", &[]).unwrap_err().to_string().contains("missing field `inputs`"));
    }
}
