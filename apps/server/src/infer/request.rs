//! Reads requests.

use axum::http::HeaderValue;
use slipway_signature::Datatype;

use super::given::{checked, place, shaped, shapes, too_many};
use super::json::{Request, Tensor, parse};
use super::wanted::{Wanted, wanted};
use crate::interface::{Interface, names};
use crate::refusal::Refusal;
use crate::tensor::{Array, Elements, count};

/// A checked request.
#[derive(Debug)]
pub struct Asked {
    /// Repeated in the response.
    pub id: Option<String>,
    /// The inputs, as the model takes them.
    pub inputs: Vec<Array>,
    /// Their rows; 1 if the model is not batched.
    pub rows: usize,
    /// The outputs that are asked for, at least one.
    pub wanted: Vec<Wanted>,
}

/// Reads a request's body for a model. `json_length` is the header [`super::JSON_LENGTH`], without which the whole body is JSON.
///
/// # Errors
/// 400 with what is allowed; 413 for more rows than one request may have.
pub fn read(body: &[u8], json_length: Option<&HeaderValue>, interface: &Interface) -> Result<Asked, Refusal> {
    let (json, binary) = split(body, json_length)?;
    if json_length.is_some() && json.is_empty() {
        return read_raw(binary, interface);
    }
    let expected: Vec<Datatype> = interface.inputs.iter().map(|input| input.datatype).collect();
    let Request { id, binary: by_default, inputs, outputs } = parse(json, &expected).map_err(|error| {
        Refusal::request(format!("the body is not an inference request: {error}; expected {}", form(interface)))
    })?;
    let wanted = wanted(interface, outputs, by_default)?;
    if inputs.len() != interface.inputs.len() {
        let (found, all) = (inputs.len(), names(&interface.inputs));
        return Err(Refusal::request(match interface.inputs.len() {
            1 => format!("{found} inputs; expected one, named {all}"),
            number => format!("{found} inputs; expected {number}: {all}"),
        }));
    }
    let mut arrays = Vec::with_capacity(inputs.len());
    // the bytes of binary tensors follow each other in the order of the inputs
    let mut rest = binary;
    let announced = inputs.iter().filter_map(|input| input.binary_data_size).fold(0, u64::saturating_add);
    for input in inputs {
        let at = place(interface, &input.name)?;
        let shape = shaped(interface, at, &input.datatype, &input.shape)?;
        let elements =
            elements(interface, at, &shape, input, &mut rest, (binary.len(), announced, json_length.is_some()))?;
        arrays.push((at, Array { shape, elements }));
    }
    if !rest.is_empty() {
        return Err(Refusal::request(if announced == 0 {
            format!("the body has {} bytes after its JSON, but the input has no binary_data_size", binary.len())
        } else {
            format!("the body has {} bytes after its JSON; binary_data_size says {announced}", binary.len())
        }));
    }
    let (inputs, rows) = checked(interface, arrays)?;
    Ok(Asked { id, inputs, rows, wanted })
}

/// The elements of an input: from its JSON, or from the bytes after it, of which they are taken.
fn elements(
    interface: &Interface,
    at: usize,
    shape: &[i64],
    input: Tensor,
    rest: &mut &[u8],
    (binary, announced, has_length): (usize, u64, bool),
) -> Result<Elements, Refusal> {
    if input.shared_memory {
        return Err(Refusal::request("shared memory is not supported; send data, or binary_data_size and the bytes"));
    }
    match (input.data, input.binary_data_size) {
        (Some(numbers), None) => numbers.problem.map_or(Ok(numbers.elements), |problem| Err(Refusal::request(problem))),
        (None, Some(size)) => {
            let datatype = interface.inputs[at].datatype;
            let bytes = count(shape).saturating_mul(datatype.size());
            if size != bytes as u64 {
                return Err(Refusal::request(format!("binary_data_size is {size}; the shape needs {bytes}")));
            }
            if !has_length {
                return Err(Refusal::request(
                    "the input has a binary_data_size, but the request has no header Inference-Header-Content-Length",
                ));
            }
            let (own, others) = rest.split_at_checked(bytes).ok_or_else(|| {
                Refusal::request(format!(
                    "the body has {binary} bytes after its JSON; binary_data_size says {announced}"
                ))
            })?;
            *rest = others;
            Ok(Elements::of_bytes(datatype, own))
        }
        (Some(_), Some(_)) => Err(Refusal::request("the input has both data and binary_data_size")),
        (None, None) => Err(Refusal::request("the input has neither data nor binary_data_size")),
    }
}

/// Reads a body that is one tensor and nothing else, whose answer is binary too: the extension's raw request.
fn read_raw(binary: &[u8], interface: &Interface) -> Result<Asked, Refusal> {
    let [spec] = interface.inputs.as_slice() else {
        let all = names(&interface.inputs);
        return Err(Refusal::request(format!("a body without JSON is one tensor, but the model takes {all}")));
    };
    let mut shape = spec.shape.clone();
    let fixed = if interface.batched { &mut shape[1..] } else { &mut shape[..] };
    if fixed.contains(&-1) {
        let expected = shapes(interface, spec);
        return Err(Refusal::request(format!("a body without JSON has no shape, but the model takes {expected}")));
    }
    let bytes = count(fixed).saturating_mul(spec.datatype.size());
    let rows = binary.len() / bytes.max(1);
    if rows == 0 || rows * bytes != binary.len() || (!interface.batched && rows > 1) {
        let each = if interface.images {
            " for each image"
        } else if interface.batched {
            " for each row"
        } else {
            ""
        };
        return Err(Refusal::request(format!(
            "the body has {} bytes; a body without JSON has {bytes} bytes{each}",
            binary.len()
        )));
    }
    if interface.batched {
        if rows > interface.most {
            return Err(too_many(interface, rows));
        }
        shape[0] = rows as i64;
    }
    let array = Array { shape, elements: Elements::of_bytes(spec.datatype, binary) };
    let (inputs, rows) = checked(interface, vec![(0, array)])?;
    Ok(Asked { id: None, inputs, rows, wanted: wanted(interface, Vec::new(), true)? })
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

/// What a request looks like.
fn form(interface: &Interface) -> String {
    let numbers = if interface.images { "numbers from 0 to 1" } else { "numbers" };
    let input = |spec| {
        let shape = shapes(interface, spec);
        let (name, datatype) = (&spec.name, spec.datatype);
        format!("{{\"name\": \"{name}\", \"datatype\": \"{datatype}\", \"shape\": {shape}, \"data\": [{numbers}]}}")
    };
    format!("{{\"inputs\": [{}]}}", interface.inputs.iter().map(input).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use slipway_model::{Architecture, Config};
    use slipway_signature::Servable;

    use super::*;

    fn digits() -> Interface {
        Interface::of_bundle(&Config::mnist(Architecture::Mlp, 0.0))
    }

    fn pixels(asked: &Asked) -> &[f32] {
        let [Array { elements: Elements::Fp32(pixels), .. }] = asked.inputs.as_slice() else { panic!("{asked:?}") };
        pixels
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
            let read = read(&body(shape, data), None, &digits()).unwrap();
            assert_eq!(
                (read.rows, read.inputs[0].shape.as_slice(), read.id.as_deref()),
                (2, &[2, 1, 28, 28][..], Some("7"))
            );
            assert_eq!(pixels(&read), vec![0.5; 1568]);
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
            (body(json!([1, 784]), with(1e300)), 400, "data[3] is 1e300"),
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
            let refusal = read(&body, None, &digits()).unwrap_err();
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
        let given: Vec<f32> = (0..2 * 784).map(|i| i as f32 / 2000.0).collect();
        let input = json!({"shape": [2, 28, 28], "parameters": {"binary_data_size": 2 * 784 * 4, "other": [1]}});
        let (body, length) = binary(input, json!({"id": "a", "parameters": {"sequence_id": 7}}), &bytes(&given));
        let found = read(&body, Some(&length), &digits()).unwrap();
        assert_eq!((found.rows, found.id.as_deref(), pixels(&found)), (2, Some("a"), given.as_slice()));
        assert!(found.wanted.iter().all(|wanted| !wanted.binary));
        // Without JSON, the body is the tensor, and the answer is binary.
        let raw = read(&bytes(&given), Some(&HeaderValue::from(0)), &digits()).unwrap();
        assert_eq!((raw.rows, pixels(&raw)), (2, given.as_slice()));
        assert_eq!(raw.wanted, [0, 1].map(|output| Wanted { output, binary: true, classes: 0 }));
        // JSON alone may have the header too.
        let (body, length) = binary(json!({"data": vec![0.5; 784]}), json!({}), b"");
        assert_eq!(pixels(&read(&body, Some(&length), &digits()).unwrap()), vec![0.5; 784]);
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
            let refusal = read(&body, Some(&length), &digits()).unwrap_err();
            assert!(refusal.status == status && refusal.message.contains(says), "{says}: {refusal:?}");
        }
        let (body, _) = binary(sized(3136), json!({}), b"");
        let refusal = read(&body, None, &digits()).unwrap_err();
        assert!(refusal.message.contains("no header Inference-Header-Content-Length"), "{refusal}");
    }

    #[test]
    fn the_outputs_are_those_that_were_asked_for() {
        let (probabilities, label, features) = (0, 1, 2);
        let ask = |members: Value| {
            let mut request = json!({"inputs": [{"datatype": "FP32", "shape": [1, 784], "data": vec![0; 784]}]});
            request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            read(request.to_string().as_bytes(), None, &digits())
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
            // only by its name
            (
                json!({"outputs": [{"name": "features", "parameters": binary(true)}, {"name": "label"}]}),
                vec![(features, true), (label, false)],
            ),
        ] {
            let found: Vec<_> =
                ask(members).unwrap().wanted.iter().map(|wanted| (wanted.output, wanted.binary)).collect();
            assert_eq!(found, expected);
        }
        for (outputs, says) in [
            (json!([{"name": "nope"}]), "no output `nope`; the outputs are probabilities, label and features"),
            (json!([{"name": "features", "parameters": {"classification": 3}}]), "not one number for each class"),
            (json!([{"name": "label"}, {"name": "label"}]), "label is asked for twice"),
            (
                json!([{"name": "probabilities", "parameters": {"shared_memory_region": "a"}}]),
                "an extension that this server does not have",
            ),
            (json!([{"name": "label", "parameters": {"classification": 3}}]), "not one number for each class"),
            (json!([{}]), "missing field `name`"),
        ] {
            let refusal = ask(json!({"outputs": outputs})).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(says), "{says}: {refusal}");
        }
    }

    /// Two inputs, of which one has a second dimension of any size.
    fn pair() -> Interface {
        let json = r#"{"engine": "torchscript", "file": "m.ts", "inputs": [{"name": "ids", "datatype": "INT64", "shape": [-1, -1]},
            {"name": "mask", "datatype": "BOOL", "shape": [-1, 2]}], "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]}"#;
        Interface::of_servable(&Servable::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn several_inputs_come_in_any_order_and_form() {
        let ids = |extra: Value| {
            let mut ids = json!({"name": "ids", "datatype": "INT64", "shape": [2, 3]});
            ids.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            ids
        };
        let mask = json!({"data": [[true, false], [0, 1]], "shape": [2, 2], "datatype": "BOOL", "name": "mask"});
        let numbers = json!({"data": [[1, 2, 3], [4, 5, -6]]});
        let body = |inputs: Value| json!({"inputs": inputs}).to_string().into_bytes();
        let expected = [
            Array { shape: vec![2, 3], elements: Elements::Int64(vec![1, 2, 3, 4, 5, -6]) },
            Array { shape: vec![2, 2], elements: Elements::Bool(vec![true, false, false, true]) },
        ];
        for inputs in [json!([ids(numbers.clone()), mask]), json!([mask, ids(numbers.clone())])] {
            let asked = read(&body(inputs), None, &pair()).unwrap();
            assert_eq!((asked.rows, asked.inputs.as_slice()), (2, &expected[..]));
        }
        // both binary, in the order of the request
        let sized = |size: usize| json!({"parameters": {"binary_data_size": size}});
        let mut binary_mask = json!({"name": "mask", "datatype": "BOOL", "shape": [2, 2]});
        binary_mask.as_object_mut().unwrap().extend(sized(4).as_object().unwrap().clone());
        let mut bytes = body(json!([binary_mask, ids(sized(48))]));
        let length = HeaderValue::from(bytes.len());
        for array in expected.iter().rev() {
            array.elements.write(&mut bytes);
        }
        assert_eq!(read(&bytes, Some(&length), &pair()).unwrap().inputs, expected);

        let other_mask = json!({"name": "mask", "datatype": "BOOL", "shape": [1, 2], "data": [1, 0]});
        let wrong = |key: &str, value: Value| {
            let mut mask = mask.clone();
            mask[key] = value;
            json!([ids(numbers.clone()), mask])
        };
        for (inputs, says) in [
            (json!([ids(numbers.clone())]), "1 inputs; expected 2: ids and mask"),
            (json!([ids(numbers.clone()), ids(numbers.clone())]), "the input `ids` is given twice"),
            (json!([ids(numbers.clone()), other_mask]), "the input `mask` has 1 rows, and `ids` has 2"),
            (wrong("name", json!("x")), "there is no input `x`; the inputs are ids and mask"),
            (wrong("name", json!("")), "there is no input ``"),
            (wrong("datatype", json!("UINT8")), "the input `mask`: the datatype is `UINT8`; expected BOOL"),
            (wrong("datatype", json!("BYTES")), "the datatype is `BYTES`; expected BOOL"),
            (wrong("shape", json!([2, 3])), "the input `mask`: the shape is [2, 3]; expected [n, 2]"),
            (wrong("shape", json!([2, 0])), "expected [n, 2]"),
            (wrong("data", json!([1, 0, 1])), "the input `mask`: data has 3 numbers; the shape needs 4"),
            (wrong("data", json!([[1, 0], [1]])), "data is ragged"),
            (wrong("data", json!([1, 0, 1, 7])), "data[3] is 7; BOOL holds true and false"),
        ] {
            let refusal = read(&body(inputs), None, &pair()).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(says), "{says}: {refusal}");
        }
        let refusal = read(b"", Some(&HeaderValue::from(0)), &pair()).unwrap_err();
        assert!(refusal.message.contains("the model takes ids and mask"), "{refusal}");
        let refusal = read(b"x", None, &pair()).unwrap_err();
        assert!(
            refusal.message.contains(r#"{"name": "ids", "datatype": "INT64", "shape": [n, any], "data""#),
            "{refusal}"
        );
    }
}
