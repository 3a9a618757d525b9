//! The rows of a sample, as pictures with answers.

use slipway_samples::Sample;

use crate::served::normalise;
use crate::{Answers, Pictures};

/// What samples hold.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) pictures: Pictures,
    pub(super) answers: Answers,
    /// Rows that are no such picture, or have no such answer.
    pub(super) left_out: usize,
}

impl Sampled {
    /// Samples of pictures of this shape, with a number for each class as the answer. `ink` is the number of a pixel that is all ink.
    pub(super) fn of(samples: &[Sample], shape: [usize; 2], classes: usize, ink: f32) -> Self {
        let mut pictures = Pictures::new(shape);
        let mut answers = Answers { classes, probabilities: Vec::new() };
        let mut left_out = 0;
        for Sample { inputs, outputs, .. } in samples {
            let fits = (inputs.len(), outputs.len()) == (pictures.size(), classes);
            if !fits || !inputs.iter().chain(outputs).all(|number| number.is_finite()) {
                left_out += 1;
                continue;
            }
            let levels: Vec<u8> = inputs.iter().map(|number| level(number / ink)).collect();
            pictures.push(&levels, None);
            answers.probabilities.extend_from_slice(outputs);
        }
        normalise(&mut answers);
        Self { pictures, answers, left_out }
    }
}

/// The level of a share of ink; what is beyond paper or ink counts as that.
fn level(share: f32) -> u8 {
    (share * 255.0).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(inputs: &[f32], outputs: &[f32]) -> Sample {
        Sample::new(0, "", 0, 1, inputs.to_vec(), outputs.to_vec())
    }

    #[test]
    fn numbers_become_levels_and_what_does_not_fit_is_counted() {
        let samples = [
            sample(&[0.0, 1.0], &[0.25, 0.75]),
            sample(&[0.2, 7.0], &[0.5, 0.5]),
            sample(&[0.0], &[0.5, 0.5]),
            sample(&[0.0, 1.0], &[1.0]),
            sample(&[f32::NAN, 1.0], &[0.5, 0.5]),
        ];
        let Sampled { pictures, answers, left_out } = Sampled::of(&samples, [1, 2], 2, 1.0);
        assert_eq!((pictures.levels.as_slice(), pictures.len(), left_out), ([0, 255, 51, 255].as_slice(), 2, 3));
        assert_eq!(answers.probabilities, [0.25, 0.75, 0.5, 0.5]);
        // bytes as they were sent
        assert_eq!(Sampled::of(&[sample(&[7.0, 255.0], &[1.0])], [1, 2], 1, 255.0).pictures.levels, [7, 255]);
    }
}
