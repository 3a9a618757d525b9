//! A question for the model of `examples/wine`.

use serde_json::{Value, json};

/// The first row of the table, a wine of the first cultivar, as an inference request.
#[must_use]
pub fn request() -> Value {
    let row = [14.23, 1.71, 2.43, 15.6, 127.0, 2.8, 3.06, 0.28, 2.29, 5.64, 1.04, 3.92, 1065.0];
    json!({"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 13], "data": row}]})
}
