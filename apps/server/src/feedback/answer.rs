//! What a version answered, as classes.

use slipway_signature::Datatype;

use crate::interface::Interface;
use crate::refusal::Refusal;
use crate::tensor::{Array, Element, each};

/// How far from 1 probabilities may add up, since half precision rounds.
const TOLERANCE: f64 = 0.01;

/// The classes of a version, and how probable it finds each.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The names of the classes, in their order; their numbers if they have no names.
    pub classes: Vec<String>,
    /// One for each class.
    pub probabilities: Vec<f32>,
}

impl Answered {
    /// The most probable class; the first one on a tie.
    pub fn answer(&self) -> &str {
        let better = |best: usize, at: usize| if self.probabilities[at] > self.probabilities[best] { at } else { best };
        self.classes.get((0..self.probabilities.len()).reduce(better).unwrap_or_default()).map_or("", String::as_str)
    }
}

/// Reads the answer to one image: the only output with two or more floats, and as many as there are labels; of several the one that is
/// called `probabilities`. Numbers that are no probabilities are made such by softmax.
///
/// # Errors
/// 400 if the model does not answer with classes; 500 if its numbers are not finite.
pub fn answered(interface: &Interface, outputs: &[Array]) -> Result<Answered, Refusal> {
    let labels = &interface.labels;
    let fits = |array: &Array| {
        let floats =
            matches!(array.elements.datatype(), Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64);
        let columns = array.elements.len();
        floats
            && columns >= 2
            && array.shape.len() == 2
            && array.rows() == 1
            && (labels.is_empty() || columns == labels.len())
    };
    let mut found: Vec<_> = interface.outputs.iter().zip(outputs).filter(|(_, array)| fits(array)).collect();
    if found.len() > 1 {
        found.retain(|(output, _)| output.name == "probabilities");
    }
    let [(_, array)] = found[..] else {
        return Err(Refusal::request("feedback is for models that answer with one number for each class"));
    };
    let numbers: Vec<f64> = each!(&array.elements, list => list.iter().map(|number| number.as_f64()).collect());
    if !array.elements.are_finite() {
        return Err(Refusal::unexpected("the version answers with numbers that are not finite"));
    }
    let are_probabilities =
        numbers.iter().all(|number| *number >= -1e-6) && (numbers.iter().sum::<f64>() - 1.0).abs() <= TOLERANCE;
    let probabilities = if are_probabilities { numbers } else { softmax(&numbers) };
    let names =
        if labels.is_empty() { (0..probabilities.len()).map(|at| at.to_string()).collect() } else { labels.clone() };
    Ok(Answered { classes: names, probabilities: probabilities.into_iter().map(|number| number as f32).collect() })
}

fn softmax(numbers: &[f64]) -> Vec<f64> {
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = numbers.iter().map(|number| (number - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use slipway_signature::Servable;

    use super::*;
    use crate::tensor::Elements;

    fn interface(outputs: &str, labels: &str) -> Interface {
        let json = format!(
            r#"{{"engine": "torchscript", "file": "m.ts", "inputs": [{{"name": "x", "datatype": "FP32", "shape": [-1, 1, 2, 2]}}],
                "outputs": [{outputs}], "labels": {labels}}}"#
        );
        Interface::of_servable(&Servable::parse(json.as_bytes()).unwrap())
    }

    fn output(name: &str, columns: usize) -> String {
        format!(r#"{{"name": "{name}", "datatype": "FP32", "shape": [-1, {columns}]}}"#)
    }

    fn row(numbers: &[f32]) -> Array {
        Array { shape: vec![1, numbers.len() as i64], elements: Elements::Fp32(numbers.to_vec()) }
    }

    #[test]
    fn numbers_become_classes_with_names() {
        let named = interface(&output("p", 2), r#"["cat", "dog"]"#);
        let found = answered(&named, &[row(&[0.25, 0.75])]).unwrap();
        assert_eq!((found.answer(), &found.probabilities[..]), ("dog", &[0.25, 0.75][..]));
        // logits
        let numbered = interface(&output("z", 3), "[]");
        let found = answered(&numbered, &[row(&[9.0, 9.0, -1000.0])]).unwrap();
        assert_eq!((found.answer(), &found.classes[..]), ("0", &["0", "1", "2"].map(str::to_owned)[..]));
        assert_eq!(found.probabilities, [0.5, 0.5, 0.0]);
        // of two that could be meant
        let two = interface(&format!("{}, {}", output("z", 2), output("probabilities", 2)), "[]");
        assert_eq!(answered(&two, &[row(&[9.0, 1.0]), row(&[0.0, 1.0])]).unwrap().answer(), "1");
    }

    #[test]
    fn other_answers_are_refused() {
        for (interface, outputs, status) in [
            (interface(&output("y", 1), "[]"), vec![row(&[0.5])], 400),
            (interface(&output("y", 3), r#"["cat", "dog", "cow"]"#), vec![row(&[0.5, 0.5])], 400),
            (
                interface(&format!("{}, {}", output("y", 2), output("z", 2)), "[]"),
                vec![row(&[0.0, 1.0]), row(&[1.0, 0.0])],
                400,
            ),
            (interface(&output("y", 2), "[]"), vec![row(&[f32::NAN, 0.5])], 500),
        ] {
            assert_eq!(answered(&interface, &outputs).unwrap_err().status, status);
        }
    }
}
