//! Which outputs a request asks for, and in which form.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::start_of;
use crate::interface::{Interface, names};
use crate::refusal::Refusal;

/// An output that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its place among the model's outputs.
    pub output: usize,
    /// Whether as bytes after the JSON, instead of as numbers in it.
    pub binary: bool,
    /// How many of the best classes are given instead of the numbers; 0 for the numbers.
    pub classes: usize,
}

/// An element of a request's `outputs`.
#[derive(Debug, Deserialize)]
pub struct Requested {
    /// The output's name.
    pub name: String,
    /// How it is to be given.
    pub parameters: Option<Parameters>,
}

/// How an output is to be given.
#[derive(Debug, Default, Deserialize)]
pub struct Parameters {
    binary_data: Option<bool>,
    /// The number of classes; 0 if it is not asked for.
    pub classification: Option<usize>,
    shared_memory_region: Option<IgnoredAny>,
}

impl Requested {
    /// An output by its name, as its best classes if their number is not 0.
    pub fn of(name: String, classes: usize) -> Self {
        let parameters = Parameters { classification: Some(classes), ..Parameters::default() };
        Self { name, parameters: Some(parameters) }
    }
}

/// What a request asks for: every output if it does not say.
///
/// # Errors
/// 400 with the outputs that there are.
pub fn wanted(interface: &Interface, requested: Vec<Requested>, binary: bool) -> Result<Vec<Wanted>, Refusal> {
    if requested.is_empty() {
        return Ok((0..interface.outputs.len()).map(|output| Wanted { output, binary, classes: 0 }).collect());
    }
    let mut wanted: Vec<Wanted> = Vec::with_capacity(requested.len().min(interface.outputs.len()));
    for Requested { name, parameters } in requested {
        let parameters = parameters.unwrap_or_default();
        let output = interface.output(&name).ok_or_else(|| {
            let all = names(&interface.outputs);
            Refusal::request(format!("there is no output `{}`; the outputs are {all}", start_of(&name)))
        })?;
        if wanted.iter().any(|wanted| wanted.output == output) {
            return Err(Refusal::request(format!("the output {name} is asked for twice")));
        }
        if parameters.shared_memory_region.is_some() {
            return Err(Refusal::request(format!(
                "the output {name} is asked for by an extension that this server does not have; /v2 lists its extensions"
            )));
        }
        let classes = parameters.classification.unwrap_or_default();
        if classes > 0 && interface.outputs[output].shape.len() != 1 + usize::from(interface.batched) {
            return Err(Refusal::request(format!(
                "the output {name} is asked for as classes, but it is not one number for each class"
            )));
        }
        wanted.push(Wanted { output, binary: parameters.binary_data.unwrap_or(binary), classes });
    }
    Ok(wanted)
}
