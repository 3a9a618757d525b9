//! `/invocations`, as `mlflow models serve` answers it, for code that was written for that.
//!
//! Of MLflow's forms these are read: `inputs` and `instances` (tensors), `dataframe_split` and `dataframe_records` (tables). The answer is
//! what MLflow's flavour for PyTorch gives: nested lists, or for a table records whose keys are the outputs' columns.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value, json};
use slipway_signature::TensorSpec;

use crate::infer::{OfType, checked, place, shaped, start_of};
use crate::interface::{Interface, names};
use crate::refusal::Refusal;
use crate::tensor::{Array, Element, each};

/// What a body asks for.
#[derive(Debug)]
pub struct Invocation {
    /// The inputs, as the model takes them.
    pub inputs: Vec<Array>,
    /// Their rows; 1 if the model is not batched.
    pub rows: usize,
    /// Whether it was a table, which is answered by records.
    pub table: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    inputs: Option<Value>,
    instances: Option<Value>,
    dataframe_split: Option<Split>,
    dataframe_records: Option<Vec<Map<String, Value>>>,
    /// Parameters of the prediction, of which no model here has any.
    #[serde(rename = "params")]
    _params: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    columns: Option<Vec<Value>>,
    data: Vec<Vec<Value>>,
    #[serde(rename = "index")]
    _index: Option<Value>,
}

/// Reads a body for a model.
///
/// # Errors
/// 400 with what is allowed; 413 for more rows than one request may have.
pub fn read(body: &[u8], interface: &Interface) -> Result<Invocation, Refusal> {
    let body: Body =
        serde_json::from_slice(body).map_err(|error| Refusal::request(format!("the body: {error}; {FORMS}")))?;
    let (given, table) = match (body.inputs, body.instances, body.dataframe_split, body.dataframe_records) {
        (Some(inputs), None, None, None) => (tensors(inputs, interface), false),
        (None, Some(instances), None, None) => (rows(instances)?, false),
        (None, None, Some(Split { columns, data, .. }), None) => (split(columns, data, interface)?, true),
        (None, None, None, Some(records)) => (records_of(records, interface)?, true),
        _ => return Err(Refusal::request(FORMS)),
    };
    let mut arrays = Vec::with_capacity(given.len());
    for (name, value) in given {
        let at = place(interface, &name)?;
        arrays.push((at, array(interface, at, &value)?));
    }
    let (inputs, rows) = checked(interface, arrays)?;
    Ok(Invocation { inputs, rows, table })
}

const FORMS: &str = "expected an object with one of inputs, instances, dataframe_split and dataframe_records";

type Named = Vec<(String, Value)>;

/// One tensor, or several by name.
fn tensors(inputs: Value, interface: &Interface) -> Named {
    match inputs {
        Value::Object(named) if named.keys().all(|name| interface.inputs.iter().any(|input| input.name == *name)) => {
            named.into_iter().collect()
        }
        only => vec![(String::new(), only)],
    }
}

/// Rows of one tensor, or rows of several by name.
fn rows(instances: Value) -> Result<Named, Refusal> {
    let list = match instances {
        Value::Array(list) if list.first().is_some_and(Value::is_object) => list,
        only => return Ok(vec![(String::new(), only)]),
    };
    let mut tensors: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let count = list.len();
    for (at, row) in list.into_iter().enumerate() {
        let Value::Object(row) = row else {
            return Err(Refusal::request(format!("instances[{at}] is not an object, but others are")));
        };
        for (name, value) in row {
            tensors.entry(name).or_default().push(value);
        }
    }
    if let Some((name, values)) = tensors.iter().find(|(_, values)| values.len() != count) {
        let (name, found) = (start_of(name), values.len());
        return Err(Refusal::request(format!("{found} of {count} instances have `{name}`; every one must")));
    }
    Ok(tensors.into_iter().map(|(name, values)| (name, Value::Array(values))).collect())
}

/// A table by rows of its columns.
fn split(columns: Option<Vec<Value>>, data: Vec<Vec<Value>>, interface: &Interface) -> Result<Named, Refusal> {
    let columns: Option<Vec<String>> = columns.map(|columns| columns.iter().map(text).collect());
    let width = columns.as_ref().map_or_else(|| data.first().map_or(0, Vec::len), Vec::len);
    if let Some(at) = data.iter().position(|row| row.len() != width) {
        let found = data[at].len();
        return Err(Refusal::request(format!("dataframe_split.data[{at}] has {found} values for {width} columns")));
    }
    table(columns, data, interface)
}

/// A table by records. The first one says which columns there are.
fn records_of(records: Vec<Map<String, Value>>, interface: &Interface) -> Result<Named, Refusal> {
    let columns: Vec<String> = records.first().map(|first| first.keys().cloned().collect()).unwrap_or_default();
    let mut data = Vec::with_capacity(records.len());
    for (at, mut record) in records.into_iter().enumerate() {
        let values = columns.iter().map(|column| record.remove(column).ok_or(column)).collect::<Result<Vec<_>, _>>();
        data.push(values.map_err(|column| {
            Refusal::request(format!("dataframe_records[{at}] has no `{}`, which the first one has", start_of(column)))
        })?);
        if let Some(column) = record.keys().next() {
            let column = start_of(column);
            return Err(Refusal::request(format!(
                "dataframe_records[{at}] has `{column}`, which the first one has not"
            )));
        }
    }
    table(Some(columns), data, interface)
}

/// A table as the model takes it: one tensor of all columns, or one tensor for each column.
fn table(columns: Option<Vec<String>>, data: Vec<Vec<Value>>, interface: &Interface) -> Result<Named, Refusal> {
    let column = |name: &str| {
        let columns = columns.as_deref().unwrap_or_default();
        columns.iter().position(|column| column == name).ok_or_else(|| {
            Refusal::request(format!("the column `{name}` is missing; the table has {}", columns.join(", ")))
        })
    };
    if let [only] = interface.inputs.as_slice() {
        if only.columns.is_empty() || columns.is_none() {
            return Ok(vec![(only.name.clone(), json!(data))]);
        }
        // as the model knows them, whatever their order in the table; it does not see others
        let order = only.columns.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<Vec<&Value>> = data.iter().map(|row| order.iter().map(|at| &row[*at]).collect()).collect();
        return Ok(vec![(only.name.clone(), json!(rows))]);
    }
    if columns.is_none() {
        let all = names(&interface.inputs);
        return Err(Refusal::request(format!("dataframe_split has no columns, but the model takes {all} by name")));
    }
    let of = |input: &TensorSpec| {
        let at = column(&input.name)?;
        let values: Vec<&Value> = data.iter().map(|row| &row[at]).collect();
        // one number for each row may also be a tensor of one column
        let one = input.shape.len() == 2 && values.first().is_some_and(|value| !value.is_array());
        let values = if one { json!(values.iter().map(|value| [value]).collect::<Vec<_>>()) } else { json!(values) };
        Ok((input.name.clone(), values))
    };
    interface.inputs.iter().map(of).collect()
}

/// The name of a column, which may be a number.
fn text(name: &Value) -> String {
    name.as_str().map_or_else(|| name.to_string(), str::to_owned)
}

/// Nested lists as an input.
fn array(interface: &Interface, at: usize, value: &Value) -> Result<Array, Refusal> {
    let spec = &interface.inputs[at];
    let numbers = OfType(spec.datatype)
        .deserialize(value)
        .map_err(|error| Refusal::request(format!("the input `{}`: {error}", spec.name)))?;
    if let Some(problem) = numbers.problem {
        return Err(Refusal::request(problem));
    }
    let shape = shaped(interface, at, spec.datatype.as_str(), &numbers.nested)?;
    Ok(Array { shape, elements: numbers.elements })
}

/// The body of an answer with these outputs. Of a built-in network it has the probabilities alone, as MLflow's flavour has.
///
/// # Errors
/// 500 when a number is not finite, which JSON does not have.
pub fn answer(interface: &Interface, outputs: &[Array], table: bool) -> Result<Value, Refusal> {
    let outputs = if interface.images { &outputs[..1] } else { outputs };
    if let Some(at) = outputs.iter().position(|output| !output.elements.are_finite()) {
        let name = &interface.outputs[at].name;
        return Err(Refusal::unexpected(format!(
            "the output `{name}` has numbers that are not finite, which JSON does not have; ask for it by /v2 as binary data"
        )));
    }
    let predictions = match outputs {
        [only] if table && only.shape.len() == 2 => {
            let columns = &interface.outputs[0].columns;
            let key = |at: usize| columns.get(at).cloned().unwrap_or_else(|| at.to_string());
            let record = |row: Value| match row {
                Value::Array(row) => row.into_iter().enumerate().map(|(at, value)| (key(at), value)).collect(),
                other => other,
            };
            match nested(only) {
                Value::Array(rows) => rows.into_iter().map(record).collect(),
                other => other,
            }
        }
        [only] => nested(only),
        several => {
            let named = several.iter().zip(&interface.outputs);
            named.map(|(output, spec)| (spec.name.clone(), nested(output))).collect()
        }
    };
    Ok(json!({ "predictions": predictions }))
}

/// A tensor as nested lists.
fn nested(array: &Array) -> Value {
    let flat: Vec<Value> = each!(&array.elements, list => list.iter().map(|element| json!(element.json())).collect());
    let mut level = flat;
    // the innermost dimension first; the outermost is what is left
    for size in array.shape.iter().skip(1).rev() {
        let size = usize::try_from(*size).unwrap_or_default().max(1);
        level = level.chunks(size).map(|part| Value::Array(part.to_vec())).collect();
    }
    if array.shape.is_empty() { level.pop().unwrap_or_default() } else { Value::Array(level) }
}

#[cfg(test)]
mod tests {
    use slipway_signature::Servable;

    use super::*;
    use crate::tensor::Elements;

    fn interface(inputs: Value) -> Interface {
        let json = json!({"engine": "torchscript", "file": "m.ts", "inputs": inputs,
                          "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}]});
        Interface::of_servable(&Servable::parse(json.to_string().as_bytes()).unwrap())
    }

    fn wine() -> Interface {
        interface(json!([{"name": "row", "datatype": "FP32", "shape": [-1, 2], "columns": ["acid", "sugar"]}]))
    }

    fn pair() -> Interface {
        interface(
            json!([{"name": "a", "datatype": "INT64", "shape": [-1]}, {"name": "b", "datatype": "FP32", "shape": [-1, 1]}]),
        )
    }

    fn asked(interface: &Interface, body: Value) -> Result<Invocation, Refusal> {
        read(body.to_string().as_bytes(), interface)
    }

    #[test]
    fn every_form_is_the_same_table() {
        let expected = [Array { shape: vec![2, 2], elements: Elements::Fp32(vec![1.0, 2.0, 3.0, 4.0]) }];
        for (body, table) in [
            (json!({"inputs": [[1, 2], [3, 4]]}), false),
            (json!({"inputs": {"row": [[1, 2], [3, 4]]}, "params": {"a": 1}}), false),
            (json!({"instances": [[1, 2], [3, 4]]}), false),
            (json!({"instances": [{"row": [1, 2]}, {"row": [3, 4]}]}), false),
            (
                json!({"dataframe_split": {"columns": ["sugar", "acid"], "index": [0, 1], "data": [[2, 1], [4, 3]]}}),
                true,
            ),
            (json!({"dataframe_split": {"data": [[1, 2], [3, 4]]}}), true),
            (
                json!({"dataframe_records": [{"sugar": 2, "acid": 1, "more": 7}, {"acid": 3, "sugar": 4, "more": 8}]}),
                true,
            ),
        ] {
            let found = asked(&wine(), body.clone()).unwrap();
            assert_eq!((found.inputs.as_slice(), found.rows, found.table), (&expected[..], 2, table), "{body}");
        }
        let expected = [
            Array { shape: vec![2], elements: Elements::Int64(vec![1, 2]) },
            Array { shape: vec![2, 1], elements: Elements::Fp32(vec![0.5, 1.5]) },
        ];
        for body in [
            json!({"inputs": {"a": [1, 2], "b": [[0.5], [1.5]]}}),
            json!({"instances": [{"a": 1, "b": [0.5]}, {"a": 2, "b": [1.5]}]}),
            json!({"dataframe_split": {"columns": ["b", "a"], "data": [[0.5, 1], [1.5, 2]]}}),
        ] {
            assert_eq!(asked(&pair(), body.clone()).unwrap().inputs, expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_such_form_is_refused() {
        for (model, body, says) in [
            (wine(), json!({}), "one of inputs, instances, dataframe_split and dataframe_records"),
            (wine(), json!({"inputs": [[1, 2]], "instances": [[1, 2]]}), "one of inputs"),
            (wine(), json!({"data": [1]}), "unknown field `data`"),
            (wine(), json!({"inputs": [[1, 2, 3]]}), "the shape is [1, 3]; expected [n, 2]"),
            (wine(), json!({"inputs": [["a", "b"]]}), "the input `row`: invalid type: string \"a\""),
            (wine(), json!({"inputs": [[1, 2], [3]]}), "ragged"),
            (wine(), json!({"inputs": null}), "one of inputs"),
            (wine(), json!({"instances": [{"row": [1, 2]}, [3]]}), "instances[1] is not an object"),
            (wine(), json!({"instances": [{"row": [1, 2]}, {"x": 1}]}), "1 of 2 instances have `row`"),
            (wine(), json!({"dataframe_split": {"columns": ["acid"], "data": [[1]]}}), "the column `sugar` is missing"),
            (
                wine(),
                json!({"dataframe_split": {"columns": ["acid"], "data": [[1, 2]]}}),
                "data[0] has 2 values for 1 columns",
            ),
            (wine(), json!({"dataframe_split": {"rows": []}}), "unknown field `rows`"),
            (wine(), json!({"dataframe_records": [{"acid": 1, "sugar": 2}, {"acid": 1}]}), "[1] has no `sugar`"),
            (wine(), json!({"dataframe_records": [{"acid": 1}, {"acid": 1, "sugar": 1}]}), "[1] has `sugar`"),
            (wine(), json!({"dataframe_records": []}), "the column `acid` is missing"),
            (pair(), json!({"inputs": [1, 2]}), "there is no input ``; the inputs are a and b"),
            (pair(), json!({"dataframe_split": {"data": [[1, 2]]}}), "takes a and b by name"),
        ] {
            let refusal = asked(&model, body.clone()).unwrap_err();
            assert!(refusal.status == 400 && refusal.message.contains(says), "{body}: {refusal}");
        }
    }

    #[test]
    fn answers_are_as_mlflow_gives_them() {
        let outputs = [Array { shape: vec![2, 2], elements: Elements::Fp32(vec![0.5, 1.0, 2.0, 3.0]) }];
        let of = |table| answer(&wine(), &outputs, table).unwrap()["predictions"].clone();
        assert_eq!(of(false), json!([[0.5, 1.0], [2.0, 3.0]]));
        assert_eq!(of(true), json!([{"0": 0.5, "1": 1.0}, {"0": 2.0, "1": 3.0}]));
        let cube = Array { shape: vec![1, 2, 2], elements: Elements::Int64(vec![1, 2, 3, 4]) };
        assert_eq!(nested(&cube), json!([[[1, 2], [3, 4]]]));
        assert_eq!(nested(&Array { shape: vec![], elements: Elements::Bool(vec![true]) }), json!(true));
        let infinite = [Array { shape: vec![1, 2], elements: Elements::Fp32(vec![f32::INFINITY, 1.0]) }];
        assert_eq!(answer(&wine(), &infinite, false).unwrap_err().status, 500);
    }
}
