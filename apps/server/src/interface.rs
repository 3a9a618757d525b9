//! What a loaded model takes and gives.

use slipway_model::Config;
use slipway_names::output::{FEATURES, MOST_FEATURES};
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
    /// What it gives only if it is asked for it by its name: the features of a built-in network, unless they are too many. Clients that take all outputs
    /// should not pay for what few want.
    pub on_request: Option<TensorSpec>,
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
        let features = config.features() as i64;
        let are_few = (1..=MOST_FEATURES).contains(&features);
        Self {
            platform: "libtorch",
            inputs: vec![TensorSpec::new("image", Datatype::Fp32, [-1, channels, height, width])],
            outputs: vec![
                TensorSpec::new("probabilities", Datatype::Fp32, [-1, config.classes]),
                TensorSpec::new("label", Datatype::Int64, [-1]),
            ],
            on_request: are_few.then(|| TensorSpec::new(FEATURES, Datatype::Fp32, [-1, features])),
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
        Self { platform, inputs, outputs, on_request: None, labels, images: false, batched, most, other: 1 }
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

    /// How what another one takes and gives differs, if it does; an answer of either is one to the same request. What is given on request may differ: who
    /// asks for it asks one version.
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

    /// Every output that can be asked for, in the order of an answer.
    pub fn offered(&self) -> impl Iterator<Item = &TensorSpec> {
        self.outputs.iter().chain(&self.on_request)
    }

    /// The place among them of features that a sample keeps. A model that was trained elsewhere may have an output of that name, too.
    pub fn features(&self) -> Option<usize> {
        let few = |spec: &TensorSpec| {
            spec.name == FEATURES
                && spec.datatype == Datatype::Fp32
                && matches!(spec.shape.as_slice(), [-1, 1..=MOST_FEATURES])
        };
        self.offered().position(few)
    }
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub fn names<'a>(specs: impl IntoIterator<Item = &'a TensorSpec>) -> String {
    let mut names: Vec<&str> = specs.into_iter().map(|spec| spec.name.as_str()).collect();
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last.to_owned() } else { format!("{} and {last}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use slipway_model::Architecture;

    use super::*;

    #[test]
    fn features_are_kept_if_they_are_few() {
        let of = |architecture| Interface::of_bundle(&Config::mnist(architecture, 0.0));
        let (mlp, resnet) = (of(Architecture::Mlp), of(Architecture::Resnet));
        assert_eq!((names(mlp.offered()).as_str(), mlp.features()), ("probabilities, label and features", Some(2)));
        assert_eq!((names(resnet.offered()).as_str(), resnet.features()), ("probabilities and label", None));
        // of a model that was trained elsewhere
        let other = |name: &str, datatype: &str, shape: &str| {
            let json = format!(
                r#"{{"engine": "torchscript", "file": "m.ts", "inputs": [{{"name": "x", "datatype": "FP32", "shape": [-1, 2]}}],
                    "outputs": [{{"name": "y", "datatype": "FP32", "shape": [-1, 3]}},
                                {{"name": "{name}", "datatype": "{datatype}", "shape": {shape}}}]}}"#
            );
            Interface::of_servable(&Servable::parse(json.as_bytes()).unwrap()).features()
        };
        assert_eq!(other("features", "FP32", "[-1, 512]"), Some(1));
        for (name, datatype, shape) in [
            ("hidden", "FP32", "[-1, 8]"),
            ("features", "FP64", "[-1, 8]"),
            ("features", "FP32", "[-1, 513]"),
            ("features", "FP32", "[-1, -1]"),
            ("features", "FP32", "[-1, 2, 4]"),
        ] {
            assert_eq!(other(name, datatype, shape), None, "{name} {datatype} {shape}");
        }
    }
}
