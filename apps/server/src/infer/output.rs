//! The outputs of a model, and which of them a request asks for.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::request::start_of;
use crate::refusal::Refusal;

/// An output of every model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `probabilities`, FP32 `[images, classes]`.
    Probabilities,
    /// `label`, INT64 `[images]`: the class with the highest probability.
    Label,
}

impl Output {
    /// All of them, in the order in which they are described and answered.
    pub const ALL: [Self; 2] = [Self::Probabilities, Self::Label];

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probabilities => "probabilities",
            Self::Label => "label",
        }
    }
}

/// An output that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub output: Output,
    /// Whether as bytes after the JSON, instead of as numbers in it.
    pub binary: bool,
}

/// An element of a request's `outputs`.
#[derive(Debug, Deserialize)]
pub(super) struct Requested {
    name: String,
    parameters: Option<Parameters>,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    binary_data: Option<bool>,
    classification: Option<IgnoredAny>,
    shared_memory_region: Option<IgnoredAny>,
}

/// What a request asks for: every output if it does not say.
pub(super) fn wanted(requested: Option<Vec<Requested>>, binary: bool) -> Result<Vec<Wanted>, Refusal> {
    let requested = requested.unwrap_or_default();
    if requested.is_empty() {
        return Ok(Output::ALL.map(|output| Wanted { output, binary }).to_vec());
    }
    let mut wanted: Vec<Wanted> = Vec::with_capacity(Output::ALL.len());
    for Requested { name, parameters } in requested {
        let parameters = parameters.unwrap_or_default();
        let output = Output::ALL.into_iter().find(|output| output.name() == name).ok_or_else(|| {
            let names = Output::ALL.map(Output::name).join(" and ");
            Refusal::request(format!("there is no output `{}`; the outputs are {names}", start_of(&name)))
        })?;
        if wanted.iter().any(|wanted| wanted.output == output) {
            return Err(Refusal::request(format!("the output {name} is asked for twice")));
        }
        if parameters.classification.is_some() || parameters.shared_memory_region.is_some() {
            return Err(Refusal::request(format!(
                "the output {name} is asked for by an extension that this server does not have; /v2 lists its extensions"
            )));
        }
        wanted.push(Wanted { output, binary: parameters.binary_data.unwrap_or(binary) });
    }
    Ok(wanted)
}
