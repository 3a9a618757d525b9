//! The experiment file's JSON schema, for editors. It accepts every file that [`parse`](crate::parse()) accepts, and some others.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::{Bound, Metric, Model, Parameter, Promote, Setting, Spec, Training, Workers};

/// The schema as JSON text, ending with a newline: the content of `experiments/schema.json`.
pub fn schema() -> String {
    let mut generator = SchemaSettings::draft07().into_generator();
    let mut spec = in_order(generator.subschema_for::<Spec>());
    add_work(&mut spec, &mut generator);
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

/// Adds what an experiment runs, the built-in trainer or a program, to the schema of its specification: behind `dataset`, as a file has it.
fn add_work(spec: &mut Value, generator: &mut SchemaGenerator) {
    let texts = |description: &str| json!({"description": description, "type": "array", "items": {"type": "string"}});
    let mut command = texts(
        "The program to start and its first arguments. `${name}` is the value of a parameter; `$${` is a literal `${`.",
    );
    command["minItems"] = 1.into();
    let program = json!({
        "description": "A program of your own, in place of `model` and `training`.",
        "type": "object",
        "properties": {
            "trainer": described("The folder of trainers/ that holds the code.", label(generator)),
            "image": {
                "description": "An image that was built elsewhere, by its digest.",
                "type": "string",
                "pattern": "^[!-?A-~]+@sha256:[0-9a-f]{64}$",
            },
            "command": command,
            "args": texts("Arguments after those of the command, in which `${name}` is the value of a parameter as well."),
        },
        "additionalProperties": false,
        "required": ["command"],
        "oneOf": [{"required": ["trainer"]}, {"required": ["image"]}],
    });
    let parameters = json!({
        "description": "The free parameters of the program. It finds all of them in SLIPWAY_PARAMETERS.",
        "type": "object",
        "additionalProperties": generator.subschema_for::<Parameter>(),
        "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_-]*$", "maxLength": Parameter::MAX_NAME},
    });
    let work = [
        ("model", described("The network of the built-in trainer.", Model::json_schema(generator))),
        ("training", described("How the built-in trainer trains it.", Training::json_schema(generator))),
        ("program", program),
        ("parameters", parameters),
    ];
    if let Some(Value::Object(properties)) = spec.get_mut("properties") {
        for (index, (name, schema)) in work.into_iter().enumerate() {
            properties.shift_insert(1 + index, name.to_owned(), schema);
        }
    }
    let gate = json!({"properties": {"require": {"propertyNames": {"enum": Metric::BUILT_IN}}}});
    spec["oneOf"] =
        json!([{"required": ["model", "training"], "properties": {"register": gate}}, {"required": ["program"]}]);
}

/// A schema as JSON, with this description.
fn described(description: &str, mut schema: Schema) -> Value {
    schema.insert("description".to_owned(), description.into());
    in_order(schema)
}

/// A schema as JSON, with its keywords in their usual order.
fn in_order(schema: Schema) -> Value {
    serde_json::to_value(schema).expect("a schema is JSON")
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

/// A list of TrainJobs.
pub(crate) fn jobs(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": label(generator), "uniqueItems": true, "default": []})
}

/// What becomes of a better version.
pub(crate) fn promote(generator: &mut SchemaGenerator) -> Schema {
    let environments = json!({
        "description": "The environments in which the manager merges it as well, once its check is green: some of `environments`.",
        "type": "array",
        "items": label(generator),
        "minItems": 1,
        "uniqueItems": true,
    });
    json_schema!({
        "oneOf": [
            {"type": "string", "enum": Promote::WORDS.map(|(word, _)| word)},
            {"type": "object", "additionalProperties": false, "required": ["merge"], "properties": {"merge": environments}},
        ],
        "default": "propose",
    })
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
    let known: Map<String, Value> =
        Metric::BUILT_IN.into_iter().map(|name| (name.to_owned(), bound.clone().to_value())).collect();
    json_schema!({
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_./ -]*$", "maxLength": Metric::MAX},
        "properties": known,
        "additionalProperties": bound,
        "default": {},
    })
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
    let values = generator.subschema_for::<Parameter>();
    let parameter = json!({"type": "array", "minItems": 1, "uniqueItems": true, "items": values});
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "properties": axes,
        "patternProperties": {"^parameters\\.[A-Za-z][A-Za-z0-9_-]*$": parameter},
    })
}
