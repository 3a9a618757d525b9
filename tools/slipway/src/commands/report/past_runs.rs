//! Runs of the past, by which the duration of new ones is expected.

use std::collections::BTreeSet;

use slipway_mlflow::{Client, Run};
use slipway_names::tag::DATASET_DIGEST;
use slipway_report::{Expectations, PastRun};

/// The finished runs of experiments. What MLflow does not say is a reason, not a failure: a plan does not wait for it.
pub(super) async fn past_runs(mlflow: Result<&Client, &String>, experiments: BTreeSet<&str>) -> Expectations {
    let unavailable = |reason: String| Expectations { runs: Vec::new(), unavailable: Some(reason) };
    let mlflow = match mlflow {
        Ok(mlflow) => mlflow,
        Err(reason) => return unavailable(reason.clone()),
    };
    let mut runs = Vec::new();
    for experiment in experiments {
        match finished(mlflow, experiment).await {
            Ok(found) => runs.extend(found.iter().filter_map(|run| past_run(experiment, run))),
            Err(error) => return unavailable(error.to_string()),
        }
    }
    Expectations { runs, unavailable: None }
}

async fn finished(mlflow: &Client, experiment: &str) -> slipway_mlflow::Result<Vec<Run>> {
    let Some(id) = mlflow.get_experiment(experiment).await? else { return Ok(Vec::new()) };
    mlflow.search_runs(&[&id], "attributes.status = 'FINISHED'", &["attributes.start_time DESC"]).await
}

/// `None` for a run that does not say when it began and ended, or with how many workers.
fn past_run(experiment: &str, run: &Run) -> Option<PastRun> {
    let number = |name: &str| run.params.get(name)?.parse::<u32>().ok();
    Some(PastRun {
        experiment: experiment.to_owned(),
        dataset_digest: run.tags.get(DATASET_DIGEST).cloned().unwrap_or_default(),
        workers: number("workers")?,
        epochs: number("training.epochs"),
        seconds: (run.end_time? - run.start_time?) as f64 / 1000.0,
    })
}
