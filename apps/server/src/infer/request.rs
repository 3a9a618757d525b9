//! Reads requests.

use axum::http::HeaderValue;
use serde::Deserialize;
use serde::de::IgnoredAny;
use slipway_model::Config;

use super::numbers::Numbers;
use super::output::{Requested, Wanted, wanted};
use crate::loaded::MOST_IMAGES;
use crate::refusal::Refusal;

#[derive(Debug, Deserialize)]
struct Request {
    id: Option<String>,
    parameters: Option<RequestParameters>,
    inputs: Vec<Tensor>,
    outputs: Option<Vec<Requested>>,
}

#[derive(Debug, Default, Deserialize)]
struct RequestParameters {
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(Debug, Deserialize)]
struct Tensor {
    #[serde(default)]
    name: String,
    datatype: String,
    shape: Vec<u64>,
    parameters: Option<TensorParameters>,
    data: Option<Numbers>,
}

#[derive(Debug, Default, Deserialize)]
struct TensorParameters {
    binary_data_size: Option<u64>,
    shared_memory_region: Option<IgnoredAny>,
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
    /// The outputs that are asked for, at least one.
    pub wanted: Vec<Wanted>,
}

/// Reads a request's body for a model. `json_length` is the header [`super::JSON_LENGTH`], without which the whole body is JSON.
///
/// # Errors
/// 400 with what is allowed; 413 for more images than one call takes.
pub fn read(body: &[u8], json_length: Option<&HeaderValue>, config: &Config) -> Result<Images, Refusal> {
    let (json, binary) = split(body, json_length)?;
    if json_length.is_some() && json.is_empty() {
        return read_raw(binary, config);
    }
    let request: Request = serde_json::from_slice(json).map_err(|error| {
        let shapes = shapes(config);
        Refusal::request(format!(
            "the body is not an inference request: {error}; expected {{\"inputs\": [{{\"name\": \"image\", \"datatype\": \"FP32\", \
             \"shape\": {shapes}, \"data\": [numbers from 0 to 1]}}]}}"
        ))
    })?;
    let wanted = wanted(request.outputs, request.parameters.unwrap_or_default().binary_data_output)?;
    let [input] = <[Tensor; 1]>::try_from(request.inputs)
        .map_err(|inputs| Refusal::request(format!("{} inputs; expected one, named image", inputs.len())))?;
    if !input.name.is_empty() && input.name != "image" {
        return Err(Refusal::request(format!("the input is named `{}`; expected image", start_of(&input.name))));
    }
    if input.datatype != "FP32" {
        return Err(Refusal::request(format!("the datatype is `{}`; expected FP32", start_of(&input.datatype))));
    }
    let images = images_of(&input.shape, config).ok_or_else(|| {
        Refusal::request(format!("the shape is {:?}; expected {}", brief(&input.shape), shapes(config)))
    })?;
    if images > MOST_IMAGES {
        return Err(too_many(images));
    }
    let expected = images * config.pixels();
    let parameters = input.parameters.unwrap_or_default();
    if parameters.shared_memory_region.is_some() {
        return Err(Refusal::request("shared memory is not supported; send data, or binary_data_size and the bytes"));
    }
    let pixels = match (input.data, parameters.binary_data_size) {
        (Some(Numbers(pixels)), None) if binary.is_empty() => pixels,
        (Some(_), None) => {
            return Err(Refusal::request(format!(
                "the body has {} bytes after its JSON, but the input has no binary_data_size",
                binary.len()
            )));
        }
        (None, Some(size)) => {
            let bytes = expected * size_of::<f32>();
            if size != bytes as u64 {
                return Err(Refusal::request(format!("binary_data_size is {size}; the shape needs {bytes}")));
            }
            if json_length.is_none() {
                return Err(Refusal::request(
                    "the input has a binary_data_size, but the request has no header Inference-Header-Content-Length",
                ));
            }
            if binary.len() != bytes {
                return Err(Refusal::request(format!(
                    "the body has {} bytes after its JSON; binary_data_size says {bytes}",
                    binary.len()
                )));
            }
            floats(binary)
        }
        (Some(_), Some(_)) => return Err(Refusal::request("the input has both data and binary_data_size")),
        (None, None) => return Err(Refusal::request("the input has neither data nor binary_data_size")),
    };
    if pixels.len() != expected {
        return Err(Refusal::request(format!("data has {} numbers; the shape needs {expected}", pixels.len())));
    }
    checked(Images { id: request.id, pixels, images, wanted })
}

/// Reads a body that is one tensor and nothing else, whose answer is binary too: the extension's raw request.
fn read_raw(binary: &[u8], config: &Config) -> Result<Images, Refusal> {
    let bytes = config.pixels() * size_of::<f32>();
    let images = binary.len() / bytes.max(1);
    if images == 0 || images * bytes != binary.len() {
        return Err(Refusal::request(format!(
            "the body has {} bytes; a body without JSON has {bytes} bytes for each image",
            binary.len()
        )));
    }
    if images > MOST_IMAGES {
        return Err(too_many(images));
    }
    checked(Images { id: None, pixels: floats(binary), images, wanted: wanted(None, true)? })
}

/// The JSON of a body, and the bytes after it.
fn split<'a>(body: &'a [u8], json_length: Option<&HeaderValue>) -> Result<(&'a [u8], &'a [u8]), Refusal> {
    let Some(given) = json_length else { return Ok((body, &[])) };
    let length = given.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
        Refusal::request(format!(
            "Inference-Header-Content-Length is {given:?}; expected the length of the JSON in bytes, at most the {} of the body",
            body.len()
        ))
    })
}

/// The protocol's bytes as numbers.
fn floats(binary: &[u8]) -> Vec<f32> {
    binary.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn checked(images: Images) -> Result<Images, Refusal> {
    match images.pixels.iter().position(|number| !(0.0..=1.0).contains(number)) {
        None => Ok(images),
        Some(at) => Err(Refusal::request(format!(
            "data[{at}] is {}; expected a number from 0 (paper) to 1 (ink)",
            images.pixels[at]
        ))),
    }
}

fn shapes(config: &Config) -> String {
    let [channels, height, width] = config.input;
    format!("[n, {channels}, {height}, {width}], [n, {height}, {width}] or [n, {}]", config.pixels())
}

fn too_many(images: usize) -> Refusal {
    Refusal::too_much(format!("{images} images; at most {MOST_IMAGES} in one request"))
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
pub(super) fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

fn brief(shape: &[u64]) -> &[u64] {
    &shape[..shape.len().min(8)]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use slipway_model::Architecture;

    use super::super::Output;
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
            let read = read(&body(shape, data), None, &config()).unwrap();
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
            let refusal = read(&body, None, &config()).unwrap_err();
            assert!(refusal.status == status && refusal.message.contains(says), "{says}: {refusal:?}");
        }
    }

    /// A request whose input is binary: its JSON with these members added, and the bytes.
    fn binary(input: Value, more: Value, bytes: &[u8]) -> (Vec<u8>, HeaderValue) {
        let mut tensor = json!({"name": "image", "datatype": "FP32", "shape": [1, 784]});
        let mut request = json!({"inputs": []});
        for (object, members) in [(&mut tensor, input), (&mut request, more)] {
            object.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        }
        request["inputs"] = json!([tensor]);
        let mut body = request.to_string().into_bytes();
        let length = HeaderValue::from(body.len());
        body.extend_from_slice(bytes);
        (body, length)
    }

    fn bytes(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    #[test]
    fn binary_tensors_are_little_endian_floats_after_the_json() {
        let pixels: Vec<f32> = (0..2 * 784).map(|i| i as f32 / 2000.0).collect();
        let input = json!({"shape": [2, 28, 28], "parameters": {"binary_data_size": 2 * 784 * 4, "other": [1]}});
        let (body, length) = binary(input, json!({"id": "a", "parameters": {"sequence_id": 7}}), &bytes(&pixels));
        let found = read(&body, Some(&length), &config()).unwrap();
        assert_eq!((found.images, found.id.as_deref(), &found.pixels), (2, Some("a"), &pixels));
        assert!(found.wanted.iter().all(|wanted| !wanted.binary));
        // Without JSON, the body is the tensor, and the answer is binary.
        let raw = read(&bytes(&pixels), Some(&HeaderValue::from(0)), &config()).unwrap();
        assert_eq!((raw.images, &raw.pixels), (2, &pixels));
        assert_eq!(raw.wanted, Output::ALL.map(|output| Wanted { output, binary: true }));
        // JSON alone may have the header too.
        let (body, length) = binary(json!({"data": vec![0.5; 784]}), json!({}), b"");
        assert_eq!(read(&body, Some(&length), &config()).unwrap().pixels, vec![0.5; 784]);
    }

    #[test]
    fn sizes_of_binary_tensors_that_do_not_agree_are_refused() {
        let sized = |size: i64| json!({"parameters": {"binary_data_size": size}});
        let one = bytes(&[0.5; 784]);
        let many = json!({"shape": [65, 784], "parameters": {"binary_data_size": 65 * 784 * 4}});
        let both = json!({"data": vec![0; 784], "parameters": {"binary_data_size": 3136}});
        let shared = json!({"parameters": {"shared_memory_region": "a"}});
        let cases = [
            (binary(sized(12), json!({}), &one), 400, "binary_data_size is 12; the shape needs 3136"),
            (
                binary(sized(3136), json!({}), &one[1..]),
                400,
                "has 3135 bytes after its JSON; binary_data_size says 3136",
            ),
            (binary(sized(3136), json!({}), &[&one[..], b"x"].concat()), 400, "has 3137 bytes after its JSON"),
            (binary(sized(-1), json!({}), &one), 400, "invalid value"),
            (
                binary(json!({"data": vec![0; 784]}), json!({}), b"xy"),
                400,
                "2 bytes after its JSON, but the input has no",
            ),
            (binary(both, json!({}), &one), 400, "both data and"),
            (binary(json!({}), json!({}), b""), 400, "neither data nor"),
            (binary(shared, json!({}), b""), 400, "shared memory is not supported"),
            (binary(sized(3136), json!({}), &bytes(&[f32::NAN; 784])), 400, "data[0] is NaN"),
            (binary(many, json!({}), &bytes(&vec![0.0; 65 * 784])), 413, "at most 64"),
            ((bytes(&[0.0; 783]), HeaderValue::from(0)), 400, "3132 bytes; a body without JSON has 3136"),
            ((Vec::new(), HeaderValue::from(0)), 400, "0 bytes; a body without JSON"),
            ((bytes(&vec![0.0; 65 * 784]), HeaderValue::from(0)), 413, "at most 64"),
            ((b"{}".to_vec(), HeaderValue::from(3)), 400, "at most the 2 of the body"),
            ((b"{}".to_vec(), HeaderValue::from_static("-1")), 400, "Inference-Header-Content-Length is \"-1\""),
            ((b"{}".to_vec(), HeaderValue::from_static("99999999999999999999")), 400, "length of the JSON"),
        ];
        for ((body, length), status, says) in cases {
            let refusal = read(&body, Some(&length), &config()).unwrap_err();
            assert!(refusal.status == status && refusal.message.contains(says), "{says}: {refusal:?}");
        }
        let (body, _) = binary(sized(3136), json!({}), b"");
        let refusal = read(&body, None, &config()).unwrap_err();
        assert!(refusal.message.contains("no header Inference-Header-Content-Length"), "{refusal}");
    }

    #[test]
    fn the_outputs_are_those_that_were_asked_for() {
        let (probabilities, label) = (Output::Probabilities, Output::Label);
        let ask = |members: Value| {
            let mut request = json!({"inputs": [{"datatype": "FP32", "shape": [1, 784], "data": vec![0; 784]}]});
            request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            read(request.to_string().as_bytes(), None, &config())
        };
        let binary = |on: bool| json!({"binary_data": on});
        let by_default = json!({"binary_data_output": true});
        for (members, expected) in [
            (json!({}), vec![(probabilities, false), (label, false)]),
            (json!({"outputs": []}), vec![(probabilities, false), (label, false)]),
            (json!({"outputs": null, "parameters": null}), vec![(probabilities, false), (label, false)]),
            (json!({"outputs": [{"name": "label"}]}), vec![(label, false)]),
            (
                json!({"outputs": [{"name": "label"}, {"name": "probabilities"}]}),
                vec![(label, false), (probabilities, false)],
            ),
            (json!({"parameters": by_default}), vec![(probabilities, true), (label, true)]),
            (
                json!({"parameters": by_default, "outputs": [{"name": "probabilities"}, {"name": "label", "parameters": binary(false)}]}),
                vec![(probabilities, true), (label, false)],
            ),
            (json!({"outputs": [{"name": "label", "parameters": binary(true)}]}), vec![(label, true)]),
        ] {
            let found: Vec<_> =
                ask(members).unwrap().wanted.iter().map(|wanted| (wanted.output, wanted.binary)).collect();
            assert_eq!(found, expected);
        }
        for (outputs, says) in [
            (json!([{"name": "nope"}]), "no output `nope`; the outputs are probabilities and label"),
            (json!([{"name": "label"}, {"name": "label"}]), "label is asked for twice"),
            (
                json!([{"name": "probabilities", "parameters": {"classification": 3}}]),
                "an extension that this server does not have",
            ),
            (json!([{}]), "missing field `name`"),
        ] {
            let refusal = ask(json!({"outputs": outputs})).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(says), "{says}: {refusal}");
        }
    }
}
