//! What training is for: the accuracy of many seeds, and how long it takes from a merge until a model is good. In the loop, by its own trainer.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_forge::BareForge;

use super::measurement::Measurements;
use crate::command;
use crate::demo::Addresses;

/// Trainings that differ in nothing but their seed.
pub const SEEDS: usize = 20;
/// What a good model reaches on the validation split.
const GOOD: f64 = 0.97;
/// Longer than all seeds take.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Between two looks, each of which takes time from the training. What is measured comes from MLflow.
const PAUSE: Duration = Duration::from_secs(2);

/// Trains the `cnn` on `mnist-10k` with each seed as the demo does, and returns the accuracies on the test split, from the lowest.
pub async fn of_seeds(addresses: &Addresses, clone: &Path, figures: &mut Measurements) -> Result<Vec<f64>> {
    let seeds: Vec<String> = (1..=SEEDS).map(|seed| seed.to_string()).collect();
    let sweep = format!("  sweep: {{training.seed: [{}]}}\n", seeds.join(", "));
    train(addresses, clone, "seeds", &experiment("seeds", 3, 1, &sweep)).await?;
    let runs = Runs::of(addresses, "seeds").await?;
    let mut accuracies = Vec::new();
    for run in &runs.found {
        let accuracy = run["data"]["metrics"].as_array().into_iter().flatten();
        let accuracy =
            accuracy.filter(|metric| metric["key"] == "test_accuracy").find_map(|metric| metric["value"].as_f64());
        accuracies.push(accuracy.with_context(|| format!("a run without test_accuracy: {run}"))?);
    }
    ensure!(accuracies.len() == SEEDS, "{} runs of {SEEDS} seeds", accuracies.len());
    accuracies.sort_by(f64::total_cmp);
    for accuracy in &accuracies {
        figures.add(&format!("test accuracy, {SEEDS} seeds"), "%", 100.0 * accuracy);
    }
    let quarter = |number: usize| 100.0 * accuracies[(SEEDS - 1) * number / 4];
    figures.add(&format!("test accuracy, {SEEDS} seeds, first quarter up to"), "%", quarter(1));
    figures.add(&format!("test accuracy, {SEEDS} seeds, last quarter from"), "%", quarter(3));
    let mean = accuracies.iter().sum::<f64>() / SEEDS as f64;
    let variance = accuracies.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (SEEDS - 1) as f64;
    figures.add(&format!("test accuracy, {SEEDS} seeds, standard deviation"), "%", 100.0 * variance.sqrt());
    Ok(accuracies)
}

/// One round: from the merge of an experiment until MLflow has an accuracy that is good, and which epoch that is.
pub async fn round(addresses: &Addresses, clone: &Path, round: usize, figures: &mut Measurements) -> Result<()> {
    let name = format!("good-{round}");
    let merged = train(addresses, clone, &name, &experiment(&name, 10, round, "")).await?;
    let runs = Runs::of(addresses, &name).await?;
    let [run] = runs.found.as_slice() else { anyhow::bail!("one run, not {:?}", runs.found) };
    let id = run["info"]["run_id"].as_str().context("a run has an id")?;
    let history = runs.get(&format!("metrics/get-history?run_id={id}&metric_key=validation_accuracy")).await?;
    let points = history["metrics"].as_array().context("validation_accuracy")?;
    let good = points.iter().position(|point| point["value"].as_f64().is_some_and(|value| value >= GOOD));
    let at = good.with_context(|| format!("no epoch reaches {GOOD}: {points:?}"))?;
    let said = points[at]["timestamp"].as_f64().context("a point has a time")?;
    figures.add("merge to 97 % on mnist-10k", "s", (said - merged) / 1e3);
    figures.add("epochs until then", "", (at + 1) as f64);
    Ok(())
}

/// An experiment of the demo's, with so many epochs, without a gate. `sweep` is a line of its own, or nothing.
fn experiment(name: &str, epochs: usize, seed: usize, sweep: &str) -> String {
    format!(
        "apiVersion: slipway.dev/v1alpha1\nkind: Experiment\nmetadata: {{name: {name}}}\nspec:\n  dataset: mnist-10k\n  \
         model: {{architecture: cnn, dropout: 0.25}}\n  \
         training: {{epochs: {epochs}, batchSize: 64, optimizer: {{name: adam, learningRate: 0.001}}, seed: {seed}}}\n{sweep}  \
         workers: {{count: 2, cpu: \"1\", memory: 512Mi}}\n  budget: {{cpuHours: 100, deadline: 30m}}\n"
    )
}

/// Proposes an experiment, merges it and waits until all of its jobs have finished. Returns the time just before the merge, in milliseconds since 1970.
async fn train(addresses: &Addresses, clone: &Path, name: &str, text: &str) -> Result<f64> {
    let file = format!("experiments/{name}.yaml");
    std::fs::write(clone.join(&file), text)?;
    let proposed = command::json(clone, &["propose", &file]).await?;
    let number = proposed["pullRequest"]["number"].as_u64().context("no pull request was opened")?;
    let changes = proposed["plan"]["changes"].as_array().into_iter().flatten();
    let starts = changes.flat_map(|change| change["starts"].as_array().into_iter().flatten());
    let jobs: Vec<&str> = starts.filter_map(|start| start["name"].as_str()).collect();
    ensure!(!jobs.is_empty(), "nothing starts: {proposed}");
    let merged = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3;
    BareForge::open(&addresses.forge)?.merge(number)?;
    let begun = Instant::now();
    for job in jobs {
        loop {
            let status = command::json(clone, &["status"]).await?;
            let found = status["jobs"].as_array().into_iter().flatten().find(|one| one["name"] == job);
            let phase = found.and_then(|job| job["phase"].as_str()).unwrap_or_default();
            ensure!(!["Failed", "Cancelled"].contains(&phase), "{job} has ended as {phase}: {found:?}");
            if phase == "Complete" {
                break;
            }
            ensure!(begun.elapsed() < PATIENCE, "{job} has not finished: {found:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(merged)
}

/// Finished runs of an experiment, in MLflow.
struct Runs {
    client: reqwest::Client,
    api: String,
    found: Vec<Value>,
}

impl Runs {
    async fn of(addresses: &Addresses, name: &str) -> Result<Self> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut runs = Self { client, api: format!("{}/api/2.0/mlflow", addresses.mlflow), found: Vec::new() };
        let experiment = runs.get(&format!("experiments/get-by-name?experiment_name={name}")).await?;
        let ask = json!({"experiment_ids": [experiment["experiment"]["experiment_id"]],
            "filter": "attributes.status = 'FINISHED'", "max_results": 1000});
        let answer = runs.client.post(format!("{}/runs/search", runs.api)).json(&ask).send().await?;
        let found: Value = answer.error_for_status()?.json().await?;
        runs.found = found["runs"].as_array().cloned().unwrap_or_default();
        Ok(runs)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.client.get(format!("{}/{path}", self.api)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }
}
