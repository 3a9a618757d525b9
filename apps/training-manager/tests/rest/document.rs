//! The OpenAPI document is valid, it is that of the routes, and answers are as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::manager::{Answer, Manager};

/// A manager's document.
pub(crate) struct Document(pub(crate) Value);

impl Document {
    pub(crate) async fn of(manager: &Manager) -> Self {
        Self(manager.get("/openapi.json").await.fine())
    }

    /// Methods and paths.
    pub(crate) fn operations(&self) -> Vec<(String, String, &Value)> {
        let paths = self.0["paths"].as_object().unwrap();
        paths
            .iter()
            .flat_map(|(path, item)| {
                let verbs = item.as_object().unwrap().iter();
                verbs.map(|(verb, operation)| (verb.to_uppercase(), path.clone(), operation))
            })
            .collect()
    }

    /// Checks that an answer is one that the document has for an operation.
    #[track_caller]
    pub(crate) fn check(&self, method: &str, path: &str, answer: &Answer) {
        let responses = &self.0["paths"][path][method.to_lowercase()]["responses"];
        let response = self.followed(responses.get(answer.status.as_str()).unwrap_or(&responses["default"]));
        let media_type = answer.header("content-type");
        let content = &response["content"][media_type];
        assert!(content.is_object(), "{method} {path} has no {media_type} for {answer:?}: {response}");
        if media_type.contains("json") {
            self.fits(&content["schema"], &answer.json());
        }
    }

    /// What a reference leads to, or the value itself if it is none.
    #[track_caller]
    fn followed<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let found = reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
        found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// What checks values by a schema of the document.
    #[track_caller]
    fn validator(&self, schema: &Value) -> jsonschema::Validator {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "components": self.0["components"],
            "allOf": [schema],
        });
        assert!(jsonschema::meta::is_valid(&schema), "{schema:#}");
        jsonschema::validator_for(&schema).unwrap()
    }

    /// Checks that a value is as a schema of the document says.
    #[track_caller]
    pub(crate) fn fits(&self, schema: &Value, value: &Value) {
        let validator = self.validator(schema);
        let mistakes: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(mistakes.is_empty(), "{mistakes:?}: {value:#}");
    }
}

#[tokio::test]
async fn the_document_is_one_of_openapi() {
    let manager = Manager::with_trials().await;
    let document = Document::of(&manager).await;
    // what OpenAPI 3.1 asks for: https://spec.openapis.org/oas/v3.1.0#openapi-object
    assert!(document.0["openapi"].as_str().unwrap().starts_with("3.1."));
    for field in ["title", "version"] {
        assert!(!document.0["info"][field].as_str().unwrap().is_empty(), "{field}");
    }
    let mut names = BTreeSet::new();
    for (verb, path, operation) in document.operations() {
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path} has the name of another");
        let parameters = operation["parameters"].as_array().unwrap();
        let in_path: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let braces = path.split('{').skip(1).map(|part| part.split('}').next().unwrap());
        assert_eq!(in_path, braces.collect(), "{path}");
        for parameter in parameters {
            assert!(!parameter["description"].as_str().unwrap().is_empty(), "{path}: {parameter}");
            assert!(!parameter["schema"].to_string().contains("null"), "{path}: {parameter}");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{path} has no answer if all goes well");
        for (status, response) in responses {
            let is_status = status.parse::<u16>().is_ok_and(|status| (200..600).contains(&status));
            assert!(is_status || status == "default", "{path}: {status}");
            let response = document.followed(response);
            assert!(!response["description"].as_str().unwrap().is_empty(), "{path}: {status}");
            for media in response["content"].as_object().into_iter().flat_map(|content| content.values()) {
                document.validator(&media["schema"]);
            }
        }
        for media in operation["requestBody"]["content"].as_object().into_iter().flat_map(|content| content.values()) {
            let accepts = document.validator(&media["schema"]);
            assert!(!accepts.is_valid(&json!({ "unknown": 1 })), "{path} says that it takes anything");
        }
        let writes = verb == "POST";
        assert_eq!((operation.get("security").is_some(), operation.get("requestBody").is_some()), (writes, writes));
    }
    assert_eq!(names.len(), 17);
    let schemas = document.0["components"]["schemas"].as_object().unwrap();
    for name in ["Trial", "ExperimentWithTrials", "Problem", "Proposed", "NewExperiment", "Gone", "TrialState"] {
        assert!(schemas.contains_key(name), "{name}: {:?}", schemas.keys());
    }
    let mut references = Vec::new();
    collect(&document.0, &mut references);
    for reference in references {
        assert!(document.0.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference} leads nowhere");
    }
}

#[tokio::test]
async fn what_is_sent_is_as_the_document_says() {
    let manager = Manager::with_trials().await;
    let document = Document::of(&manager).await;
    let schema = |path: &str| {
        let body = &document.0["paths"][path]["post"]["requestBody"];
        assert_eq!(body["required"], true);
        document.validator(&body["content"]["application/json"]["schema"])
    };
    let experiments = schema("/api/v1/experiments");
    assert!(experiments.is_valid(&json!({ "name": "digits", "source": "a" })));
    assert!(experiments.is_valid(&json!({ "name": "digits", "source": "a", "draft": true })));
    for wrong in [json!({}), json!([]), json!({ "name": "digits" }), json!({ "name": "../a", "source": "a" })] {
        assert!(!experiments.is_valid(&wrong), "{wrong}");
    }
    for path in ["/api/v1/trials/{name}/cancel", "/api/v1/experiments/{name}/cancel"] {
        let cancel = schema(path);
        assert!(cancel.is_valid(&json!({})) && cancel.is_valid(&json!({ "environment": "local", "draft": false })));
        assert!(!cancel.is_valid(&json!({ "environment": 1 })));
    }
}

/// Every reference in a document.
fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_has_a_route_and_no_other_method() {
    let manager = Manager::with_trials().await;
    let document = Document::of(&manager).await;
    for (_, path, _) in document.operations() {
        let concrete = path.replace("{name}", "digits-00000001").replace("{rank}", "0");
        let allowed: BTreeSet<String> =
            document.operations().into_iter().filter(|one| one.1 == path).map(|one| one.0).collect();
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "GET", "POST"] {
            if allowed.contains(method) {
                continue;
            }
            let answer = Answer::of(manager.request(method, &concrete)).await;
            assert_eq!(answer.problem(405), "wrong-method", "{method} {path}");
            let named: BTreeSet<String> = answer
                .header("allow")
                .split(',')
                .map(|one| one.trim().to_owned())
                .filter(|one| one != "HEAD")
                .collect();
            assert_eq!(named, allowed, "{method} {path}");
            document.check(allowed.first().unwrap(), &path, &answer);
        }
    }
}

#[tokio::test]
async fn answers_are_as_the_document_says() {
    let manager = Manager::with_trials().await;
    let document = Document::of(&manager).await;
    for (path, concrete, status) in [
        ("/api/v1/experiments", "/api/v1/experiments", 200),
        ("/api/v1/experiments/{name}", "/api/v1/experiments/digits", 200),
        ("/api/v1/experiments/{name}", "/api/v1/experiments/none", 404),
        ("/api/v1/trials", "/api/v1/trials", 200),
        ("/api/v1/trials", "/api/v1/trials?limit=2&archived=false", 200),
        ("/api/v1/trials", "/api/v1/trials?limit=0", 400),
        ("/api/v1/trials/{name}", "/api/v1/trials/digits-00000003", 200),
        ("/api/v1/trials/{name}/metrics", "/api/v1/trials/letters-00000004/metrics", 200),
        ("/api/v1/trials/{name}/metrics", "/api/v1/trials/digits-00000001/metrics", 503),
        ("/api/v1/trials/{name}/confusion", "/api/v1/trials/letters-00000004/confusion", 404),
        ("/api/v1/trials/{name}/workers/{rank}/log", "/api/v1/trials/digits-00000001/workers/7/log", 404),
        ("/api/v1/trials/{name}/workers/{rank}/log", "/api/v1/trials/digits-00000001/workers/x/log", 400),
        ("/api/v1/history", "/api/v1/history", 200),
        ("/api/v1/summary", "/api/v1/summary", 200),
        ("/openapi.json", "/openapi.json", 200),
        ("/healthz", "/healthz", 200),
        ("/readyz", "/readyz", 200),
        ("/metrics", "/metrics", 200),
    ] {
        let answer = manager.get(concrete).await;
        assert_eq!(answer.status, status, "{concrete}: {answer:?}");
        document.check("GET", path, &answer);
    }
}

#[tokio::test]
async fn the_examples_of_the_page_are_operations_of_the_document() {
    let manager = Manager::with_trials().await;
    let document = Document::of(&manager).await;
    let page = include_str!("../../../../docs/manager.md");
    let lines = page.lines().filter(|line| line.starts_with("curl "));
    let mut seen = BTreeSet::new();
    for line in lines {
        let address = line.split("$MANAGER").nth(1).unwrap().split(['"', ' ']).next().unwrap();
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let method = if line.contains("--data") { "POST" } else { "GET" };
        let is_this = |template: &str| {
            let parts: Vec<&str> = template.split('/').collect();
            let given: Vec<&str> = path.split('/').collect();
            parts.len() == given.len()
                && parts.iter().zip(&given).all(|(part, given)| part == given || part.starts_with('{'))
        };
        let operations = document.operations();
        let found = operations.iter().find(|(verb, template, _)| verb == method && is_this(template));
        let (_, template, operation) = found.unwrap_or_else(|| panic!("the document has no {method} {path}"));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap();
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{template} has no {name}");
        }
        seen.insert(template.clone());
    }
    assert!(seen.len() >= 12, "{seen:?}");
}
