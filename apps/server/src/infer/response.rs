//! Writes responses.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::{JSON_LENGTH, Output, Wanted};
use crate::loaded::Loaded;
use crate::refusal::Refusal;

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
    name: &'static str,
    datatype: &'static str,
    shape: &'a [usize],
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
    Floats(&'a [f32]),
    Integers(&'a [i64]),
}

impl Data<'_> {
    fn datatype(&self) -> &'static str {
        match self {
            Self::Floats(_) => "FP32",
            Self::Integers(_) => "INT64",
        }
    }

    /// Appends the numbers as the protocol's bytes, and returns how many those are.
    fn write(&self, bytes: &mut Vec<u8>) -> usize {
        let before = bytes.len();
        match self {
            Self::Floats(numbers) => bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
            Self::Integers(numbers) => bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes())),
        }
        bytes.len() - before
    }
}

/// The response of a model that gave these probabilities, with the outputs that are wanted, in their order.
///
/// # Errors
/// 500 when it cannot be written, which does not happen: all of its numbers are finite.
pub fn response(
    model: &Loaded,
    id: Option<String>,
    wanted: &[Wanted],
    images: usize,
    probabilities: &[f32],
) -> Result<Response, Refusal> {
    let classes = probabilities.len() / images.max(1);
    let labels: Vec<i64> = probabilities.chunks(classes.max(1)).map(best).collect();
    let (shape, shape_of_labels) = ([images, classes], [images]);
    let mut binary = Vec::new();
    let outputs = wanted.iter().map(|wanted| {
        let (shape, data): (&[usize], _) = match wanted.output {
            Output::Probabilities => (&shape, Data::Floats(probabilities)),
            Output::Label => (&shape_of_labels, Data::Integers(&labels)),
        };
        let (name, datatype) = (wanted.output.name(), data.datatype());
        if wanted.binary {
            let parameters = Some(Parameters { binary_data_size: data.write(&mut binary) });
            Tensor { name, datatype, shape, parameters, data: None }
        } else {
            Tensor { name, datatype, shape, parameters: None, data: Some(data) }
        }
    });
    let body = Body { model_name: &model.name, model_version: &model.version, id, outputs: outputs.collect() };
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

/// The index of the highest probability. On a tie the first class wins, as in other implementations of argmax.
fn best(row: &[f32]) -> i64 {
    (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best }) as i64
}
