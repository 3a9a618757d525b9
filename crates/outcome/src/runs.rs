//! What MLflow has of the TrainJobs of an experiment.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use slipway_mlflow::{Client, Earlier, Run, RunStatus, newest_runs};
use slipway_report::{Ranking, TrialResult};

use crate::{Started, StartedTrial};

/// The metrics that are drawn, if a run has them, besides the one that trials are compared by: those of the built-in trainer, and what other
/// trainers mostly call theirs.
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
/// The most trials whose curves are asked for, the best ones: each is a request, and no chart shows more lines.
const CURVED: usize = 12;
/// The metric that the built-in trainer logs after each epoch, by its number from 0.
const BY_EPOCH: &str = "validation_accuracy";
/// The most points of a curve; of more, some are left out evenly.
const POINTS: usize = 60;

/// What MLflow has of the TrainJobs of an experiment.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The newest run of each, by its name, with those of the attempts before.
    runs: BTreeMap<String, (Run, Earlier)>,
    curves: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>>,
}

impl Runs {
    pub(crate) async fn of(client: &Client, started: &Started) -> slipway_mlflow::Result<Self> {
        let Some(id) = client.get_experiment(&started.experiment).await? else { return Ok(Self::default()) };
        let mut names: Vec<&str> = started.trials.iter().map(|trial| trial.start.name.as_str()).collect();
        let mut runs = newest_runs(client.search_runs(&[&id], "", &["attributes.start_time ASC"]).await?);
        runs.retain(|job, _| names.contains(&job.as_str()));
        let ranking = Ranking::among(started.ranking.as_ref(), runs.values().map(|(run, _)| &run.metrics));
        if let Some(ranking) = &ranking {
            let rank = |name: &str| runs.get(name).map_or(f64::INFINITY, |(run, _)| ranking.rank(&run.metrics));
            names.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
        }
        let compared = started.ranking.as_ref().map(|ranking| ranking.metric.as_str());
        let others = DRAWN.into_iter().filter(|metric| Some(*metric) != compared);
        let drawn: Vec<&str> = compared.into_iter().chain(others).collect();
        let mut curves: BTreeMap<String, BTreeMap<String, Vec<(f64, f64)>>> = BTreeMap::new();
        for (name, (run, _)) in names.iter().filter_map(|name| Some((*name, runs.get(*name)?))).take(CURVED) {
            for metric in drawn.iter().filter(|metric| run.metrics.contains_key(**metric)).take(CURVES) {
                let history = client.metric_history(&run.run_id, metric).await?;
                let points: Vec<(f64, f64)> = history.iter().map(|point| (point.step as f64, point.value)).collect();
                curves.entry(name.to_owned()).or_default().insert((*metric).to_owned(), thinned(points));
            }
        }
        Ok(Self { runs, curves })
    }

    /// The newest run of a TrainJob.
    pub(crate) fn run(&self, job: &str) -> Option<&Run> {
        self.runs.get(job).map(|(run, _)| run)
    }

    /// Adds what the runs of a trial say of it, its state apart: the newest one, and how long those before it took. `ended` is when it ended, in
    /// milliseconds since 1970, if that is known and the newest run itself could not say so.
    pub(crate) fn describe(&self, result: &mut TrialResult, trial: &StartedTrial, ended: Option<i64>) {
        let Some((run, earlier)) = self.runs.get(&trial.start.name) else { return };
        let curves = self.curves.get(&trial.start.name).cloned().unwrap_or_default();
        result.epochs = epochs(run);
        result.metrics = run.metrics.clone();
        result.curves = curves;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as i64);
        let end = run.end_time.or(ended).unwrap_or(now);
        let start = run.start_time.filter(|start| *start <= end);
        result.seconds = start.map(|start| (end - start) as f64 / 1000.0 + earlier.seconds_before(start));
        if let Some(seconds) = result.seconds {
            // workers hold their CPUs for as long as the job runs
            result.cpu_hours = trial.cpus.map(|cpus| seconds / 3600.0 * cpus);
            result.gpu_hours = trial.gpus.map(|gpus| seconds / 3600.0 * gpus);
        }
    }
}

/// The epochs that are done, and all of them. A training that stopped early has done those that it says.
fn epochs(run: &Run) -> Option<(u32, u32)> {
    let all: u32 = run.params.get("training.epochs")?.parse().ok()?;
    let done = match run.steps.get(BY_EPOCH) {
        Some(last) => u32::try_from(last.saturating_add(1)).unwrap_or(0).min(all),
        None if run.status == RunStatus::Finished => all,
        None => 0,
    };
    Some((done, all))
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::not_begun(RunStatus::Running, None, Some((0, 100)))]
    #[case::running(RunStatus::Running, Some(61), Some((62, 100)))]
    #[case::finished(RunStatus::Finished, Some(99), Some((100, 100)))]
    #[case::stopped_early(RunStatus::Finished, Some(6), Some((7, 100)))]
    #[case::finished_without_the_metric(RunStatus::Finished, None, Some((100, 100)))]
    #[case::failed(RunStatus::Failed, Some(0), Some((1, 100)))]
    #[case::nonsense(RunStatus::Running, Some(-9), Some((0, 100)))]
    fn epochs_are_counted_by_the_last_one(
        #[case] status: RunStatus,
        #[case] last: Option<i64>,
        #[case] expected: Option<(u32, u32)>,
    ) {
        let run = Run {
            run_id: "r".to_owned(),
            run_name: String::new(),
            experiment_id: "1".to_owned(),
            status,
            start_time: None,
            end_time: None,
            artifact_uri: String::new(),
            metrics: <_>::default(),
            steps: last.map(|last| (BY_EPOCH.to_owned(), last)).into_iter().collect(),
            params: [("training.epochs".to_owned(), "100".to_owned())].into(),
            tags: <_>::default(),
        };
        assert_eq!(epochs(&run), expected);
        assert_eq!(epochs(&Run { params: <_>::default(), ..run }), None);
    }

    #[test]
    fn of_many_points_the_last_one_stays() {
        let points: Vec<(f64, f64)> = (0..100).map(|step| (f64::from(step), 0.5)).collect();
        let thinned = thinned(points);
        assert_eq!((thinned.len(), thinned.last().map(|point| point.0)), (50, Some(99.0)));
    }
}
