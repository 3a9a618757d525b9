//! What MLflow knows before a merge: runs of the past, by which the duration of new ones is expected, and how good versions are.

use std::collections::{BTreeMap, BTreeSet};

use slipway_mlflow::{Client, ModelVersion, Run};
use slipway_names::tag::{DATASET_DIGEST, TRAINJOB};
use slipway_proposal::score;
use slipway_report::{Examination, Expectations, PastRun, Version};

/// The finished runs of the experiments that start something, and the versions that come into service or leave it. What MLflow does not say is
/// a reason, not a failure: a plan does not wait for it.
pub(super) async fn expectations(mlflow: Result<&Client, &String>, examination: &Examination) -> Expectations {
    let unavailable = |reason: String| Expectations { unavailable: Some(reason), ..Expectations::default() };
    let starts = examination.environments.iter().flat_map(|environment| &environment.starts);
    let experiments: BTreeSet<&str> = starts.map(|job| job.experiment.as_str()).collect();
    let models: BTreeSet<&str> = examination.in_service.iter().map(|one| one.model.as_str()).collect();
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
    let mut versions = BTreeMap::new();
    for model in models {
        match mlflow.search_model_versions(model).await {
            Ok(found) => versions.extend(found.iter().map(|one| ((model.to_owned(), one.number()), described(one)))),
            Err(error) => return unavailable(error.to_string()),
        }
    }
    Expectations { runs, versions, unavailable: None }
}

/// A version as reports show it.
pub(super) fn described(version: &ModelVersion) -> Version {
    Version {
        number: version.number(),
        job: version.tag(TRAINJOB).to_owned(),
        score: score(version),
        dataset_digest: version.tag(DATASET_DIGEST).to_owned(),
        url: None,
    }
}

async fn finished(mlflow: &Client, experiment: &str) -> slipway_mlflow::Result<Vec<Run>> {
    let Some(id) = mlflow.get_experiment(experiment).await? else { return Ok(Vec::new()) };
    mlflow.search_runs(&[&id], "attributes.status = 'FINISHED'", &["attributes.start_time DESC"]).await
}

/// `None` for a run that does not say when it began and ended, or with how many workers.
fn past_run(experiment: &str, run: &Run) -> Option<PastRun> {
    let number = |name: &str| run.params.get(name)?.parse::<u32>().ok();
    Some(PastRun {
        job: run.tags.get(TRAINJOB).cloned().unwrap_or_default(),
        experiment: experiment.to_owned(),
        dataset_digest: run.tags.get(DATASET_DIGEST).cloned().unwrap_or_default(),
        workers: number("workers")?,
        epochs: number("training.epochs"),
        seconds: (run.end_time? - run.start_time?) as f64 / 1000.0,
    })
}
