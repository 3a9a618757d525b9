//! One tensor of a signature.

use serde::{Deserialize, Serialize};

use crate::Datatype;

/// A tensor that a model takes or gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Its name, by which a request gives it or asks for it.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// Its dimensions, the outermost first; −1 is a dimension of any size. Empty for a single number.
    pub shape: Vec<i64>,
    /// The names of the entries along the last dimension: the columns of a table. Empty if they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl TensorSpec {
    /// A tensor without names of columns.
    pub fn new(name: impl Into<String>, datatype: Datatype, shape: impl Into<Vec<i64>>) -> Self {
        Self { name: name.into(), datatype, shape: shape.into(), columns: Vec::new() }
    }

    /// Whether its first dimension has any size, so that several requests can be one batch.
    #[must_use]
    pub fn is_batched(&self) -> bool {
        self.shape.first() == Some(&-1)
    }

    /// Whether a tensor of this shape is one of these.
    #[must_use]
    pub fn fits(&self, shape: &[i64]) -> bool {
        self.shape.len() == shape.len()
            && self
                .shape
                .iter()
                .zip(shape)
                .all(|(expected, found)| *found >= 0 && (*expected == -1 || expected == found))
    }

    /// What is wrong with it, and what is allowed.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.name.is_empty() {
            return Some("its name is empty".to_owned());
        }
        if let Some(at) = self.shape.iter().position(|size| *size < -1 || *size == 0) {
            let size = self.shape[at];
            return Some(format!("shape[{at}] is {size}; use a size of at least 1, or -1 for any size"));
        }
        // what a request of the smallest batch needs must be a number of bytes
        let elements = self.shape.iter().try_fold(1_i64, |product, size| product.checked_mul((*size).max(1)));
        if elements.and_then(|elements| elements.checked_mul(self.datatype.size() as i64)).is_none() {
            return Some(format!("shape {:?} has more elements than fit into memory", self.shape));
        }
        let last = self.shape.last().copied().unwrap_or(1);
        if !self.columns.is_empty() && last != self.columns.len() as i64 {
            return Some(format!("it has {} columns, but its last dimension is {last}", self.columns.len()));
        }
        let twice = self.columns.iter().enumerate().find(|(at, column)| self.columns[..*at].contains(column));
        twice.map(|(_, column)| format!("the column `{column}` is named twice"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_fit_or_do_not() {
        let spec = TensorSpec::new("x", Datatype::Fp32, [-1, 3]);
        assert!(spec.is_batched() && spec.fits(&[7, 3]) && spec.fits(&[0, 3]));
        for other in [&[3][..], &[7, 4], &[7, 3, 1], &[-1, 3], &[]] {
            assert!(!spec.fits(other), "{other:?}");
        }
        assert!(TensorSpec::new("x", Datatype::Fp32, []).fits(&[]));
    }
}
