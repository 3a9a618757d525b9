//! What a loaded model takes and gives.

use slipway_model::Config;
use slipway_signature::{Datatype, Servable, TensorSpec};

use crate::body::MAX_LENGTH;
use crate::tensor::{Array, count};

/// The most rows of a batch that is put together from several requests, and of one request for a built-in network.
pub const BATCH: usize = 64;
/// The most rows of one request for any other model.
const ROWS: usize = 1024;

/// What a loaded model takes and gives.
#[derive(Clone, Debug)]
pub struct Interface {
    /// What runs it, as the protocol names platforms.
    pub platform: &'static str,
    /// What it takes, in the order of its arguments.
    pub inputs: Vec<TensorSpec>,
    /// What it gives, in order.
    pub outputs: Vec<TensorSpec>,
    /// The names of the classes, by their index; empty if they have none.
    pub labels: Vec<String>,
    /// Whether it is a built-in network, whose one input is images: they may also come flat, and their numbers are from 0 to 1.
    pub images: bool,
    /// Whether the first dimension of every tensor has any size, so that several requests can be one batch.
    pub batched: bool,
    /// The most rows of one request.
    pub most: usize,
    /// The size that stands for any size in dimensions after the first, in a tensor of zeros.
    pub other: i64,
}

impl Interface {
    /// That of a built-in network.
    pub fn of_bundle(config: &Config) -> Self {
        let [channels, height, width] = config.input;
        Self {
            platform: "libtorch",
            inputs: vec![TensorSpec::new("image", Datatype::Fp32, [-1, channels, height, width])],
            outputs: vec![
                TensorSpec::new("probabilities", Datatype::Fp32, [-1, config.classes]),
                TensorSpec::new("label", Datatype::Int64, [-1]),
            ],
            labels: Vec::new(),
            images: true,
            batched: true,
            most: BATCH,
            other: 1,
        }
    }

    /// That of any other model. `most` is an upper bound: as many rows as a body can hold.
    pub fn of_servable(servable: &Servable) -> Self {
        let Servable { engine, inputs, outputs, labels, .. } = servable.clone();
        let batched = servable.is_batched();
        let row = |input: &TensorSpec| {
            let rest: Vec<i64> = input.shape.iter().skip(1).map(|size| (*size).max(1)).collect();
            count(&rest).saturating_mul(input.datatype.size())
        };
        let bytes = inputs.iter().map(row).fold(0, usize::saturating_add);
        let most = if batched { (MAX_LENGTH / bytes.max(1)).clamp(1, ROWS) } else { 1 };
        let platform = match engine {
            slipway_signature::Engine::TorchScript => "pytorch_torchscript",
            slipway_signature::Engine::AotInductor => "pytorch_aotinductor",
        };
        Self { platform, inputs, outputs, labels, images: false, batched, most, other: 1 }
    }

    /// Zeros for every input: this many rows if the model is batched.
    pub fn zeros(&self, rows: usize) -> Vec<Array> {
        let size = |at: usize, size: i64| match (size, at) {
            (-1, 0) if self.batched => rows as i64,
            (-1, _) => self.other,
            (size, _) => size,
        };
        let of = |input: &TensorSpec| {
            let shape = input.shape.iter().enumerate().map(|(at, found)| size(at, *found)).collect();
            Array::zeros(input.datatype, shape)
        };
        self.inputs.iter().map(of).collect()
    }

    /// How what another one takes and gives differs, if it does; an answer of either is one to the same request.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let of = |what: &str, own: &[TensorSpec], others: &[TensorSpec]| {
            let same = |(own, other): (&TensorSpec, &TensorSpec)| {
                own.name == other.name && own.datatype == other.datatype && own.shape == other.shape
            };
            if own.len() == others.len() && own.iter().zip(others).all(same) {
                return None;
            }
            let list = |specs: &[TensorSpec]| {
                let each = specs.iter().map(|spec| format!("{} {} {:?}", spec.name, spec.datatype, spec.shape));
                each.collect::<Vec<_>>().join(", ")
            };
            Some(format!("its {what} are {} instead of {}", list(others), list(own)))
        };
        of("inputs", &self.inputs, &other.inputs).or_else(|| of("outputs", &self.outputs, &other.outputs))
    }

    /// The place of an output by its name.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|output| output.name == name)
    }
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub fn names<'a>(specs: impl IntoIterator<Item = &'a TensorSpec>) -> String {
    let mut names: Vec<&str> = specs.into_iter().map(|spec| spec.name.as_str()).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last.to_owned() } else { format!("{} and {last}", names.join(", ")) }
}
