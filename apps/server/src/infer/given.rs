//! Checks inputs against what the model takes.

use std::borrow::Cow;

use slipway_signature::TensorSpec;

use super::start_of;
use crate::interface::{Interface, names};
use crate::refusal::Refusal;
use crate::tensor::{Array, Elements, count};

/// The place of the input that a client names. If the model has one input, its name may be left out.
///
/// # Errors
/// 400 with the inputs that there are.
pub fn place(interface: &Interface, name: &str) -> Result<usize, Refusal> {
    match (interface.inputs.as_slice(), name) {
        ([_], "") => Ok(0),
        ([only], other) if only.name != other => {
            Err(Refusal::request(format!("the input is named `{}`; expected {}", start_of(other), only.name)))
        }
        (inputs, name) => inputs.iter().position(|input| input.name == name).ok_or_else(|| {
            Refusal::request(format!("there is no input `{}`; the inputs are {}", start_of(name), names(inputs)))
        }),
    }
}

/// The shape of an input as the model takes it.
///
/// # Errors
/// 400 with what is allowed; 413 for more rows than one request may have.
pub fn shaped(interface: &Interface, at: usize, datatype: &str, shape: &[u64]) -> Result<Vec<i64>, Refusal> {
    let spec = &interface.inputs[at];
    let of = of(interface, spec);
    if datatype != spec.datatype.as_str() {
        let (datatype, expected) = (start_of(datatype), spec.datatype);
        return Err(Refusal::request(format!("{of}the datatype is `{datatype}`; expected {expected}")));
    }
    let fitting = fitting(interface, spec, shape).ok_or_else(|| {
        let (found, expected) = (&shape[..shape.len().min(8)], shapes(interface, spec));
        Refusal::request(format!("{of}the shape is {found:?}; expected {expected}"))
    })?;
    if interface.batched && fitting.first().is_some_and(|rows| *rows as usize > interface.most) {
        return Err(too_many(interface, fitting[0] as usize));
    }
    Ok(fitting)
}

/// All inputs of a request in the model's order, and the number of rows.
///
/// # Errors
/// 400 when one is missing, their numbers are not what their shapes say, or their rows differ.
pub fn checked(interface: &Interface, inputs: Vec<(usize, Array)>) -> Result<(Vec<Array>, usize), Refusal> {
    let mut places: Vec<Option<Array>> = vec![None; interface.inputs.len()];
    for (at, array) in inputs {
        let spec = &interface.inputs[at];
        let expected = count(&array.shape);
        if array.elements.len() != expected {
            let (of, found) = (of(interface, spec), array.elements.len());
            return Err(Refusal::request(format!("{of}data has {found} numbers; the shape needs {expected}")));
        }
        if interface.images {
            in_range(&array.elements)?;
        }
        if places[at].replace(array).is_some() {
            return Err(Refusal::request(format!("the input `{}` is given twice", spec.name)));
        }
    }
    let mut arrays = Vec::with_capacity(places.len());
    for (place, spec) in places.into_iter().zip(&interface.inputs) {
        arrays.push(place.ok_or_else(|| {
            let all = names(&interface.inputs);
            Refusal::request(format!("the input `{}` is missing; the inputs are {all}", spec.name))
        })?);
    }
    let rows = if interface.batched { arrays.first().map_or(1, Array::rows) } else { 1 };
    if interface.batched
        && let Some(other) = arrays.iter().position(|array| array.rows() != rows)
    {
        let [first, spec] = [0, other].map(|at| &interface.inputs[at].name);
        let found = arrays[other].rows();
        return Err(Refusal::request(format!("the input `{spec}` has {found} rows, and `{first}` has {rows}")));
    }
    Ok((arrays, rows))
}

/// Begins a message about one of several inputs.
fn of<'a>(interface: &Interface, spec: &TensorSpec) -> Cow<'a, str> {
    if interface.inputs.len() > 1 { format!("the input `{}`: ", spec.name).into() } else { "".into() }
}

/// The shape as the model takes it; `None` if it is not allowed.
fn fitting(interface: &Interface, spec: &TensorSpec, shape: &[u64]) -> Option<Vec<i64>> {
    // a size beyond i64 is as impossible as the largest one
    let size = |size: &u64| Some(i64::try_from(*size).unwrap_or(i64::MAX)).filter(|size| *size > 0);
    let shape = shape.iter().map(size).collect::<Option<Vec<_>>>()?;
    if spec.fits(&shape) {
        return Some(shape);
    }
    let ([rows, given @ ..], [-1, channels, height, width]) = (shape.as_slice(), spec.shape.as_slice()) else {
        return None;
    };
    let flat = *given == [channels * height * width] || (*channels == 1 && *given == [*height, *width]);
    (interface.images && flat).then(|| vec![*rows, *channels, *height, *width])
}

/// The shapes that are allowed, in a sentence.
pub(super) fn shapes(interface: &Interface, spec: &TensorSpec) -> String {
    if let (true, [_, channels, height, width]) = (interface.images, spec.shape.as_slice()) {
        let pixels = channels * height * width;
        return format!("[n, {channels}, {height}, {width}], [n, {height}, {width}] or [n, {pixels}]");
    }
    let size = |(at, size): (usize, &i64)| match (size, at) {
        (-1, 0) => "n".to_owned(),
        (-1, _) => "any".to_owned(),
        (size, _) => size.to_string(),
    };
    format!("[{}]", spec.shape.iter().enumerate().map(size).collect::<Vec<_>>().join(", "))
}

pub(super) fn too_many(interface: &Interface, rows: usize) -> Refusal {
    let what = if interface.images { "images" } else { "rows" };
    Refusal::too_much(format!("{rows} {what}; at most {} in one request", interface.most))
}

/// Whether all numbers are those of an image.
fn in_range(elements: &Elements) -> Result<(), Refusal> {
    let Elements::Fp32(pixels) = elements else { return Ok(()) };
    // all of them first, which takes vectors of the processor
    if pixels.iter().fold(true, |all, number| all & (0.0..=1.0).contains(number)) {
        return Ok(());
    }
    match pixels.iter().position(|number| !(0.0..=1.0).contains(number)) {
        None => Ok(()),
        Some(at) => {
            Err(Refusal::request(format!("data[{at}] is {}; expected a number from 0 (paper) to 1 (ink)", pixels[at])))
        }
    }
}
