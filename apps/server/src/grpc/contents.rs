//! Tensors of gRPC messages.

use slipway_signature::Datatype;

use super::inference::InferTensorContents;
use crate::refusal::Refusal;
use crate::tensor::{Element, Elements, count, of_type};

/// The elements of an input from its little-endian bytes.
///
/// # Errors
/// 400 when the shape needs another number of bytes.
pub(super) fn raw(name: &str, datatype: Datatype, shape: &[i64], bytes: &[u8]) -> Result<Elements, Refusal> {
    let needed = count(shape).saturating_mul(datatype.size());
    if bytes.len() != needed {
        let found = bytes.len();
        return Err(Refusal::request(format!(
            "raw_input_contents of {name} has {found} bytes; the shape needs {needed}"
        )));
    }
    Ok(Elements::of_bytes(datatype, bytes))
}

/// The elements of an input from the list that fits its datatype.
///
/// # Errors
/// 400 when the datatype has no list, or does not hold one of the numbers.
pub(super) fn listed(name: &str, datatype: Datatype, contents: &InferTensorContents) -> Result<Elements, Refusal> {
    let integers = |list: Vec<i128>| {
        of_type!(datatype, E => {
            let convert = |(at, number): (usize, i128)| E::of_integer(number).ok_or_else(|| {
                Refusal::request(format!("contents of {name}: element {at} is {number}, which {datatype} does not hold"))
            });
            list.into_iter().enumerate().map(convert).collect::<Result<Vec<E>, _>>().map(E::list)
        })
    };
    match datatype {
        Datatype::Bool => Ok(Elements::Bool(contents.bool_contents.clone())),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => {
            integers(contents.int_contents.iter().map(|number| (*number).into()).collect())
        }
        Datatype::Uint8 => integers(contents.uint_contents.iter().map(|number| (*number).into()).collect()),
        Datatype::Int64 => Ok(Elements::Int64(contents.int64_contents.clone())),
        Datatype::Fp32 => Ok(Elements::Fp32(contents.fp32_contents.clone())),
        Datatype::Fp64 => Ok(Elements::Fp64(contents.fp64_contents.clone())),
        Datatype::Fp16 | Datatype::Bf16 => {
            Err(Refusal::request(format!("{name}: {datatype} has no list of contents; send raw_input_contents")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_by_datatype() {
        let contents =
            InferTensorContents { int_contents: vec![1, -200], uint_contents: vec![255], ..Default::default() };
        assert_eq!(listed("x", Datatype::Int16, &contents).unwrap(), Elements::Int16(vec![1, -200]));
        assert_eq!(listed("x", Datatype::Uint8, &contents).unwrap(), Elements::Uint8(vec![255]));
        for (datatype, says) in [
            (Datatype::Int8, "contents of x: element 1 is -200, which INT8 does not hold"),
            (Datatype::Fp16, "x: FP16 has no list of contents; send raw_input_contents"),
        ] {
            assert_eq!(listed("x", datatype, &contents).unwrap_err().message, says);
        }
        let refusal = raw("x", Datatype::Int64, &[2], &[0; 15]).unwrap_err();
        assert!(refusal.message.contains("has 15 bytes; the shape needs 16"), "{refusal}");
    }
}
