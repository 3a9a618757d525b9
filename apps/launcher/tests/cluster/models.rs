//! What a program may register.

use serde_json::{Value, json};
use slipway_mlflow::{ModelVersion, RunStatus};

use crate::worker::{Place, python};

async fn sklearn(place: &Place, way: &str) -> (Option<i32>, String) {
    let trial = place.trial(way, 1, &[python("SLIPWAY_PYTHON").to_str().unwrap(), "sklearn_model.py", way]);
    place.run(&trial).await
}

async fn versions(place: &Place) -> Vec<ModelVersion> {
    place.mlflow.client.search_model_versions("fashion").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_registers_by_itself_is_told_and_its_model_is_registered_as_it_should_be() {
    let place = Place::new().await;
    let (code, log) = sklearn(&place, "itself").await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("registered_by_program") && log.contains("remove registered_model_name="), "{log}");
    let versions = versions(&place).await;
    assert_eq!(versions.len(), 2, "{versions:?}");
    let (ours, its_own) = (&versions[0], &versions[1]);
    assert_eq!((its_own.tag("slipway.trainjob"), its_own.tag("slipway.digest")), ("", ""));
    // no server runs it, and that is said
    assert_eq!((ours.tag("slipway.trainjob"), ours.tag("slipway.flavor")), ("itself-1a2b3c4d", "sklearn"));
    assert_eq!((ours.tag("slipway.engine"), ours.tag("slipway.digest")), ("", ""));
    assert_eq!(ours.tag("slipway.unservable"), "no server of Slipway's runs models of sklearn");
    assert!(log.contains("not_servable"), "{log}");
    assert_eq!(place.mlflow.run("itself").await.status, RunStatus::Finished);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_models_and_one_without_a_signature_are_refused() {
    let place = Place::new().await;
    for (way, says) in [
        ("twice", "the program made 2 models, so nobody knows which one to register: `first`"),
        (
            "unsigned",
            "the model has no signature; add it where the program logs the model: log_model(…, signature=mlflow.models.infer_signature(",
        ),
    ] {
        let (code, log) = sklearn(&place, way).await;
        assert_eq!(code, Some(7), "{way}: {log}");
        let run = place.mlflow.run(way).await;
        assert!(run.tags["slipway.failure"].contains(says), "{way}: {:?}", run.tags["slipway.failure"]);
        assert_eq!(run.status, RunStatus::Failed);
    }
    assert_eq!(versions(&place).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_the_output_folder_are_a_model() {
    let place = Place::new().await;
    let (code, log) = place.run(&place.trial("nan", 1, &["python", "output.py", "nan"])).await;
    assert_eq!(code, Some(7), "{log}");
    assert!(log.contains("the model's answer to an input of zeros is not finite"), "{log}");

    let (code, log) = place.run(&place.trial("output", 1, &["python", "output.py", "0.5"])).await;
    assert_eq!(code, Some(0), "{log}");
    let versions = versions(&place).await;
    assert_eq!((versions.len(), versions[0].tag("slipway.engine")), (1, "torchscript"));
    let client = &place.mlflow.client;
    let uri = client.download_uri("fashion", &versions[0].version).await.unwrap();
    let files = client.list_artifacts(&uri).await.unwrap();
    let file = files.iter().find(|file| file.path == "slipway/model.json").unwrap();
    let to = place.folder.path().join("model.json");
    client.download_artifact(&uri, &file.path, file.size, &to).await.unwrap();
    let description: Value = serde_json::from_slice(&std::fs::read(to).unwrap()).unwrap();
    assert_eq!(
        description,
        json!({
            "engine": "torchscript", "file": "model.ts", "labels": ["no", "yes"],
            "inputs": [{"name": "row", "datatype": "FP32", "shape": [-1, 4]}],
            "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}],
        })
    );
}
