//! What a program finds.

use serde_json::{Value, json};

use crate::worker::{Place, Running, free_port};

const SCRIPT: &str = r#"
import json, os, stat
data = os.environ["SLIPWAY_DATA"]
files = sorted(os.path.relpath(os.path.join(at, name), data) for at, _, names in os.walk(data) for name in names)
print(json.dumps({"environment": dict(os.environ), "files": files, "folder": os.getcwd(),
                  "dataset": json.load(open(os.path.join(data, "dataset.json"))),
                  "writable": any(os.stat(os.path.join(data, file)).st_mode & 0o222 for file in files)}))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_what_torchrun_gives_and_nothing_of_ours() {
    let place = Place::new().await;
    let mut trial = place.trial("environment", 1, &["python3", "-c", SCRIPT]);
    trial["register"] = Value::Null;
    let port = free_port();
    let mut running = Running::start(&mut place.worker(0, port, &trial));
    let found: Value = serde_json::from_str(&running.says("environment")).unwrap();
    let (code, log) = running.end();
    assert_eq!(code, Some(0), "{log}");
    let environment = &found["environment"];
    let run = place.mlflow.run("environment").await;
    assert_eq!(run.tags["slipway.gate"], "none");
    for (name, value) in [
        ("RANK", "0"),
        ("WORLD_SIZE", "1"),
        ("LOCAL_RANK", "0"),
        ("MASTER_ADDR", "127.0.0.1"),
        ("MASTER_PORT", &port.to_string()),
        ("OMP_NUM_THREADS", "1"),
        ("MLFLOW_TRACKING_URI", &place.mlflow.url),
        ("MLFLOW_RUN_ID", &run.run_id),
        ("MLFLOW_EXPERIMENT_ID", &run.experiment_id),
    ] {
        assert_eq!(environment[name], json!(value), "{name}");
    }
    let parameters: Value = serde_json::from_str(environment["SLIPWAY_PARAMETERS"].as_str().unwrap()).unwrap();
    assert_eq!(parameters, json!({"augment": true, "epochs": 4, "note": "a b"}));
    let of_ours = |name: &&String| name.starts_with("PET_") || name.starts_with("AWS_") || *name == "SLIPWAY_TRIAL";
    assert_eq!(environment.as_object().unwrap().keys().find(of_ours), None);
    assert!(found["folder"].as_str().unwrap().ends_with("tests/programs"));
    let [train, validation, test] = ["train", "validation", "test"]
        .map(|split| [format!("{split}/images-idx3-ubyte"), format!("{split}/labels-idx1-ubyte")]);
    let mut files: Vec<String> =
        [vec!["dataset.json".to_owned()], train.into(), validation.into(), test.into()].concat();
    files.sort();
    assert_eq!((&found["files"], &found["writable"]), (&json!(files), &json!(false)));
    assert_eq!(found["dataset"]["name"], "blocks");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_for_good_ends_at_once_with_3() {
    let place = Place::new().await;
    let good = place.trial("wrong", 1, &["true"]);
    let mut wrong_digest = good.clone();
    wrong_digest["dataset"]["digest"] = format!("sha256:{}", "0".repeat(64)).into();
    let mut wrong_name = good.clone();
    wrong_name["dataset"]["name"] = "circles".into();
    let mut built_in = good.clone();
    built_in.as_object_mut().unwrap().remove("program");
    built_in["model"] = json!({"architecture": "mlp"});
    built_in["training"] =
        json!({"epochs": 1, "batchSize": 10, "optimizer": {"name": "adam", "learningRate": 0.001}, "seed": 7});
    let missing = place.trial("wrong", 1, &["pyhton", "train.py"]);
    let two = place.trial("wrong", 2, &["true"]);
    for (trial, variable, value, says) in [
        (&two, "PET_NNODES", None, "PET_NNODES is not set"),
        (&two, "PET_NNODES", Some("1"), "but the trial needs 2"),
        (&good, "SLIPWAY_TRIAL", None, "SLIPWAY_TRIAL is not set"),
        (&good, "SLIPWAY_PROGRAM", Some("/does/not/exist"), "set SLIPWAY_PROGRAM to the folder of the code"),
        (&good, "SLIPWAY_GRACE_SECONDS", Some("soon"), "SLIPWAY_GRACE_SECONDS"),
        (&good, "AWS_SECRET_ACCESS_KEY", None, "AWS_SECRET_ACCESS_KEY is not set"),
        (&wrong_digest, "RUST_LOG", None, "sha256:000"),
        (&wrong_name, "RUST_LOG", None, "names the dataset `circles`"),
        (&built_in, "RUST_LOG", None, "its command is slipway-trainer"),
        (&missing, "RUST_LOG", None, "cannot start `pyhton`"),
    ] {
        let mut command = place.worker(0, free_port(), trial);
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        let (code, log) = tokio::task::spawn_blocking(move || Running::start(&mut command).end()).await.unwrap();
        assert_eq!(code, Some(3), "{says}: {log}");
        assert!(log.contains(says), "{says}: {log}");
    }
}
