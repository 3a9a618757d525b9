//! What a server answers.

use serde_json::Value;

/// The class with the highest number in the first output; `None` if there are no numbers.
#[must_use]
pub fn best(answer: &Value) -> Option<usize> {
    let numbers: Vec<f64> = answer["outputs"][0]["data"].as_array()?.iter().filter_map(Value::as_f64).collect();
    (0..numbers.len()).max_by(|a, b| numbers[*a].total_cmp(&numbers[*b]))
}
