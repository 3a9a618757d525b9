//! Rendered TrainJobs against the schema that Kubeflow Trainer's own CRD carries.
//!
//! The CRD is not in this repository: `TRAINER_CRD` names the file (manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml of
//! the Go module github.com/kubeflow/trainer/v2 at v2.3.0). `make test` fetches it.

use serde_json::{Value, json};
use slipway_experiment::render;

use crate::programs::FASHION;
use crate::text::{CNN, MLP, dataset, experiment, provenance, with};

/// The schema of a TrainJob, strict: the API server drops unknown fields silently, a rendered file must have none.
fn trainjob_schema() -> Value {
    let path = std::env::var_os("TRAINER_CRD").map(std::path::PathBuf::from);
    let path = path.expect("TRAINER_CRD is not set; `make test` downloads Trainer's CRD and sets it");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("TRAINER_CRD={}: {error}", path.display()));
    let options = serde_saphyr::options! { budget: None };
    let crd: Value = serde_saphyr::from_str_with_options(&text, options)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    assert!(schema.is_object(), "{} holds no CustomResourceDefinition with a schema", path.display());
    // The API server's own schema of metadata, as far as it matters here.
    schema["properties"]["metadata"] = json!({
        "type": "object",
        "required": ["name", "namespace"],
        "properties": {
            "name": {"type": "string", "maxLength": 63, "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$"},
            "namespace": {"type": "string"},
            "labels": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}},
            "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    });
    close(&mut schema);
    schema
}

/// Forbids unknown fields wherever the schema lists the known ones.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".to_owned(), false.into());
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn rendered_jobs_fit_trainers_schema() {
    let schema = trainjob_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let half = with(MLP, "cpu: \"1\"", "cpu: 500m");
    for text in [CNN, MLP, &half, FASHION] {
        let experiment = experiment(text);
        for trial in experiment.trials(&dataset()) {
            let job = render(&experiment, &trial, "experiments/mnist.yaml", &provenance());
            let value: Value = serde_saphyr::from_str(&job).unwrap();
            let errors: Vec<_> =
                validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}\n{job}");
            // The check itself must be able to fail.
            let typo: Value = serde_saphyr::from_str(&with(&job, "numNodes", "numNode")).unwrap();
            assert!(!validator.is_valid(&typo));
        }
    }
}
