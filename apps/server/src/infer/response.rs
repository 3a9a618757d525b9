//! Writes answers.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{JSON_LENGTH, Wanted, classes};
use crate::loaded::Loaded;
use crate::refusal::Refusal;
use crate::tensor::{Array, Elements};

#[derive(Debug, Serialize)]
struct Body<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<Tensor<'a>>,
}

#[derive(Debug, Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Vec<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Debug, Serialize)]
struct Parameters {
    binary_data_size: usize,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Numbers(&'a Elements),
    Texts(Vec<String>),
}

impl Data<'_> {
    /// Appends the protocol's bytes, and returns how many those are. Each text follows its length.
    fn write(&self, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        match self {
            Self::Numbers(numbers) => return numbers.write(bytes),
            Self::Texts(texts) => {
                for text in texts {
                    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        bytes.len() - before
    }
}

/// The answer of a model that gave these outputs, with those that are wanted, in their order.
///
/// # Errors
/// 500 when a number is not finite and is wanted as JSON, which has no such numbers.
pub fn response(model: &Loaded, id: Option<String>, wanted: &[Wanted], outputs: &[Array]) -> Result<Response, Refusal> {
    let mut binary = Vec::new();
    let mut tensors = Vec::with_capacity(wanted.len());
    for one in wanted {
        let (spec, array) = one.of(&model.interface, outputs)?;
        let mut tensor = tensor(array, &spec.name, one.classes, model);
        if one.binary {
            let data = tensor.data.take();
            tensor.parameters = data.map(|data| Parameters { binary_data_size: data.write(&mut binary) });
        } else if one.classes == 0 && !array.elements.are_finite() {
            return Err(Refusal::unexpected(format!(
                "the output `{}` has numbers that are not finite, which JSON does not have; ask for it as binary data",
                spec.name
            )));
        }
        tensors.push(tensor);
    }
    let body = Body { model_name: &model.name, model_version: &model.version, id, outputs: tensors };
    let mut bytes = serde_json::to_vec(&body).map_err(|error| Refusal::unexpected(error.to_string()))?;
    if !wanted.iter().any(|wanted| wanted.binary) {
        return Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response());
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (JSON_LENGTH, HeaderValue::from(bytes.len())),
    ];
    bytes.append(&mut binary);
    Ok((headers, bytes).into_response())
}

/// An output as the protocol's bytes, with their datatype and shape.
pub fn encoded(array: &Array, classes: usize, model: &Loaded) -> (&'static str, Vec<i64>, Vec<u8>) {
    let Tensor { datatype, shape, data, .. } = tensor(array, "", classes, model);
    let mut bytes = Vec::new();
    if let Some(data) = data {
        data.write(&mut bytes);
    }
    (datatype, shape, bytes)
}

/// An output as its numbers, or as its best classes.
fn tensor<'a>(array: &'a Array, name: &'a str, most: usize, model: &'a Loaded) -> Tensor<'a> {
    if most == 0 {
        let (datatype, data) = (array.elements.datatype().as_str(), Some(Data::Numbers(&array.elements)));
        return Tensor { name, datatype, shape: array.shape.clone(), parameters: None, data };
    }
    let rows = classes(array, &model.interface.labels, most);
    let mut shape = array.shape.clone();
    if let (Some(last), Some(first)) = (shape.last_mut(), rows.first()) {
        *last = first.len() as i64;
    }
    let texts = rows.iter().flatten().map(ToString::to_string).collect();
    Tensor { name, datatype: "BYTES", shape, parameters: None, data: Some(Data::Texts(texts)) }
}
