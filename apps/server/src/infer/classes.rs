//! The best classes of an output, instead of its numbers.

use std::fmt;

use crate::tensor::{Array, Element, each};

/// A class of an output. Displayed as the protocol's `value:index`, or `value:index:label` if it has a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Class<'a> {
    /// The number of the class.
    pub value: f64,
    /// Its index.
    pub index: usize,
    /// What the version calls it; `None` if it has no labels.
    pub label: Option<&'a str>,
}

impl fmt::Display for Class<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.value as f32, self.index)?;
        self.label.map_or(Ok(()), |label| write!(f, ":{label}"))
    }
}

/// The classes with the largest numbers of each row, at most `most`, the largest first. On a tie the first class wins. An output of one
/// dimension is one row.
pub fn classes<'a>(array: &Array, labels: &'a [String], most: usize) -> Vec<Vec<Class<'a>>> {
    let numbers: Vec<f64> = each!(&array.elements, list => list.iter().map(|number| number.as_f64()).collect());
    let width = array.shape.last().map_or(1, |size| *size as usize).max(1);
    let best = |row: &[f64]| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|a, b| row[*b].total_cmp(&row[*a]));
        let class = |index: usize| Class { value: row[index], index, label: labels.get(index).map(String::as_str) };
        order.into_iter().take(most).map(class).collect()
    };
    numbers.chunks(width).map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Elements;

    #[test]
    fn the_largest_come_first() {
        let array = Array { shape: vec![2, 3], elements: Elements::Fp32(vec![0.1, 0.7, 0.2, 5.0, 5.0, -1.0]) };
        let labels = ["a", "b"].map(str::to_owned);
        let text = |most| {
            let rows = classes(&array, &labels, most);
            rows.iter().map(|row| row.iter().map(Class::to_string).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(text(2), [["0.7:1:b", "0.2:2"], ["5:0:a", "5:1:b"]]);
        assert_eq!(text(9)[0].len(), 3);
        let flat = Array { shape: vec![3], elements: Elements::Int64(vec![1, 9, 3]) };
        assert_eq!(classes(&flat, &[], 1)[0][0].to_string(), "9:1");
    }
}
