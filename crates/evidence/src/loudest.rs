//! The pictures that speak loudest: those that the reference knows least.

use serde::Serialize;

use crate::streams::Streams;
use crate::{Answers, Material};

/// How many are named.
const MOST: usize = 8;

/// A new picture that is unlike the reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Loud {
    /// The object or item.
    pub item: String,
    /// Its label.
    pub label: Option<String>,
    /// What the version in service says, and how sure it is.
    pub answer: Option<(String, f64)>,
    /// The stream in which it is farthest out.
    pub stream: String,
    /// Its value there.
    pub value: f64,
    /// Its number among what is new.
    #[serde(skip)]
    pub number: usize,
}

/// The loudest new pictures, the loudest first. The loudness of a picture is the sum over the streams of numbers of -ln of the share of the
/// reference that is as far out on its side.
pub(crate) fn loudest(
    streams: &Streams,
    reference: &[Vec<f64>],
    new: &[Vec<f64>],
    material: &Material,
    answers: Option<&Answers>,
) -> Vec<Loud> {
    let all = streams.all();
    let numbers: Vec<usize> = (0..all.len())
        // each probability follows from the others, and half of them are zero: what they say is in the confidence
        .filter(|at| all[*at].classes.is_none() && !all[*at].name.starts_with("softmax"))
        .collect();
    let sorted: Vec<Vec<f64>> = numbers
        .iter()
        .map(|at| {
            let mut values: Vec<f64> = reference.iter().map(|row| row[*at]).filter(|value| !value.is_nan()).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        })
        .collect();
    let mut loud: Vec<(f64, usize, usize)> = new
        .iter()
        .enumerate()
        .map(|(number, row)| {
            let surprises = numbers.iter().zip(&sorted).map(|(at, usual)| surprise(usual, row[*at]));
            let (sum, _, strangest) =
                surprises.enumerate().fold((0.0, -1.0, 0), |(sum, most, strangest), (at, surprise)| {
                    if surprise > most { (sum + surprise, surprise, at) } else { (sum + surprise, most, strangest) }
                });
            (sum, number, numbers.get(strangest).copied().unwrap_or_default())
        })
        .collect();
    loud.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    loud.truncate(MOST);
    let named = |(_, number, at): (f64, usize, usize)| Loud {
        item: material.items.get(number).cloned().unwrap_or_default(),
        label: material.new.labels.get(number).copied().flatten().map(|label| material.label(label.into())),
        answer: answers.map(|answers| {
            let (class, confidence) = answers.most(number);
            (material.label(class), confidence)
        }),
        stream: all.get(at).map(|stream| stream.name.clone()).unwrap_or_default(),
        value: new[number].get(at).copied().unwrap_or(f64::NAN),
        number,
    };
    loud.into_iter().map(named).collect()
}

/// -ln of the share of sorted values that are as far out on the value's side; one more counts, so that it is finite.
fn surprise(sorted: &[f64], value: f64) -> f64 {
    if value.is_nan() || sorted.is_empty() {
        return 0.0;
    }
    let below = sorted.partition_point(|other| *other <= value);
    let above = sorted.len() - sorted.partition_point(|other| *other < value);
    let tail = (below.min(above) + 1) as f64 / (sorted.len() + 1) as f64;
    -(2.0 * tail).min(1.0).ln()
}

#[cfg(test)]
mod tests {
    use super::surprise;

    #[test]
    fn what_is_far_out_is_loud() {
        let usual: Vec<f64> = (0..99).map(f64::from).collect();
        assert_eq!(surprise(&usual, 49.0), 0.0);
        assert!((surprise(&usual, 1000.0) - 50_f64.ln()).abs() < 1e-12);
        assert_eq!(surprise(&usual, -1.0), surprise(&usual, 1000.0));
        assert_eq!(surprise(&[1.0; 9], 1.0), 0.0);
        assert_eq!(surprise(&usual, f64::NAN), 0.0);
    }
}
