//! The experiment file's JSON schema, for editors. It accepts every file that [`parse`](crate::parse()) accepts, and some others.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::{Bound, Metric, Model, Setting, Spec, Training, Workers};

/// The schema as JSON text, ending with a newline: the content of `experiments/schema.json`.
pub fn schema() -> String {
    let mut generator = SchemaSettings::draft07().into_generator();
    let spec = generator.subschema_for::<Spec>();
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Slipway experiment",
        "description": "What to train, on which dataset, how many times and within which budget.",
        "type": "object",
        "additionalProperties": false,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": crate::parse::API_VERSION},
            "kind": {"const": "Experiment"},
            "metadata": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": {
                        "description": "Names the TrainJobs (<name>-<hash8>) and the MLflow experiment.",
                        "type": "string",
                        "pattern": LABEL,
                        "maxLength": crate::name::longest_experiment_name(1),
                    },
                },
            },
            "spec": spec,
        },
    });
    without_null(&mut schema);
    serde_json::to_string_pretty(&schema).expect("a JSON value is always JSON") + "\n"
}

/// Removes null from every type: an optional field is left out, because `parse` refuses null everywhere.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(map) => {
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    map["type"] = only.clone();
                }
            }
            map.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

const LABEL: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?$";

/// A name: an RFC 1035 label.
pub(crate) fn label(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": LABEL, "maxLength": crate::name::MAX_NAME})
}

/// A list of names.
pub(crate) fn labels(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": label(generator), "minItems": 1, "uniqueItems": true, "default": ["local"]})
}

pub(crate) fn cpu(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": ["string", "number"], "pattern": "^[0-9]+(\\.[0-9]+)?m?$", "exclusiveMinimum": 0})
}

pub(crate) fn memory(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)$"})
}

/// The gate: a bound for each metric.
pub(crate) fn require(generator: &mut SchemaGenerator) -> Schema {
    let bound = generator.subschema_for::<Bound>();
    let metrics: Map<String, Value> =
        Metric::WORDS.iter().map(|(word, _)| ((*word).to_owned(), bound.clone().to_value())).collect();
    json_schema!({"type": "object", "additionalProperties": false, "properties": metrics, "default": {}})
}

/// A list of values for every path that can be swept. The values have the schema of the field itself.
pub(crate) fn sweep(generator: &mut SchemaGenerator) -> Schema {
    let spec = json!({"properties": {
        "model": Model::json_schema(generator),
        "training": Training::json_schema(generator),
        "workers": Workers::json_schema(generator),
    }});
    let axes: Map<String, Value> = Setting::PATHS
        .into_iter()
        .map(|path| {
            let field = path.split('.').try_fold(&spec, |schema, name| schema["properties"].get(name));
            let field = field.expect("every path of a sweep is a field of the specification");
            (path.to_owned(), json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": field}))
        })
        .collect();
    json_schema!({"type": "object", "additionalProperties": false, "minProperties": 1, "properties": axes})
}
