//! MLflow with the login of base/mlflow/login: what each account may do with this client. Needs SLIPWAY_PYTHON, which `make test` sets.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use slipway_mlflow::{Client, LoggedModelStatus, Metric, Run, RunStatus, Tag};
use slipway_mlflow_server::Accounts;

/// The status of a call as it is, without this client.
async fn status(url: &str, login: Option<(&str, &str)>, method: Method, path: &str, body: &Value) -> StatusCode {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{url}/api/2.0/{path}");
    let mut request = http.request(method, url).header("content-type", "application/json").body(body.to_string());
    if let Some((user, password)) = login {
        request = request.basic_auth(user, Some(password));
    }
    request.send().await.unwrap().status()
}

/// All that a worker does with MLflow.
async fn train(client: &Client, experiment: &str, model: &str) -> Run {
    let experiment = client.get_or_create_experiment(experiment).await.unwrap();
    let run = client.create_run(&experiment, "one", &[], 0).await.unwrap();
    client.log_batch(&run.run_id, &[Metric::new("loss", 1.0, 0, 0)], &[], &[]).await.unwrap();
    client.log_artifact(&run, "notes.txt", "text").await.unwrap();
    let logged = client.create_logged_model(&experiment, model, &run.run_id, &[], &[]).await.unwrap();
    client.upload_logged_model_artifact(&logged, "weights", "bytes").await.unwrap();
    client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Ready).await.unwrap();
    client.get_or_create_registered_model(model).await.unwrap();
    let source = format!("models:/{}", logged.model_id);
    let tags = [Tag::new("a", "b")];
    let version = client.create_model_version(model, &source, &run.run_id, &logged.model_id, &tags).await.unwrap();
    client.set_model_version_tag(model, &version.version, "c", "d").await.unwrap();
    client.update_run(&run.run_id, RunStatus::Finished, 1).await.unwrap();
    run
}

#[tokio::test]
async fn each_account_may_do_its_work_and_no_more() {
    let server = Accounts::start().await;
    let url = &server.mlflow.url;
    let search = "mlflow/registered-models/search";
    let none = Value::Null;
    assert_eq!(status(url, None, Method::GET, search, &none).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(url, Some(("reader", "wrong")), Method::GET, search, &none).await, StatusCode::UNAUTHORIZED);

    // a worker, in what it makes itself and in what was there before
    let (admin, trainer) = (server.client("admin"), server.client("trainer"));
    train(&admin, "old", "old").await;
    train(&trainer, "old", "old").await;
    let run = train(&trainer, "new", "new").await;
    let login = Some(("trainer", "trainer-secret"));
    let (delete, model) = ("mlflow/registered-models/delete", json!({"name": "old"}));
    assert_eq!(status(url, login, Method::DELETE, delete, &model).await, StatusCode::FORBIDDEN);

    // the training manager reads everything, keeps logs and marks with the runs of others, and neither registers nor deletes
    let manager = server.client("manager");
    assert_eq!(manager.search_all_model_versions().await.unwrap().len(), 3);
    manager.log_artifact(&run, "logs/worker-0.log", "the end").await.unwrap();
    let file = server.folder.path().join("kept-log");
    manager.download_artifact(&run.artifact_uri, "logs/worker-0.log", 7, &file).await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"the end");
    manager.set_tag(&run.run_id, "slipway.promotion.local", "7").await.unwrap();
    assert_eq!(manager.get_run(&run.run_id).await.unwrap().tags["slipway.promotion.local"], "7");
    let login = Some(("manager", "manager-secret"));
    let version = json!({"name": "new", "source": run.artifact_uri, "run_id": run.run_id});
    for (method, path, body) in [
        (Method::POST, "mlflow/model-versions/create", version),
        (
            Method::POST,
            "mlflow/model-versions/set-tag",
            json!({"name": "new", "version": "1", "key": "c", "value": "e"}),
        ),
        (Method::DELETE, "mlflow/model-versions/delete", json!({"name": "new", "version": "1"})),
        (Method::DELETE, delete, model),
        (Method::POST, "mlflow/runs/delete", json!({"run_id": run.run_id})),
    ] {
        assert_eq!(status(url, login, method, path, &body).await, StatusCode::FORBIDDEN, "{path}");
    }

    // the server and the page read everything, and write nothing of it
    let reader = server.client("reader");
    let versions = reader.search_all_model_versions().await.unwrap();
    assert_eq!(versions.len(), 3);
    let file = server.folder.path().join("downloaded");
    reader.download_artifact(&run.artifact_uri, "notes.txt", 4, &file).await.unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"text");
    assert_eq!(reader.metric_history(&run.run_id, "loss").await.unwrap().len(), 1);
    let login = Some(("reader", "reader-secret"));
    let tag = json!({"name": "new", "version": "1", "key": "c", "value": "e"});
    assert_eq!(status(url, login, Method::POST, "mlflow/model-versions/set-tag", &tag).await, StatusCode::FORBIDDEN);
    let metric = json!({"run_id": run.run_id, "key": "loss", "value": 0, "timestamp": 0});
    assert_eq!(status(url, login, Method::POST, "mlflow/runs/log-metric", &metric).await, StatusCode::FORBIDDEN);
    let path = run.artifact_uri.strip_prefix("mlflow-artifacts:/").unwrap();
    let path = format!("mlflow-artifacts/artifacts/{path}/notes.txt");
    assert_eq!(status(url, login, Method::PUT, &path, &json!("other")).await, StatusCode::FORBIDDEN);

    // a new password is in force once the accounts are made again, and the old one is not
    server.change_password("reader", "another-secret");
    assert_eq!(status(url, login, Method::GET, search, &none).await, StatusCode::UNAUTHORIZED);
    assert_eq!(server.client_with("reader", "another-secret").search_all_model_versions().await.unwrap().len(), 3);
}
