//! Requests and responses of `…/infer`, in the Open Inference Protocol.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use slipway_model::Config;

use crate::loaded::{Loaded, MOST_IMAGES};
use crate::refusal::Refusal;

/// An inference request. Its `outputs` are ignored: the response always holds both outputs.
#[derive(Debug, Deserialize)]
pub struct Request {
    /// Repeated in the response.
    pub id: Option<String>,
    inputs: Vec<Tensor>,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    #[serde(default)]
    name: String,
    datatype: String,
    shape: Vec<u64>,
    data: Numbers,
}

/// The numbers as one flat list. The request may nest them by shape.
#[derive(Debug)]
struct Numbers(Vec<f32>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::with_capacity(784);
        Flat(&mut numbers).deserialize(deserializer)?;
        Ok(Self(numbers))
    }
}

/// Appends every number of a nested list.
struct Flat<'a>(&'a mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.0.push(number as f32);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.push(number as f32);
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.0.push(number as f32);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Flat(&mut *self.0))?.is_some() {}
        Ok(())
    }
}

/// A checked request: `images` × channels × height × width numbers from 0, paper, to 1, ink.
#[derive(Debug)]
pub struct Images {
    /// Repeated in the response.
    pub id: Option<String>,
    /// The pixels, row by row.
    pub pixels: Vec<f32>,
    /// The number of images.
    pub images: usize,
}

/// Reads a request's body for a model.
///
/// # Errors
/// 400 with what is allowed; 413 for more images than one call takes.
pub fn read(body: &[u8], config: &Config) -> Result<Images, Refusal> {
    let [channels, height, width] = config.input;
    let shapes = format!("[n, {channels}, {height}, {width}], [n, {height}, {width}] or [n, {}]", config.pixels());
    let request: Request = serde_json::from_slice(body).map_err(|error| {
        Refusal::request(format!(
            "the body is not an inference request: {error}; expected {{\"inputs\": [{{\"name\": \"image\", \"datatype\": \"FP32\", \
             \"shape\": {shapes}, \"data\": [numbers from 0 to 1]}}]}}"
        ))
    })?;
    let [input] = <[Tensor; 1]>::try_from(request.inputs)
        .map_err(|inputs| Refusal::request(format!("{} inputs; expected one, named image", inputs.len())))?;
    if !input.name.is_empty() && input.name != "image" {
        return Err(Refusal::request(format!("the input is named `{}`; expected image", start_of(&input.name))));
    }
    if input.datatype != "FP32" {
        return Err(Refusal::request(format!("the datatype is `{}`; expected FP32", start_of(&input.datatype))));
    }
    let Numbers(pixels) = input.data;
    let images = images_of(&input.shape, config)
        .ok_or_else(|| Refusal::request(format!("the shape is {:?}; expected {shapes}", brief(&input.shape))))?;
    if images > MOST_IMAGES {
        return Err(Refusal::too_much(format!("{images} images; at most {MOST_IMAGES} in one request")));
    }
    let expected = images * config.pixels();
    if pixels.len() != expected {
        return Err(Refusal::request(format!("data has {} numbers; the shape needs {expected}", pixels.len())));
    }
    if let Some(at) = pixels.iter().position(|number| !(0.0..=1.0).contains(number)) {
        return Err(Refusal::request(format!(
            "data[{at}] is {}; expected a number from 0 (paper) to 1 (ink)",
            pixels[at]
        )));
    }
    Ok(Images { id: request.id, pixels, images })
}

/// The number of images that a shape declares; `None` if the shape is not allowed.
fn images_of(shape: &[u64], config: &Config) -> Option<usize> {
    let (&images, rest) = shape.split_first()?;
    let [channels, height, width] = config.input.map(i64::unsigned_abs);
    let fits = rest == [channels, height, width]
        || (channels == 1 && rest == [height, width])
        || rest == [channels * height * width];
    usize::try_from(images).ok().filter(|images| fits && *images > 0)
}

/// The first 40 characters of a text that a client sent.
fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

fn brief(shape: &[u64]) -> &[u64] {
    &shape[..shape.len().min(8)]
}

/// The response.
#[derive(Debug, Serialize)]
pub struct Response<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: (Probabilities, Labels),
}

type Probabilities = Output<[usize; 2], Vec<f32>>;
type Labels = Output<[usize; 1], Vec<usize>>;

#[derive(Debug, Serialize)]
struct Output<S, D> {
    name: &'static str,
    datatype: &'static str,
    shape: S,
    data: D,
}

impl<'a> Response<'a> {
    /// The response of a model that gave these probabilities.
    pub fn new(model: &'a Loaded, id: Option<String>, images: usize, probabilities: Vec<f32>) -> Self {
        let classes = probabilities.len() / images.max(1);
        // On a tie the first class wins, as in other implementations of argmax.
        let best = |row: &[f32]| (1..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
        let labels = probabilities.chunks(classes.max(1)).map(best).collect();
        let probabilities =
            Output { name: "probabilities", datatype: "FP32", shape: [images, classes], data: probabilities };
        let labels = Output { name: "label", datatype: "INT64", shape: [images], data: labels };
        Self { model_name: &model.name, model_version: &model.version, id, outputs: (probabilities, labels) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use slipway_model::Architecture;

    use super::*;

    fn config() -> Config {
        Config::mnist(Architecture::Mlp, 0.0)
    }

    fn body(shape: Value, data: Value) -> Vec<u8> {
        json!({"id": "7", "inputs": [{"name": "image", "datatype": "FP32", "shape": shape, "data": data}]})
            .to_string()
            .into_bytes()
    }

    #[test]
    fn every_shape_of_a_digit_is_read() {
        let flat = vec![0.5; 2 * 784];
        let nested: Vec<Vec<Vec<f64>>> = vec![vec![vec![0.5; 28]; 28]; 2];
        for (shape, data) in [
            (json!([2, 1, 28, 28]), json!(flat)),
            (json!([2, 28, 28]), json!(flat)),
            (json!([2, 784]), json!(flat)),
            (json!([2, 28, 28]), json!(nested)),
        ] {
            let read = read(&body(shape, data), &config()).unwrap();
            assert_eq!((read.images, read.pixels.len(), read.id.as_deref()), (2, 1568, Some("7")));
            assert!(read.pixels.iter().all(|&pixel| pixel == 0.5));
        }
    }

    #[test]
    fn what_is_not_a_digit_is_refused_with_what_is_allowed() {
        let one = json!(vec![0; 784]);
        let with = |number: f64| {
            let mut data = vec![0.0; 784];
            data[3] = number;
            json!(data)
        };
        let cases: Vec<(Vec<u8>, u16, &str)> = vec![
            (b"{".to_vec(), 400, "line 1 column 1"),
            (b"[]".to_vec(), 400, "inference request"),
            (b"\xff\xfe".to_vec(), 400, "inference request"),
            (body(json!([1, 784]), with(1.5)), 400, "data[3] is 1.5"),
            (body(json!([1, 784]), with(-0.5)), 400, "data[3]"),
            (body(json!([1, 784]), with(1e300)), 400, "data[3] is inf"),
            (
                String::from_utf8(body(json!([1, 784]), with(0.5))).unwrap().replace("0.5", "NaN").into_bytes(),
                400,
                "inference",
            ),
            (body(json!([1, 784]), json!(vec!["0"; 784])), 400, "list of numbers"),
            (body(json!([1, 784]), json!([0, 1])), 400, "2 numbers"),
            (body(json!([784]), one.clone()), 400, "[n, 784]"),
            (body(json!([1, 3, 28, 28]), one.clone()), 400, "[n, 1, 28, 28]"),
            (body(json!([0, 784]), json!([])), 400, "shape"),
            (body(json!([-1, 784]), one.clone()), 400, "invalid value"),
            (body(json!([18_446_744_073_709_551_615_u64, 784]), one.clone()), 413, "at most 64"),
            (body(json!([65, 784]), json!(vec![0; 65 * 784])), 413, "at most 64"),
            (json!({"inputs": []}).to_string().into_bytes(), 400, "0 inputs"),
        ];
        for (body, status, says) in cases {
            let refusal = read(&body, &config()).unwrap_err();
            assert!(refusal.status == status && refusal.message.contains(says), "{says}: {refusal:?}");
        }
    }
}
