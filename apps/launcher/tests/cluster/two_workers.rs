//! A plain script for torchrun, on two workers.

use serde_json::{Value, json};
use slipway_mlflow::RunStatus;
use slipway_processes::Signal;

use crate::worker::{Place, Running, free_port, signal};

fn ddp(place: &Place, experiment: &str, epochs: u32, bound: &str) -> Value {
    let mut trial = place.trial(experiment, 2, &["python", "ddp.py"]);
    trial["program"]["args"] = json!(["--epochs", epochs.to_string(), "--hidden", "32"]);
    trial["program"]["parameters"] = json!({"epochs": epochs, "hidden": 32});
    trial["register"]["require"]["accuracy"] = bound.into();
    trial
}

/// Both workers, with rank 0 first.
fn start(place: &Place, trial: &Value) -> [Running; 2] {
    let port = free_port();
    [0, 1].map(|rank| {
        let mut command = place.worker(rank, port, trial);
        command.env("SLIPWAY_EXPERIMENT_BLOB", "c0ffee").env("SLIPWAY_PROGRAM_TREE", "decade");
        Running::start(&mut command)
    })
}

async fn ends(workers: [Running; 2]) -> [(Option<i32>, String); 2] {
    tokio::task::spawn_blocking(move || workers.map(Running::end)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_for_torchrun_is_trained_registered_and_never_again() {
    let place = Place::new().await;
    let trial = ddp(&place, "ddp", 4, ">= 0.9");
    for (code, log) in ends(start(&place, &trial)).await {
        assert_eq!(code, Some(0), "{log}");
    }
    let run = place.mlflow.run("ddp").await;
    assert_eq!((run.status, run.tags["slipway.gate"].as_str()), (RunStatus::Finished, "passed"), "{run:?}");
    assert_eq!((run.params["parameters.hidden"].as_str(), run.params["program.trainer"].as_str()), ("32", "own"));
    assert!(run.metrics["accuracy"] >= 0.9 && run.metrics["epoch"] == 4.0, "{run:?}");
    let version = place.mlflow.client.latest_model_version("fashion").await.unwrap().unwrap();
    assert_eq!(version.run_id.as_deref(), Some(run.run_id.as_str()));
    for (name, value) in [
        ("slipway.trainjob", "ddp-1a2b3c4d"),
        ("slipway.experiment-blob", "c0ffee"),
        ("slipway.program-tree", "decade"),
        ("slipway.dataset", "blocks"),
        ("slipway.dataset-digest", &place.objects.digest),
        ("slipway.engine", "torchscript"),
        ("slipway.accuracy", &run.metrics["accuracy"].to_string()),
    ] {
        assert_eq!(version.tag(name), value, "{name}");
    }

    // what is stored is what the digest says, and what a server needs
    let uri = place.mlflow.client.download_uri("fashion", &version.version).await.unwrap();
    let files = place.mlflow.client.list_artifacts(&uri).await.unwrap();
    let folder = place.folder.path().join("version");
    for file in files.iter().filter(|file| file.path.starts_with("slipway/")) {
        let to = folder.join(&file.path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        place.mlflow.client.download_artifact(&uri, &file.path, file.size, &to).await.unwrap();
    }
    assert_eq!(slipway_signature::digest(&folder).unwrap().to_string(), version.tag("slipway.digest"));
    let description: Value =
        serde_json::from_slice(&std::fs::read(folder.join("slipway/model.json")).unwrap()).unwrap();
    assert_eq!(
        description,
        json!({
            "engine": "torchscript", "file": "model.ts",
            "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 1, 28, 28]}],
            "outputs": [{"name": "output", "datatype": "FP32", "shape": [-1, 10]}],
        })
    );
    assert!(files.iter().any(|file| file.path == "MLmodel"), "{files:?}");

    for (code, log) in ends(start(&place, &trial)).await {
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("done_before") && !log.contains("workers_met"), "{log}");
    }
    assert_eq!((place.mlflow.runs("ddp").await.len(), place.mlflow.versions("fashion").await), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_ends_the_attempt_and_the_next_one_registers() {
    let place = Place::new().await;
    let endless = ddp(&place, "killed", 1_000_000, ">= 0.5");
    for victim in [1, 0] {
        let mut workers = start(&place, &endless);
        workers[0].says("epoch 2");
        let program = child_of(workers[victim].pid());
        signal(program, Signal::KILL);
        let ended = ends(workers).await;
        let (code, log) = &ended[victim];
        assert_eq!(*code, Some(137), "{log}");
        assert!(log.contains("killed by signal 9") && log.contains("spec.workers.memory"), "{log}");
        let (code, log) = &ended[1 - victim];
        assert_eq!(*code, Some(8), "{log}");
    }
    let runs = place.mlflow.runs("killed").await;
    assert!(runs.len() == 2 && runs.iter().all(|run| run.status == RunStatus::Failed), "{runs:?}");
    assert_eq!(place.mlflow.versions("fashion").await, 0);

    // the same TrainJob starts again
    for (code, log) in ends(start(&place, &ddp(&place, "killed", 4, ">= 0.5"))).await {
        assert_eq!(code, Some(0), "{log}");
    }
    assert_eq!(place.mlflow.versions("fashion").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_gate_is_a_result_and_registers_nothing() {
    let place = Place::new().await;
    let trial = ddp(&place, "refused", 1, ">= 1.1");
    for (code, log) in ends(start(&place, &trial)).await {
        assert_eq!(code, Some(0), "{log}");
    }
    let run = place.mlflow.run("refused").await;
    assert_eq!((run.status, run.tags["slipway.gate"].as_str()), (RunStatus::Finished, "refused"));
    let unmet: Value = serde_json::from_str(&run.tags["slipway.gate-unmet"]).unwrap();
    assert_eq!(unmet, json!([{"metric": "accuracy", "value": run.metrics["accuracy"], "bound": ">= 1.1"}]));
    assert_eq!(place.mlflow.versions("fashion").await, 0);
    for (code, log) in ends(start(&place, &trial)).await {
        assert!(code == Some(0) && log.contains("done_before"), "{log}");
    }
}

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let children = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flat_map(|task| {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        children.split_whitespace().map(|child| child.parse().unwrap()).collect::<Vec<u32>>()
    });
    let children: Vec<u32> = children.collect();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}
