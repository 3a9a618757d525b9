//! What TrainJobs are expected to use, from what earlier ones did.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use slipway_experiment::{JobState, Record};
use slipway_project::{Tree, history};
use time::OffsetDateTime;

use crate::jobs::{EnvironmentJobs, Job};
use crate::results::Version;

/// What is known about earlier runs.
#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// Runs that finished, the newest first. Those of the history are in [`Examination::recorded`](crate::Examination::recorded).
    pub runs: Vec<PastRun>,
    /// Registered versions that a change puts into service or takes out of it, by model and number.
    pub versions: BTreeMap<(String, u64), Version>,
    /// Why nothing is known, such as that MLflow cannot be reached; `None` if it was asked.
    pub unavailable: Option<String>,
}

/// A run that finished.
#[derive(Clone, Debug, PartialEq)]
pub struct PastRun {
    /// Its TrainJob; empty if it is not known.
    pub job: String,
    /// Its experiment.
    pub experiment: String,
    /// The digest of its dataset; empty if it is not known.
    pub dataset_digest: String,
    /// The number of its workers.
    pub workers: u32,
    /// The epochs that it trained for; `None` if they are not known.
    pub epochs: Option<u32>,
    /// How long it ran, from its start to its end, in seconds.
    pub seconds: f64,
}

/// The most runs of an experiment that count: older ones say less, and a long history costs time.
const COUNTED: usize = 100;

/// What a TrainJob is expected to use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Expected {
    pub(crate) cpu_hours: f64,
    pub(crate) gpu_hours: f64,
    /// Whether it is expected to be stopped at its deadline.
    pub(crate) reaches_deadline: bool,
}

/// Everything that an estimate depends on.
type Key<'a> = (&'a str, &'a str, u32, Option<u32>);

/// Estimates by what they depend on, since the trials of a sweep often have one in common.
pub(crate) struct Estimates<'a> {
    by_experiment: BTreeMap<&'a str, Vec<&'a PastRun>>,
    seconds: RefCell<BTreeMap<Key<'a>, Option<f64>>>,
}

impl<'a> Estimates<'a> {
    /// By what MLflow has, and by what the history has of other TrainJobs: one that both have counts once.
    pub(crate) fn new(expectations: &'a Expectations, recorded: &'a [PastRun]) -> Self {
        let known: BTreeSet<&str> = expectations.runs.iter().map(|run| run.job.as_str()).collect();
        let others = recorded.iter().filter(|run| run.job.is_empty() || !known.contains(run.job.as_str()));
        let mut by_experiment: BTreeMap<&str, Vec<&PastRun>> = BTreeMap::new();
        for run in expectations
            .runs
            .iter()
            .chain(others)
            .filter(|run| run.seconds.is_finite() && run.seconds > 0.0 && run.workers > 0)
        {
            let runs = by_experiment.entry(&run.experiment).or_default();
            if runs.len() < COUNTED {
                runs.push(run);
            }
        }
        Self { by_experiment, seconds: RefCell::default() }
    }

    /// What a job is expected to use; `None` if no run of its experiment is known.
    pub(crate) fn of(&self, job: &'a Job) -> Option<Expected> {
        let digest = job.dataset.as_ref().map_or("", |(_, digest)| digest);
        let key: Key<'a> = (&job.experiment, digest, job.workers, job.epochs);
        let seconds = *self.seconds.borrow_mut().entry(key).or_insert_with(|| self.estimate(key));
        let (seconds, deadline) = (seconds?, job.deadline as f64);
        let hours = seconds.min(deadline) / 3600.0;
        Some(Expected {
            cpu_hours: hours * job.cpus,
            gpu_hours: hours * job.gpus,
            reaches_deadline: seconds >= deadline,
        })
    }

    /// The median of the experiment's runs, on the same data and with as many workers where there are such. Time is taken to grow with
    /// the epochs, and to shrink with the workers.
    fn estimate(&self, (experiment, digest, workers, epochs): Key<'_>) -> Option<f64> {
        let mut runs = self.by_experiment.get(experiment)?.clone();
        keep_if_any(&mut runs, |run| run.dataset_digest == digest);
        keep_if_any(&mut runs, |run| run.workers == workers);
        let scaled = |run: &PastRun| {
            let epochs = match (epochs, run.epochs) {
                (Some(now), Some(then)) if then > 0 => f64::from(now) / f64::from(then),
                _ => 1.0,
            };
            run.seconds * epochs * f64::from(run.workers) / f64::from(workers.max(1))
        };
        let mut seconds: Vec<f64> = runs.into_iter().map(scaled).collect();
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied()
    }
}

/// The runs of the experiments that start something, as the history has them, the newest first. Machines differ, so those of the
/// environment in which an experiment starts count; if there are none, those of the others do.
pub(crate) fn recorded_runs(before: &Tree, environments: &[EnvironmentJobs]) -> Vec<PastRun> {
    let all = before.folders_in("overlays");
    let mut records: BTreeMap<(&str, &str), Vec<Record>> = BTreeMap::new();
    for environment in environments {
        let experiments: BTreeSet<&str> = environment.starts.iter().map(|job| job.experiment.as_str()).collect();
        for experiment in experiments {
            let own = history::records(before, &environment.name, Some(experiment));
            if !own.is_empty() {
                records.insert((experiment, environment.name.as_str()), own);
                continue;
            }
            for other in &all {
                let key = (experiment, other.as_str());
                records.entry(key).or_insert_with(|| history::records(before, other, Some(experiment)));
            }
        }
    }
    let mut runs: Vec<(OffsetDateTime, PastRun)> = records.into_values().flatten().filter_map(past_run).collect();
    runs.sort_by_key(|(ended, _)| std::cmp::Reverse(*ended));
    runs.into_iter().map(|(_, run)| run).collect()
}

/// A record as a run; `None` for one that did not finish, or does not say how long it took.
fn past_run(record: Record) -> Option<(OffsetDateTime, PastRun)> {
    let Record { name, spec, result } = record;
    if !matches!(result.state, JobState::Finished | JobState::Refused) {
        return None;
    }
    let run = PastRun {
        job: name,
        experiment: spec.experiment,
        dataset_digest: spec.dataset.map(|dataset| dataset.digest).unwrap_or_default(),
        workers: spec.workers,
        epochs: spec.epochs,
        seconds: result.seconds?,
    };
    Some((result.ended, run))
}

fn keep_if_any(runs: &mut Vec<&PastRun>, is_alike: impl Fn(&PastRun) -> bool) {
    if runs.iter().any(|run| is_alike(run)) {
        runs.retain(|run| is_alike(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(digest: &str, workers: u32, epochs: u32, seconds: f64) -> PastRun {
        let (experiment, dataset_digest) = ("digits".to_owned(), digest.to_owned());
        PastRun { job: String::new(), experiment, dataset_digest, workers, epochs: Some(epochs), seconds }
    }

    fn job(workers: u32, epochs: u32) -> Job {
        Job {
            experiment: "digits".to_owned(),
            workers,
            cpus: f64::from(workers),
            deadline: 3600,
            epochs: Some(epochs),
            dataset: Some(("mnist".to_owned(), "a".to_owned())),
            ..Job::default()
        }
    }

    fn hours(runs: Vec<PastRun>, job: &Job) -> Option<(f64, bool)> {
        let expectations = Expectations { runs, ..Expectations::default() };
        let expected = Estimates::new(&expectations, &[]).of(job)?;
        Some((expected.cpu_hours, expected.reaches_deadline))
    }

    #[test]
    fn the_most_similar_runs_count_and_time_grows_with_epochs() {
        let runs = vec![run("a", 2, 3, 360.0), run("a", 2, 3, 300.0), run("a", 2, 6, 720.0), run("b", 2, 3, 1.0)];
        assert_eq!(hours(runs.clone(), &job(2, 3)), Some((0.2, false)));
        assert_eq!(hours(runs, &job(4, 6)), Some((0.4, false)));
        assert_eq!(hours(vec![run("b", 1, 1, 36.0)], &job(1, 1)), Some((0.01, false)));
    }

    #[test]
    fn a_run_that_the_history_has_too_counts_once() {
        let named = |name: &str, seconds: f64| PastRun { job: name.to_owned(), ..run("a", 1, 1, seconds) };
        let expectations = Expectations { runs: vec![named("digits-1", 36.0)], ..Expectations::default() };
        let recorded = [named("digits-1", 36.0), named("digits-2", 72.0), named("digits-3", 108.0)];
        let job = job(1, 1);
        let hours = |recorded: &[PastRun]| Estimates::new(&expectations, recorded).of(&job).unwrap().cpu_hours;
        assert_eq!(hours(&recorded), 0.02, "the median of three");
        assert_eq!(hours(&recorded[..1]), 0.01);
        // without MLflow the history is enough
        assert_eq!(Estimates::new(&Expectations::default(), &recorded).of(&job).unwrap().cpu_hours, 0.02);
    }

    #[test]
    fn a_job_uses_no_more_than_its_deadline_allows() {
        assert_eq!(hours(vec![run("a", 1, 1, 600.0)], &job(1, 10)), Some((1.0, true)));
    }

    #[test]
    fn without_a_run_nothing_is_expected() {
        assert_eq!(hours(vec![], &job(1, 1)), None);
        assert_eq!(hours(vec![run("a", 1, 1, f64::NAN), run("a", 0, 1, 1.0)], &job(1, 1)), None);
    }
}
