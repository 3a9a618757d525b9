//! The sample of requests: what of a request becomes of it. `slipway-samples` writes it.

use std::sync::Arc;

use slipway_dataset::{RetryBudget, Store};
use slipway_samples::{Place, Sample, Sampler, Writer};

use crate::fatal::Fatal;
use crate::loaded::Loaded;
use crate::settings::Sampling;
use crate::tensor::Array;

/// What a number takes in a sample, in bytes.
const NUMBER: usize = size_of::<f32>();

/// The sampler, and what writes its samples while it runs; nothing is sent yet.
///
/// # Errors
/// [`Fatal::Input`] when the settings of the store are malformed.
pub async fn start(settings: &Sampling) -> Result<(Sampler, Writer), Fatal> {
    let store = Store::from_env(RetryBudget::Interactive).await.map_err(|error| Fatal::Input(error.to_string()))?;
    let started = Sampler::new(store.beside(&settings.bucket), settings.bounds.clone());
    started.map_err(|error| Fatal::Input(error.to_string()))
}

/// What the inputs of a request will take, in bytes.
pub(crate) fn bytes(inputs: &[Array]) -> usize {
    inputs.iter().map(|input| input.elements.len() * NUMBER).sum()
}

/// Takes a request that was answered by this version. The features are among the outputs if it has any.
pub(crate) fn fill(place: Place, model: &Arc<Loaded>, id: String, rows: usize, inputs: Vec<Array>, outputs: &[Array]) {
    // the registry's versions are numbers
    let Ok(version) = model.version.parse::<u64>() else { return };
    let features = model.interface.features().and_then(|at| outputs.get(at));
    let kept = [outputs.first(), features].map(|array| array.cloned());
    let numbers = bytes(&inputs) + kept.iter().flatten().map(|array| array.elements.len() * NUMBER).sum::<usize>();
    let fixed = Sample::new(0, &id, 0, version, Vec::new(), Vec::new()).bytes();
    let time = slipway_samples::now();
    let make = move || (0..rows).map(|row| sample(time, &id, row, rows, version, &inputs, &kept)).collect();
    place.fill(&model.name, version, numbers + rows * fixed, Box::new(make));
}

/// A row with the first output and the features, if there are any.
fn sample(
    time: i64,
    id: &str,
    row: usize,
    rows: usize,
    version: u64,
    inputs: &[Array],
    [output, features]: &[Option<Array>; 2],
) -> Sample {
    let of_row = |array: &Array| {
        let width = array.elements.len() / rows.max(1);
        array.elements.singles(row * width, (row + 1) * width)
    };
    let numbers = inputs.iter().flat_map(of_row).collect();
    let [output, features] = [output, features].map(|array| array.as_ref().map(of_row));
    let row = u32::try_from(row).unwrap_or(u32::MAX);
    let made = Sample::new(time, id, row, version, numbers, output.unwrap_or_default());
    Sample { features, ..made }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Elements;

    #[test]
    fn a_row_has_the_numbers_of_all_inputs_of_the_first_output_and_of_the_features() {
        let inputs = [
            Array { shape: vec![2, 2], elements: Elements::Uint8(vec![1, 2, 3, 4]) },
            Array { shape: vec![2], elements: Elements::Bool(vec![true, false]) },
        ];
        let output = Array { shape: vec![2, 3], elements: Elements::Fp64(vec![0.5, 0.25, 0.25, 1.0, 0.0, 0.0]) };
        let features = Array { shape: vec![2, 2], elements: Elements::Fp32(vec![0.0, 1.0, 5.0, 6.0]) };
        let made = sample(7, "a", 1, 2, 3, &inputs, &[Some(output.clone()), None]);
        let want = Sample::new(7, "a", 1, 3, vec![3.0, 4.0, 0.0], vec![1.0, 0.0, 0.0]);
        assert_eq!(made, want);
        let made = sample(7, "a", 1, 2, 3, &inputs, &[Some(output), Some(features)]);
        assert_eq!(made, want.with_features(vec![5.0, 6.0]));
        assert_eq!(bytes(&inputs), 24);
    }
}
