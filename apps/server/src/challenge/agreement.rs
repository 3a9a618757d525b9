//! Whether two versions say the same.

use crate::interface::Interface;
use crate::tensor::{Array, Element, Elements, each};

/// Numbers that differ by less than this part of the champion's, or by less than this, are the same.
const CLOSE: f64 = 0.01;

/// The class of each row: of a built-in network its label, of others the place of the highest number in the first output that has several
/// for each row. `None` if there is no such output.
pub(super) fn classes(interface: &Interface, outputs: &[Array]) -> Option<Vec<i64>> {
    if interface.images
        && let Some(Array { elements: Elements::Int64(labels), .. }) = outputs.get(1)
    {
        return Some(labels.clone());
    }
    let dimensions = 1 + usize::from(interface.batched);
    let scores = outputs
        .iter()
        .find(|output| output.shape.len() == dimensions && output.shape.last().is_some_and(|classes| *classes > 1))?;
    let width = usize::try_from(*scores.shape.last()?).ok()?;
    Some(each!(&scores.elements, list => list.chunks(width).map(highest).collect()))
}

fn highest<E: Element>(row: &[E]) -> i64 {
    (1..row.len()).fold(0, |best, at| if row[at].as_f64() > row[best].as_f64() { at } else { best }) as i64
}

/// How many of these rows both answer alike: by the same class, or by numbers that are close if there are no classes.
pub(super) fn alike(interface: &Interface, champion: &[Array], challenger: &[Array], rows: usize) -> usize {
    if let (Some(champion), Some(challenger)) = (classes(interface, champion), classes(interface, challenger)) {
        return champion.iter().zip(&challenger).take(rows).filter(|(one, other)| one == other).count();
    }
    (0..rows).filter(|row| champion.iter().zip(challenger).all(|(one, other)| close(one, other, *row, rows))).count()
}

fn close(one: &Array, other: &Array, row: usize, rows: usize) -> bool {
    let numbers = |array: &Array| -> Vec<f64> {
        let width = array.elements.len() / rows.max(1);
        each!(&array.elements, list => list.iter().skip(row * width).take(width).map(|number| number.as_f64()).collect())
    };
    let (one, other) = (numbers(one), numbers(other));
    one.len() == other.len()
        && one
            .iter()
            .zip(&other)
            .all(|(one, other)| one == other || (one.is_finite() && (one - other).abs() <= CLOSE * one.abs().max(1.0)))
}

#[cfg(test)]
mod tests {
    use slipway_model::{Architecture, Config};
    use slipway_signature::{Datatype, TensorSpec};

    use super::*;

    fn array(shape: &[i64], numbers: &[f32]) -> Array {
        Array { shape: shape.to_vec(), elements: Elements::Fp32(numbers.to_vec()) }
    }

    fn interface(output: &[i64]) -> Interface {
        let mut interface = Interface::of_bundle(&Config::mnist(Architecture::Mlp, 0.0));
        interface.images = false;
        interface.outputs = vec![TensorSpec::new("y", Datatype::Fp32, output.to_vec())];
        interface
    }

    #[test]
    fn rows_with_the_same_class_agree() {
        let digits = Interface::of_bundle(&Config::mnist(Architecture::Mlp, 0.0));
        let answer = |labels: [i64; 3]| {
            vec![array(&[3, 2], &[0.0; 6]), Array { shape: vec![3], elements: Elements::Int64(labels.to_vec()) }]
        };
        assert_eq!(alike(&digits, &answer([1, 2, 3]), &answer([1, 9, 3]), 3), 2);
        let scores = interface(&[-1, 2]);
        let of = |numbers: &[f32]| vec![array(&[2, 2], numbers)];
        assert_eq!(classes(&scores, &of(&[0.2, 0.8, 5.0, -1.0])), Some(vec![1, 0]));
        assert_eq!(alike(&scores, &of(&[0.2, 0.8, 5.0, -1.0]), &of(&[0.4, 0.6, 0.0, 0.1]), 2), 1);
    }

    #[test]
    fn without_classes_numbers_within_a_hundredth_agree() {
        let number = interface(&[-1, 1]);
        let of = |numbers: &[f32]| vec![array(&[3, 1], numbers)];
        assert_eq!(classes(&number, &of(&[1.0, 2.0, 3.0])), None);
        assert_eq!(alike(&number, &of(&[100.0, 0.0, 1.0]), &of(&[100.9, 0.009, 1.1]), 3), 2);
        assert_eq!(alike(&number, &of(&[f32::INFINITY; 3]), &of(&[f32::INFINITY, f32::NAN, 0.0]), 3), 1);
        // as many numbers as they are, and no more
        assert_eq!(alike(&number, &of(&[1.0, 1.0, 1.0]), &[array(&[3, 2], &[1.0; 6])], 3), 0);
    }
}
