//! The file `MLmodel` of a model that MLflow saved: its flavours and its signature.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Datatype, Error, Result, TensorSpec};

/// The file, in the folder of a model.
pub const MLMODEL_FILE: &str = "MLmodel";

/// What a model saved by MLflow says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlModel {
    /// The names of its flavours, such as `pytorch` and `python_function`, sorted.
    pub flavors: Vec<String>,
    /// What it takes, in order; `None` without a signature. A signature of columns is one tensor: see [`MlModel::parse`].
    pub inputs: Option<Vec<TensorSpec>>,
    /// What it gives, in order; `None` without a signature of outputs.
    pub outputs: Option<Vec<TensorSpec>>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    flavors: BTreeMap<String, IgnoredAny>,
    signature: Option<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    inputs: Option<String>,
    outputs: Option<String>,
}

/// An element of a signature, as `mlflow.types.schema` writes it.
#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "text_of_name")]
    name: Option<String>,
    #[serde(rename = "tensor-spec")]
    tensor: Option<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<i64>,
}

impl MlModel {
    /// Reads the file's text; `file` is how errors name it.
    ///
    /// Tensors without a name are called `input` and `output`, or `input_0`, `input_1`, … if there are several. Columns of a table
    /// are one FP32 tensor `[-1, columns]` with their names, which is what MLflow's flavour for PyTorch gives a network for a data frame.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the file is not one that MLflow writes, or its signature has something that no tensor holds.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let read: File = slipway_source::typed(file, text).map_err(|finding| {
            let problem = format!("line {} column {}: {}", finding.line, finding.column, finding.message);
            Error::invalid(file, problem)
        })?;
        let Signature { inputs, outputs } = read.signature.unwrap_or(Signature { inputs: None, outputs: None });
        let tensors = |list: &str, default: &str, json: Option<String>| {
            json.map(|json| tensors(default, &json))
                .transpose()
                .map_err(|problem| Error::invalid(file, format!("signature.{list}: {problem}")))
        };
        Ok(Self {
            flavors: read.flavors.into_keys().collect(),
            inputs: tensors("inputs", "input", inputs)?,
            outputs: tensors("outputs", "output", outputs)?,
        })
    }

    /// The flavour that says what the model was made with: the first that is not `python_function`, which almost every model has beside
    /// its own. `None` if there is none.
    #[must_use]
    pub fn flavor(&self) -> Option<&str> {
        let own = self.flavors.iter().find(|flavor| *flavor != "python_function");
        own.or(self.flavors.first()).map(String::as_str)
    }
}

/// The tensors of a signature's JSON.
fn tensors(default: &str, json: &str) -> Result<Vec<TensorSpec>, String> {
    let specs: Vec<Spec> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let tabular = specs.iter().filter(|spec| spec.kind != "tensor").count();
    if specs.is_empty() {
        return Err("it is empty".to_owned());
    }
    if tabular == specs.len() {
        return table(default, specs).map(|table| vec![table]);
    }
    if tabular > 0 {
        return Err("it mixes tensors and columns".to_owned());
    }
    let several = specs.len() > 1;
    let named = specs.into_iter().enumerate().map(|(at, spec)| {
        let name = spec.name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| if several { format!("{default}_{at}") } else { default.to_owned() });
        let tensor = spec.tensor.ok_or_else(|| format!("`{name}` is a tensor without tensor-spec"))?;
        let datatype = Datatype::of_numpy(&tensor.dtype)
            .ok_or_else(|| format!("`{name}` is of {}, which no tensor of libtorch holds", tensor.dtype))?;
        let spec = TensorSpec::new(name, datatype, tensor.shape);
        spec.problem().map_or(Ok(()), |problem| Err(format!("`{}`: {problem}", spec.name)))?;
        Ok(spec)
    });
    named.collect()
}

/// Columns as one tensor.
fn table(name: &str, specs: Vec<Spec>) -> Result<TensorSpec, String> {
    for (at, spec) in specs.iter().enumerate() {
        if !["boolean", "integer", "long", "float", "double"].contains(&spec.kind.as_str()) {
            let column = spec.name.clone().unwrap_or_else(|| at.to_string());
            return Err(format!("the column `{column}` is of type {}, which no tensor of numbers holds", spec.kind));
        }
    }
    let shape = [-1, specs.len() as i64];
    let columns: Option<Vec<String>> = specs.into_iter().map(|spec| spec.name).collect();
    let spec = TensorSpec { columns: columns.unwrap_or_default(), ..TensorSpec::new(name, Datatype::Fp32, shape) };
    spec.problem().map_or(Ok(spec), Err)
}

/// Names of columns may be numbers.
fn text_of_name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(from)? {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MLflow 3.17 writes it, shortened.
    const SAVED: &str = "flavors:\n  python_function:\n    loader_module: mlflow.pytorch\n  pytorch:\n    code: null\nis_signature_from_type_hint: false\n\
        signature:\n  inputs: 'IN'\n  outputs: '[{\"type\": \"tensor\", \"tensor-spec\": {\"dtype\": \"float32\", \"shape\": [-1,\n    2]}}]'\n  params: null\n";

    fn read(inputs: &str) -> Result<MlModel> {
        MlModel::parse("m/MLmodel", &SAVED.replace("IN", inputs))
    }

    #[test]
    fn tensors_are_read_with_or_without_names() {
        let one = read(r#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}]"#).unwrap();
        assert_eq!(one.inputs, Some(vec![TensorSpec::new("input", Datatype::Fp32, [-1, 3])]));
        assert_eq!(one.outputs, Some(vec![TensorSpec::new("output", Datatype::Fp32, [-1, 2])]));
        assert_eq!(one.flavor(), Some("pytorch"));
        let two = r#"[{"name": "a", "type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": [-1]}}, {"type": "tensor", "tensor-spec": {"dtype": "bool", "shape": []}}]"#;
        let two = read(two).unwrap().inputs.unwrap();
        assert_eq!(two, [TensorSpec::new("a", Datatype::Uint8, [-1]), TensorSpec::new("input_1", Datatype::Bool, [])]);
    }

    #[test]
    fn columns_are_one_tensor() {
        let columns = r#"[{"type": "double", "name": "alcohol", "required": true}, {"type": "long", "name": 7}]"#;
        let [table] = <[TensorSpec; 1]>::try_from(read(columns).unwrap().inputs.unwrap()).unwrap();
        assert_eq!(
            (table.name.as_str(), table.datatype, table.shape.as_slice()),
            ("input", Datatype::Fp32, &[-1, 2][..])
        );
        assert_eq!(table.columns, ["alcohol", "7"]);
        let [series] = <[TensorSpec; 1]>::try_from(read(r#"[{"type": "float"}]"#).unwrap().inputs.unwrap()).unwrap();
        assert_eq!((series.shape.as_slice(), series.columns.len()), (&[-1, 1][..], 0));
    }

    #[test]
    fn without_a_signature_it_has_flavors_only() {
        let plain = MlModel::parse("MLmodel", "flavors: {sklearn: {}, python_function: {}}\n").unwrap();
        assert_eq!((plain.flavor(), &plain.inputs, &plain.outputs), (Some("sklearn"), &None, &None));
        assert_eq!(
            MlModel::parse("MLmodel", "flavors: {python_function: {}}").unwrap().flavor(),
            Some("python_function")
        );
        let half = MlModel::parse("MLmodel", "signature: {inputs: '[{\"type\": \"float\"}]', outputs: null}").unwrap();
        assert!(half.inputs.is_some() && half.outputs.is_none() && half.flavor().is_none());
    }

    #[test]
    fn what_no_tensor_holds_is_named() {
        for (inputs, says) in [
            (r#"[{"type": "string", "name": "s"}]"#, "signature.inputs: the column `s` is of type string"),
            (r#"[{"type": "array", "items": {"type": "double"}, "name": "x"}]"#, "the column `x` is of type array"),
            (r#"[{"type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]"#, "`input` is of str, which no"),
            (r#"[{"type": "tensor", "tensor-spec": {"dtype": "uint32", "shape": [-1]}}]"#, "`input` is of uint32"),
            (r#"[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [-5]}}]"#, "shape[0] is -5"),
            (r#"[{"type": "tensor", "name": "a"}]"#, "`a` is a tensor without tensor-spec"),
            (r#"[{"type": "float"}, {"type": "tensor"}]"#, "mixes tensors and columns"),
            ("[]", "it is empty"),
            ("[{", "line 1 column 2"),
        ] {
            let error = read(inputs).unwrap_err().to_string();
            assert!(error.starts_with("m/MLmodel: signature.inputs: ") && error.contains(says), "{says}: {error}");
        }
        let error = MlModel::parse("MLmodel", "flavors: [\n").unwrap_err().to_string();
        assert!(error.starts_with("MLmodel: line "), "{error}");
    }
}
