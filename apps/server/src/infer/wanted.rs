//! Which outputs a request asks for, and in which form.

use serde::Deserialize;
use serde::de::IgnoredAny;
use slipway_signature::TensorSpec;

use super::start_of;
use crate::interface::{Interface, names};
use crate::refusal::Refusal;
use crate::tensor::Array;

/// An output that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its place among the outputs that the model offers.
    pub output: usize,
    /// Whether as bytes after the JSON, instead of as numbers in it.
    pub binary: bool,
    /// How many of the best classes are given instead of the numbers; 0 for the numbers.
    pub classes: usize,
}

impl Wanted {
    /// What a model with this interface gave for it.
    ///
    /// # Errors
    /// 500 when the model gave fewer outputs than it offers.
    pub fn of<'a>(
        &self,
        interface: &'a Interface,
        outputs: &'a [Array],
    ) -> Result<(&'a TensorSpec, &'a Array), Refusal> {
        let given = interface.offered().nth(self.output).zip(outputs.get(self.output));
        given.ok_or_else(|| Refusal::unexpected("the model gave fewer outputs than it offers"))
    }

    /// Whether a model with this interface gives it only on request.
    pub fn is_on_request(&self, interface: &Interface) -> bool {
        self.output >= interface.outputs.len()
    }
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

/// What a request asks for: if it does not say, every output but those that are given on request.
///
/// # Errors
/// 400 with the outputs that there are.
pub fn wanted(interface: &Interface, requested: Vec<Requested>, binary: bool) -> Result<Vec<Wanted>, Refusal> {
    if requested.is_empty() {
        return Ok((0..interface.outputs.len()).map(|output| Wanted { output, binary, classes: 0 }).collect());
    }
    let mut wanted: Vec<Wanted> = Vec::with_capacity(requested.len().min(interface.offered().count()));
    for Requested { name, parameters } in requested {
        let parameters = parameters.unwrap_or_default();
        let (output, spec) = interface.offered().enumerate().find(|(_, spec)| spec.name == name).ok_or_else(|| {
            let all = names(interface.offered());
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
        let one = Wanted { output, binary: parameters.binary_data.unwrap_or(binary), classes };
        let is_by_class = spec.shape.len() == 1 + usize::from(interface.batched) && !one.is_on_request(interface);
        if classes > 0 && !is_by_class {
            return Err(Refusal::request(format!(
                "the output {name} is asked for as classes, but it is not one number for each class"
            )));
        }
        wanted.push(one);
    }
    Ok(wanted)
}
