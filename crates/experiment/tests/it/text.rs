//! Texts that the tests start from.

use slipway_experiment::{DatasetRef, Experiment, Provenance, parse};

/// A valid experiment of two trials.
pub(crate) const CNN: &str = include_str!("../../../../experiments/mnist-cnn.yaml");

/// A valid experiment of one trial.
pub(crate) const MLP: &str = include_str!("../../../../experiments/mnist-mlp.yaml");

/// A valid experiment of one trial that says more about its training.
pub(crate) const RESNET: &str = include_str!("../../../../experiments/mnist-resnet.yaml");

/// The experiment of a valid text.
pub(crate) fn experiment(text: &str) -> Experiment {
    parse("experiment.yaml", text).unwrap_or_else(|findings| panic!("{findings:#?}"))
}

/// A text with one piece of it replaced; panics if it does not have that piece.
pub(crate) fn with(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "`{old}` is not in the text");
    text.replacen(old, new, 1)
}

pub(crate) fn dataset() -> DatasetRef {
    DatasetRef { name: "mnist-10k".to_owned(), digest: format!("sha256:{}", "0123456789abcdef".repeat(4)) }
}

pub(crate) fn provenance() -> Provenance {
    Provenance {
        image: "slipway/trainer:0.1.0".to_owned(),
        blob: Some("0123456789".repeat(4)),
        commit: None,
        program_tree: None,
    }
}
