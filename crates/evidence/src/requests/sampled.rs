//! The rows of a sample, as pictures with answers.

use slipway_drift::Distance;
use slipway_names::request::MEASURING;
use slipway_samples::Sample;

use crate::served::{is_distribution, softmax};
use crate::{Answers, Pictures};

/// What samples hold.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) pictures: Pictures,
    pub(super) answers: Answers,
    /// Rows that are no such picture, or have no such answer.
    pub(super) left_out: usize,
}

/// What the numbers of a sample mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbers {
    /// The number of a pixel that is all ink.
    pub(super) ink: f32,
    /// Whether answers are logits. It is decided on the reference, once: by each file, one row could change what all others mean.
    pub(super) logits: bool,
}

impl Sampled {
    /// Samples of pictures of this shape, with a number for each class as the answer: the first row of each request, since the others of a batch are like it
    /// and would count as if they were not. What a program asked to measure the version is nobody's request; older servers sample it. With a distance, a row
    /// whose features an older server did not keep, or that are no such features, lacks it and nothing else.
    pub(super) fn of(
        samples: &[Sample],
        shape: [usize; 2],
        classes: usize,
        numbers: Numbers,
        distance: Option<&Distance>,
    ) -> Self {
        let Numbers { ink, logits } = numbers;
        let mut pictures = Pictures::new(shape);
        let mut answers = Answers { classes, logits, ..Answers::default() };
        let mut left_out = 0;
        for Sample { request_id, row, inputs, outputs, features, .. } in samples {
            if *row != 0 || request_id == MEASURING {
                continue;
            }
            let fits = (inputs.len(), outputs.len()) == (pictures.size(), classes)
                && inputs.iter().chain(outputs).all(|number| number.is_finite())
                && (logits || is_distribution(outputs));
            if !fits {
                left_out += 1;
                continue;
            }
            let levels: Vec<u8> = inputs.iter().map(|number| level(number / ink)).collect();
            pictures.push(&levels, None);
            answers.probabilities.extend_from_slice(outputs);
            if let Some(distance) = distance {
                let found = features.as_ref().and_then(|features| distance.of(features).ok());
                answers.distances.push(found.unwrap_or(f64::NAN));
            }
        }
        if logits {
            answers.probabilities.chunks_mut(classes.max(1)).for_each(softmax);
        }
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

    const PROBABILITIES: Numbers = Numbers { ink: 1.0, logits: false };

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
            // no distribution
            sample(&[0.0, 1.0], &[3.0, 5.0]),
        ];
        let Sampled { pictures, answers, left_out } = Sampled::of(&samples, [1, 2], 2, PROBABILITIES, None);
        assert_eq!((pictures.levels.as_slice(), pictures.len(), left_out), ([0, 255, 51, 255].as_slice(), 2, 4));
        assert_eq!(answers.probabilities, [0.25, 0.75, 0.5, 0.5]);
        // bytes as they were sent
        let bytes = Numbers { ink: 255.0, ..PROBABILITIES };
        assert_eq!(Sampled::of(&[sample(&[7.0, 255.0], &[1.0])], [1, 2], 1, bytes, None).pictures.levels, [7, 255]);
    }

    #[test]
    fn what_is_a_logit_does_not_depend_on_the_other_rows() {
        let logits = Numbers { ink: 1.0, logits: true };
        let samples = [sample(&[0.0, 1.0], &[0.0, 1.0]), sample(&[0.0, 1.0], &[0.0, 1000.0])];
        let alone = Sampled::of(&samples[..1], [1, 2], 2, logits, None).answers.probabilities;
        let both = Sampled::of(&samples, [1, 2], 2, logits, None).answers.probabilities;
        assert!((alone[1] - 0.731).abs() < 1e-3, "{alone:?}");
        assert_eq!((&both[..2], &both[2..]), (alone.as_slice(), [0.0, 1.0].as_slice()));
    }

    #[test]
    fn a_row_whose_features_are_missing_or_no_such_ones_lacks_the_distance_alone() {
        let usual: Vec<[f32; 2]> = (0..50_u8).map(|at| [f32::from(at % 7), f32::from(at % 5)]).collect();
        let distance = Distance::fit(&usual, &[0; 50], 1).unwrap();
        let of = |features: &[f32]| sample(&[0.0, 1.0], &[0.5, 0.5]).with_features(features.to_vec());
        let samples =
            [of(&[3.0, 2.0]), of(&[3.0, 99.0]), sample(&[0.0, 1.0], &[0.5, 0.5]), of(&[3.0]), of(&[3.0, f32::NAN])];
        let Sampled { answers, left_out, .. } = Sampled::of(&samples, [1, 2], 2, PROBABILITIES, Some(&distance));
        assert_eq!((answers.len(), answers.distances.len(), left_out), (5, 5, 0));
        let [near, far, missing, narrow, infinite] = [0, 1, 2, 3, 4].map(|number| answers.distance(number));
        assert!(near.unwrap() < 1.0 && far.unwrap() > 10.0, "{near:?} {far:?}");
        assert_eq!([missing, narrow, infinite], [None; 3]);
        // nobody asks for it
        assert!(Sampled::of(&samples, [1, 2], 2, PROBABILITIES, None).answers.distances.is_empty());
    }

    #[test]
    fn a_request_counts_once_and_what_measures_does_not() {
        let of = |id: &str, row: u32| Sample::new(0, id, row, 1, vec![0.0, 1.0], vec![0.5, 0.5]);
        let samples = [of("a", 0), of("a", 1), of("a", 2), of(MEASURING, 0), of("", 0)];
        let Sampled { pictures, answers, left_out } = Sampled::of(&samples, [1, 2], 2, PROBABILITIES, None);
        assert_eq!((pictures.len(), answers.len(), left_out), (2, 2, 0));
    }
}
