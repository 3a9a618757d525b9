//! Curves, confusion matrices and kept logs, from MLflow's real server.

use axum::body::Bytes;
use serde_json::{Value, json};
use slipway_mlflow::{Metric, RunStatus};
use slipway_mlflow_server::Mlflow;
use slipway_training_manager::view::{Run, Trainings, Trial, TrialState};

use crate::cluster::{Cluster, Log};
use crate::document::Document;
use crate::manager::{Manager, Setup, by_name, running};

/// One that has ended, with the run and the pods of the first one.
const ENDED: &str = "digits-00000003";

/// MLflow with one run, and a manager with a trial that has it.
async fn start(cluster: Option<String>) -> (Mlflow, slipway_mlflow::Run, Manager) {
    let mlflow = Mlflow::start().await;
    let experiment = mlflow.client.get_or_create_experiment("digits").await.unwrap();
    let run = mlflow.client.create_run(&experiment, "digits-00000001", &[], 1).await.unwrap();
    let trial = Trial { run: Some(Run { id: run.run_id.clone(), url: None }), ..running("digits-00000001") };
    let gone = Trial { run: Some(Run { id: "f".repeat(32), url: None }), ..running("digits-00000002") };
    let ended = Trial { name: ENDED.to_owned(), state: TrialState::Finished, ..trial.clone() };
    let trainings = Trainings { trials: by_name([trial, gone, ended]), ..Trainings::default() };
    let manager =
        Manager::start(Setup { trainings, cluster, mlflow: Some(mlflow.client.clone()), writers: None }).await;
    (mlflow, run, manager)
}

#[tokio::test]
async fn curves_are_bounded_and_keep_their_ends() {
    let (mlflow, run, manager) = start(None).await;
    let document = Document::of(&manager).await;
    const PATH: &str = "/api/v1/trials/{name}/metrics";
    let curves = "/api/v1/trials/digits-00000001/metrics";
    assert_eq!(manager.get(curves).await.fine(), json!({ "metrics": {} }));

    let long: Vec<Metric> = (0..5000)
        .map(|step| Metric::new("loss", 1.0 / f64::from(step + 1), 1000 + i64::from(step), step.into()))
        .collect();
    mlflow.client.log_batch(&run.run_id, &long, &[], &[]).await.unwrap();
    let odd = [Metric::new("odd", f64::NAN, 1, 1), Metric::new("odd", 2.5, 2, 2), Metric::new("val loss/a", 1.0, 1, 1)];
    mlflow.client.log_batch(&run.run_id, &odd, &[], &[]).await.unwrap();
    let answer = manager.get(curves).await;
    document.check("GET", PATH, &answer);
    let metrics = answer.fine()["metrics"].clone();
    let loss = metrics["loss"].as_array().unwrap();
    assert!((1000..=2000).contains(&loss.len()), "{}", loss.len());
    assert_eq!((&loss[0], &loss[loss.len() - 1][0]), (&json!([0, 1.0, 1000]), &json!(4999)));
    assert!(loss.windows(2).all(|two| two[0][0].as_i64() < two[1][0].as_i64()));
    assert_eq!(metrics["odd"], json!([[1, null, 1], [2, 2.5, 2]]));

    let one = manager.get(&format!("{curves}?metric=odd")).await.fine();
    assert_eq!(one["metrics"].as_object().unwrap().len(), 1);
    assert_eq!(manager.get(&format!("{curves}?metric=none")).await.problem(404), "unknown-metric");

    // what the machine measures comes last
    let many: Vec<Metric> = (0..60).map(|index| Metric::new(format!("system/a{index}"), 1.0, 1, 1)).collect();
    mlflow.client.log_batch(&run.run_id, &many, &[], &[]).await.unwrap();
    let all = manager.get(curves).await.fine();
    let names: Vec<&String> = all["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 50, "{names:?}");
    assert!(names.iter().any(|name| *name == "loss") && names.iter().any(|name| *name == "odd"), "{names:?}");

    assert_eq!(
        manager.get("/api/v1/trials/digits-00000002/metrics").await.fine(),
        json!({ "metrics": {} }),
        "its run was deleted"
    );
}

#[tokio::test]
async fn a_confusion_matrix_is_that_of_the_evaluation() {
    let (mlflow, run, manager) = start(None).await;
    let path = "/api/v1/trials/digits-00000001/confusion";
    assert_eq!(manager.get(path).await.problem(404), "unknown-confusion-matrix");
    // as apps/trainer writes it
    let evaluation = json!({
        "split": "test", "accuracy": 0.75, "confusion": [[3, 1], [0, 4]],
        "mistakes": [{ "image": 7, "label": 0, "answer": 1, "probability": 0.9 }],
    });
    mlflow.client.log_artifact(&run, "evaluation/evaluation.json", evaluation.to_string()).await.unwrap();
    let answer = manager.get(path).await;
    Document::of(&manager).await.check("GET", "/api/v1/trials/{name}/confusion", &answer);
    assert_eq!(answer.fine(), json!({ "labels": ["0", "1"], "counts": [[3, 1], [0, 4]] }));
    mlflow.client.log_artifact(&run, "evaluation/evaluation.json", "not JSON").await.unwrap();
    assert_eq!(manager.get(path).await.problem(404), "unknown-confusion-matrix");
    assert_eq!(manager.get("/api/v1/trials/digits-00000002/confusion").await.problem(404), "unknown-confusion-matrix");
}

#[tokio::test]
async fn the_log_of_a_pod_that_is_gone_is_the_one_that_was_kept() {
    let cluster = Cluster::start().await;
    let (mlflow, run, manager) = start(Some(cluster.url.clone())).await;
    let path = "/api/v1/trials/digits-00000001/workers/1/log";
    let none = manager.get(path).await;
    assert_eq!(none.problem(404), "unknown-log");
    assert!(none.text.contains("logs/worker-1.log"), "{none:?}");
    let text = "one\ntwo\nthree\n";
    mlflow.client.log_artifact(&run, "logs/worker-1.log", Bytes::from(text)).await.unwrap();
    assert_eq!(manager.get(path).await.text, text);
    assert_eq!(manager.get(&format!("{path}?tailLines=2&follow=true")).await.text, "two\nthree\n");
    assert_eq!(manager.get("/api/v1/trials/digits-00000001/workers/0/log").await.problem(404), "unknown-log");
    // while the pod is there, it is asked
    cluster.has("digits-00000001-node-0-1-abcde", Log::Text(b"newer\n".to_vec()));
    assert_eq!(manager.get(path).await.text, "newer\n");
    // it is there for longer than the node that it was on
    cluster.has("digits-00000001-node-0-1-abcde", Log::Refused(500, "dial tcp 10.0.0.7:10250: i/o timeout"));
    let ended = |rank| format!("/api/v1/trials/{ENDED}/workers/{rank}/log");
    assert_eq!(manager.get(&ended(1)).await.text, text);
    assert_eq!(manager.get(path).await.problem(503), "kubernetes-unavailable", "of one that runs nothing was kept yet");
    cluster.has("digits-00000001-node-0-0-abcde", Log::Refused(500, "dial tcp 10.0.0.7:10250: i/o timeout"));
    let neither = manager.get(&ended(0)).await;
    assert_eq!(neither.problem(503), "kubernetes-unavailable");
    assert!(neither.text.contains("i/o timeout"), "{neither:?}");
}

#[tokio::test]
async fn without_mlflow_what_needs_it_is_unavailable_and_the_rest_is_not() {
    let (mlflow, run, manager) = start(None).await;
    mlflow.client.update_run(&run.run_id, RunStatus::Finished, 2).await.unwrap();
    drop(mlflow);
    for path in ["metrics", "confusion"] {
        let answer = manager.get(&format!("/api/v1/trials/digits-00000001/{path}")).await;
        assert_eq!(answer.problem(503), "mlflow-unavailable", "{path}");
        assert_eq!(answer.header("retry-after"), "5");
    }
    let trials: Value = manager.get("/api/v1/trials").await.fine();
    assert_eq!(trials["trials"].as_array().unwrap().len(), 3);
}
