//! What MLflow must hold about a trial, checked through its REST API.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Fails unless the trial's run and version hold everything that is needed to trace them back to their origin.
pub async fn holds_everything(mlflow: &str, trial: &str, version: &str) -> Result<()> {
    let api = format!("{mlflow}/api/2.0/mlflow");
    let client = reqwest::Client::builder().no_proxy().build()?;
    let get = async |path: String| -> Result<Value> {
        Ok(client.get(format!("{api}/{path}")).send().await?.error_for_status()?.json().await?)
    };
    let experiments = get("experiments/get-by-name?experiment_name=mnist-cnn".to_owned()).await?;
    let filter = json!({"experiment_ids": [experiments["experiment"]["experiment_id"]],
        "filter": format!("tags.\"slipway.trainjob\" = '{trial}'")});
    let found: Value =
        client.post(format!("{api}/runs/search")).json(&filter).send().await?.error_for_status()?.json().await?;
    let run = &found["runs"][0];
    ensure!(run["info"]["status"] == "FINISHED", "{run}");

    let parameters = pairs(&run["data"]["params"]);
    for name in ["model.architecture", "training.optimizer.learningRate", "training.seed", "workers", "dataset.digest"]
    {
        ensure!(parameters.iter().any(|(key, _)| key == name), "no parameter {name}: {parameters:?}");
    }
    let tags = pairs(&run["data"]["tags"]);
    let tag = |name: &str| tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    ensure!(
        tag("slipway.gate") == Some("passed") && tag("slipway.experiment-file") == Some("experiments/mnist-cnn.yaml")
    );
    ensure!(tag("slipway.experiment-blob").is_some_and(|blob| blob.len() == 40), "{tags:?}");
    let inputs = run["inputs"]["dataset_inputs"].as_array().context("no dataset input")?;
    ensure!(inputs.iter().any(|input| input["dataset"]["name"] == "mnist-10k"), "{inputs:?}");

    let id = run["info"]["run_id"].as_str().context("a run has an id")?;
    for (metric, at_least) in
        [("loss", 100), ("validation_accuracy", 3), ("images_per_second", 1), ("test_accuracy", 1)]
    {
        let history = get(format!("metrics/get-history?run_id={id}&metric_key={metric}&max_results=1000")).await?;
        let points = history["metrics"].as_array().map_or(0, Vec::len);
        ensure!(points >= at_least, "{metric} has {points} points");
    }
    let files = get(format!("artifacts/list?run_id={id}&path=evaluation")).await?.to_string();
    for picture in ["confusion_matrix.png", "worst_mistakes.png"] {
        ensure!(files.contains(picture), "no {picture}: {files}");
    }

    let registered = get(format!("model-versions/get?name=mnist&version={version}")).await?;
    let tags = pairs(&registered["model_version"]["tags"]);
    for name in
        ["slipway.digest", "slipway.trainjob", "slipway.experiment-blob", "slipway.dataset-digest", "slipway.accuracy"]
    {
        ensure!(tags.iter().any(|(key, value)| key == name && !value.is_empty()), "no tag {name}: {tags:?}");
    }
    Ok(())
}

/// MLflow's lists of `{"key": …, "value": …}`.
fn pairs(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list.as_array().into_iter().flatten().map(|pair| (text(&pair["key"]), text(&pair["value"]))).collect()
}
