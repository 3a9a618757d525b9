//! The OpenAPI document of the interface, from the types of its operations.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::answer::{Answer, Described};
use super::body::Body;
use super::interface::Entry;
use super::operation::{Operation, Verb};
use super::problem::{self, Problem};

const COMPONENTS: &str = "/components/schemas";
const DESCRIPTION: &str = "What Slipway's training manager knows about the trainings of one environment. Whatever changes something \
    opens a pull request: it needs a token, and nothing starts or stops before a person merges it.";

/// The schemas of everything that is sent and received. They are JSON Schema 2020-12, as OpenAPI 3.1 has them.
pub(crate) struct Schemas {
    sent: SchemaGenerator,
    received: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = COMPONENTS.into();
                settings.meta_schema = None;
            })
        };
        Self {
            sent: settings().for_serialize().into_generator(),
            received: settings().for_deserialize().into_generator(),
        }
    }

    /// The schema of what is sent as this type.
    pub(crate) fn sent<T: JsonSchema>(&mut self) -> Value {
        self.sent.subschema_for::<T>().to_value()
    }

    /// The schema of what is read as this type.
    pub(crate) fn received<T: JsonSchema>(&mut self) -> Value {
        self.received.subschema_for::<T>().to_value()
    }

    /// The fields of a type as parameters. In a path and in a query nothing can be `null`.
    fn parameters<T: JsonSchema>(&mut self, place: &str) -> Vec<Value> {
        let schema: Schema = T::json_schema(&mut self.received);
        let schema = schema.to_value();
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let fields = schema["properties"].as_object().into_iter().flatten();
        let parameter = |(name, schema): (&String, &Value)| {
            let mut schema = without_null(schema.clone());
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            json!({
                "name": name,
                "in": place,
                "required": place == "path" || required.contains(&name.as_str()),
                "description": description.unwrap_or_default(),
                "schema": schema,
            })
        };
        fields.map(parameter).collect()
    }

    /// All types that have a name.
    fn components(mut self) -> Map<String, Value> {
        let mut all = self.received.take_definitions(true);
        all.extend(self.sent.take_definitions(true));
        all
    }
}

/// A schema of an optional value without the absence of it.
fn without_null(mut schema: Value) -> Value {
    if let Some(kinds) = schema.get_mut("type").filter(|kinds| kinds.is_array()) {
        let named = kinds.as_array().into_iter().flatten().find(|kind| *kind != "null").cloned();
        *kinds = named.unwrap_or_default();
    }
    let choices = schema.get("anyOf").and_then(Value::as_array);
    let choices = choices.map(|choices| choices.iter().filter(|one| one["type"] != "null").cloned().collect());
    let choices: Option<Vec<Value>> = choices;
    if let (Some(fields), Some([only])) = (schema.as_object_mut(), choices.as_deref()) {
        fields.remove("anyOf");
        fields.extend(only.as_object().cloned().into_iter().flatten());
    }
    schema
}

/// The document of these operations.
pub(crate) fn document(entries: &[Entry]) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.sent::<Problem>();
    let mut paths: BTreeMap<&str, BTreeMap<&str, Value>> = BTreeMap::new();
    for entry in entries {
        let verb = match entry.verb {
            Verb::Get => "get",
            Verb::Post => "post",
        };
        paths.entry(entry.path).or_default().insert(verb, (entry.describe)(&mut schemas));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Slipway's training manager",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache 2.0", "identifier": "Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "responses": {
                "Problem": {
                    "description": "What is wrong with the request, or with the systems behind it, and what to do.",
                    "content": { problem::MEDIA_TYPE: { "schema": problem } },
                },
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "With GitHub a person's own token: the pull request is that person's. With a \
                        repository of this machine the token of its manager.",
                },
            },
        },
    })
}

/// An operation as the document has it.
pub(crate) fn describe<O: Operation>(schemas: &mut Schemas) -> Value {
    let mut parameters = schemas.parameters::<O::Path>("path");
    parameters.extend(schemas.parameters::<O::Query>("query"));
    let mut responses = Map::new();
    for Described { status, description, content, headers } in O::Answer::described(schemas) {
        let mut response = json!({ "description": description });
        if let Some((media_type, content)) = content {
            response["content"] = json!({ media_type: content });
        }
        for (name, meaning) in headers {
            response["headers"][name] = json!({ "description": meaning, "schema": { "type": "string" } });
        }
        responses.insert(status.to_string(), response);
    }
    let schema = schemas.sent::<Problem>();
    for (status, description) in O::PROBLEMS {
        let content = json!({ problem::MEDIA_TYPE: { "schema": schema } });
        responses.insert(status.to_string(), json!({ "description": description, "content": content }));
    }
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    let tag = O::PATH.strip_prefix("/api/v1/").map_or("service", |path| path.split('/').next().unwrap_or(path));
    let mut operation = json!({
        "operationId": O::ID,
        "tags": [tag],
        "summary": O::SUMMARY,
        "parameters": parameters,
        "responses": responses,
    });
    if !O::DESCRIPTION.is_empty() {
        operation["description"] = O::DESCRIPTION.into();
    }
    if let Some(body) = O::Body::described(schemas) {
        operation["requestBody"] = body;
    }
    if O::Body::WRITES {
        operation["security"] = json!([{ "token": [] }]);
    }
    operation
}
