//! Which example goes where.

use slipway_dataset::{Sizes, Splits, split};
use slipway_experiment::Split;

use crate::{Error, Result};

/// Indices of all examples, shuffled, for each split.
pub(crate) fn all(labels: &[u32], declared: Option<Split>) -> Result<Splits<Vec<usize>>> {
    let Some(Split::Made { train, validation, test, seed }) = declared else {
        let message = "the source has no splits of its own";
        return Err(Error::problem(
            "spec.split",
            "missing-field",
            message,
            "declare {train: N, validation: N, test: N, seed: 0}",
        ));
    };
    let sizes = Sizes { train: train as usize, validation: validation as usize, test: test as usize };
    let split::Indices { train, validation, test } =
        split::stratified(labels, sizes, seed).map_err(|error| too_few(&error, labels.len()))?;
    Ok(Splits { train, validation, test })
}

/// Indices of the examples to train on: what stays, and what is to validate with.
pub(crate) fn cut(labels: &[u32], declared: Option<Split>) -> Result<(Vec<usize>, Vec<usize>)> {
    let Some(Split::Cut { validation, seed }) = declared else {
        let message = "the source has train and test, but nothing to validate with";
        let help = "declare {validation: N, seed: 0}: how many examples of train are to validate with";
        return Err(Error::problem("spec.split", "wrong-value", message, help));
    };
    split::cut(labels, validation as usize, seed).map_err(|error| too_few(&error, labels.len()))
}

fn too_few(error: &slipway_dataset::Error, count: usize) -> Error {
    Error::problem(
        "spec.split",
        "too-few-examples",
        error.to_string(),
        format!("there are {count}: make the parts smaller"),
    )
}
