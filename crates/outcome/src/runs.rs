//! What MLflow has of the TrainJobs of an experiment.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use slipway_mlflow::{Client, Run};
use slipway_names::tag::TRAINJOB;
use slipway_report::TrialResult;

use crate::StartedTrial;

/// The metrics that are drawn, if a run has them: those of the built-in trainer, and what other trainers mostly call theirs.
const DRAWN: [&str; 8] = [
    "loss",
    "validation_accuracy",
    "train_loss",
    "validation_loss",
    "val_loss",
    "val_accuracy",
    "accuracy",
    "test_accuracy",
];
/// The most metrics that are drawn of a trial.
const CURVES: usize = 2;
/// The most trials whose curves are asked for: each is a request, and no chart shows more lines.
const CURVED: usize = 12;
/// The most points of a curve; of more, some are left out evenly.
const POINTS: usize = 60;

/// What MLflow has of the TrainJobs of an experiment.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The newest run of each, by its name.
    runs: BTreeMap<String, Run>,
    curves: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>>,
}

impl Runs {
    pub(crate) async fn of(client: &Client, experiment: &str, trials: &[StartedTrial]) -> slipway_mlflow::Result<Self> {
        let Some(id) = client.get_experiment(experiment).await? else { return Ok(Self::default()) };
        let names: Vec<&str> = trials.iter().map(|trial| trial.start.name.as_str()).collect();
        let mut runs: BTreeMap<String, Run> = BTreeMap::new();
        for run in client.search_runs(&[&id], "", &["attributes.start_time ASC"]).await? {
            let job = run.tags.get(TRAINJOB).cloned().unwrap_or_default();
            if names.contains(&job.as_str()) {
                runs.insert(job, run);
            }
        }
        let mut curves: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>> = BTreeMap::new();
        for (name, run) in names.iter().filter_map(|name| Some((*name, runs.get(*name)?))).take(CURVED) {
            for metric in DRAWN.iter().filter(|metric| run.metrics.contains_key(**metric)).take(CURVES) {
                let history = client.metric_history(&run.run_id, metric).await?;
                let points: Vec<(f64, f64)> = history.iter().map(|point| (point.step as f64, point.value)).collect();
                curves.entry(name.to_owned()).or_default().insert((*metric).to_owned(), thinned(points));
            }
        }
        Ok(Self { runs, curves })
    }

    /// The newest run of a TrainJob.
    pub(crate) fn run(&self, job: &str) -> Option<&Run> {
        self.runs.get(job)
    }

    /// Adds what the run of a trial says of it, its state apart. `ended` is when it ended, in milliseconds since 1970, if that is known and the run
    /// itself could not say so.
    pub(crate) fn describe(&self, result: &mut TrialResult, trial: &StartedTrial, ended: Option<i64>) {
        let Some(run) = self.runs.get(&trial.start.name) else { return };
        let curves = self.curves.get(&trial.start.name).cloned().unwrap_or_default();
        let all: Option<u32> = run.params.get("training.epochs").and_then(|epochs| epochs.parse().ok());
        let done = curves.get("validation_accuracy").map_or(0, |points| points.len().min(u32::MAX as usize) as u32);
        result.epochs = all.map(|all| (done.min(all), all));
        result.metrics = run.metrics.clone();
        result.curves = curves;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
        let end = run.end_time.or(ended).unwrap_or(now);
        let seconds = run.start_time.map(|start| (end - start) as f64 / 1000.0);
        result.seconds = seconds.filter(|seconds| *seconds >= 0.0);
        if let Some(seconds) = result.seconds {
            // workers hold their CPUs for as long as the job runs
            result.cpu_hours = trial.cpus.map(|cpus| seconds / 3600.0 * cpus);
            result.gpu_hours = trial.gpus.map(|gpus| seconds / 3600.0 * gpus);
        }
    }
}

/// At most [`POINTS`] points, the last one among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .into_iter()
        .enumerate()
        .filter(|(index, _)| (last - index).is_multiple_of(every))
        .map(|(_, point)| point)
        .collect()
}
