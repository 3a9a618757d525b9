//! One trial, put together from what git, the cluster and MLflow know of it. Pure.

use std::sync::Arc;

use slipway_cluster::{Hindrance, Timestamp, Training};
use slipway_outcome::{Seen, state};
use slipway_project::cluster::Prices;
use slipway_report::TrialState as Said;

use crate::declared::DeclaredJob;
use crate::recorded::JobRun;
use crate::view::{Cost, Lineage, Progress, PullRequest, Removal, Run, Trial, TrialState, Worker};

/// What a trial is put together from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Its file on the default branch, or as it was there last.
    pub(crate) declared: Option<Arc<DeclaredJob>>,
    /// How that file was removed, if it no longer exists.
    pub(crate) removed: Option<Removal>,
    /// Its TrainJob in the cluster.
    pub(crate) training: Option<Arc<Training>>,
    /// Its newest run.
    pub(crate) run: Option<Arc<JobRun>>,
    /// The pull request that started it.
    pub(crate) pull_request: Option<Arc<PullRequest>>,
    /// The commit that brought its file; empty if that is not known.
    pub(crate) commit: String,
    /// Whether what it has used grows with time.
    pub(crate) tick: i64,
}

impl Sources {
    /// Whether a trial of these sources is the same as one of those.
    pub(crate) fn are(&self, others: &Self) -> bool {
        same(self.declared.as_ref(), others.declared.as_ref())
            && same(self.training.as_ref(), others.training.as_ref())
            && same(self.run.as_ref(), others.run.as_ref())
            && same(self.pull_request.as_ref(), others.pull_request.as_ref())
            && self.removed == others.removed
            && self.commit == others.commit
            && self.tick == others.tick
    }
}

/// Whether both are the very same value, or none.
fn same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// Where trials run, and what that costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) environment: &'a str,
    pub(crate) prices: Option<&'a Prices>,
    /// Where a browser finds MLflow.
    pub(crate) pages: Option<&'a str>,
    pub(crate) now: Timestamp,
}

/// Puts a trial together.
pub(crate) fn trial(name: &str, sources: &Sources, place: Place<'_>) -> Trial {
    let training = sources.training.as_deref();
    let declared = sources.declared.as_deref();
    let run = sources.run.as_deref();
    let seen = training.map_or(Seen::Gone, Seen::There);
    // a tag that cannot be read is said where the report is made
    let is_wanted = declared.is_some() && sources.removed.is_none();
    let said = state(run.map(|run| &run.run), seen, is_wanted).unwrap_or_default();
    let (state, reason, advice) = words(said, training);
    let milliseconds = |time: Option<i64>| time.and_then(|time| Timestamp::from_millisecond(time).ok());
    let first = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
    let started =
        first(training.and_then(|training| training.started), milliseconds(run.and_then(|run| run.run.start_time)));
    // workers that run without data hold their CPUs all the same
    let runs = |one: &Training| one.workers.iter().filter(|worker| worker.phase == "Running").count();
    let holds =
        state == TrialState::Waiting && training.is_some_and(|one| one.wanted > 0 && runs(one) >= one.wanted as usize);
    let started = started.filter(|_| state != TrialState::Waiting || holds);
    let is_over = !matches!(state, TrialState::Waiting | TrialState::Running);
    let ended =
        training.and_then(|training| training.ended).or_else(|| milliseconds(run.and_then(|run| run.run.end_time)));
    let ended = ended.filter(|_| is_over);
    let until = ended.or_else(|| (state == TrialState::Running || holds).then_some(place.now));
    // the attempts before have used as much as they lasted
    let earlier = run.map(|run| run.earlier.clone()).unwrap_or_default();
    let seconds = started.zip(until).map(|(from, until)| {
        let last = (until.as_millisecond() - from.as_millisecond()).max(0) as f64 / 1000.0;
        last + earlier.seconds_before(from.as_millisecond())
    });
    let started = started.map(|started| first(Some(started), milliseconds(earlier.began())).unwrap_or(started));
    let hours = |of: Option<f64>| Some(seconds? / 3600.0 * of?);
    let (cpu_hours, gpu_hours) = (hours(declared.map(|job| job.cpus)), hours(declared.map(|job| job.gpus)));
    let running = training.filter(|_| state == TrialState::Running);
    let mut metrics = run.map(|run| run.run.metrics.clone()).unwrap_or_default();
    metrics.extend(running.into_iter().flat_map(|training| training.metrics.clone()));
    let job = declared.cloned().unwrap_or_default();
    Trial {
        name: name.to_owned(),
        experiment: match training.and_then(|training| training.experiment.clone()) {
            Some(experiment) if job.experiment.is_empty() => experiment,
            _ => job.experiment,
        },
        environment: place.environment.to_owned(),
        state,
        reason,
        advice,
        parameters: job.parameters,
        fixed: job.fixed,
        created: training.and_then(|training| training.created).map(|time| time.to_string()),
        started: started.map(|time| time.to_string()),
        ended: ended.map(|time| time.to_string()),
        seconds,
        progress: running
            .and_then(|training| training.progress)
            .map(|progress| Progress { percent: progress.percent, remaining_seconds: progress.remaining_seconds }),
        metrics,
        workers: training.map_or(job.workers, |training| training.wanted),
        worker_states: training.into_iter().flat_map(|training| &training.workers).map(worker).collect(),
        cpu_hours,
        gpu_hours,
        cost: cost(cpu_hours, gpu_hours, place.prices),
        run: run.map(|run| Run {
            id: run.run.run_id.clone(),
            url: place.pages.map(|pages| slipway_outcome::run_page(pages, &run.run.experiment_id, &run.run.run_id)),
        }),
        model: job.model,
        version: run.and_then(|run| run.version),
        lineage: Lineage {
            dataset: job.dataset.as_ref().map(|dataset| dataset.name.clone()).unwrap_or_default(),
            dataset_digest: job.dataset.map(|dataset| dataset.digest).unwrap_or_default(),
            experiment_file: job.experiment_file,
            experiment_blob: job.experiment_blob,
            commit: sources.commit.clone(),
            pull_request: sources.pull_request.as_deref().cloned(),
            image: match training {
                Some(training) if !training.image.is_empty() => training.image.clone(),
                _ => job.image,
            },
        },
        archived: false,
        removed: sources.removed,
    }
}

/// A state with its reason and what to do.
fn words(said: Said, training: Option<&Training>) -> (TrialState, Option<String>, Option<String>) {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    match said {
        Said::Waiting(Some(one)) => (TrialState::Waiting, some(one.reason), some(one.advice)),
        Said::Waiting(None) => (TrialState::Waiting, None, None),
        Said::Running => (TrialState::Running, None, None),
        Said::Finished => (TrialState::Finished, None, None),
        Said::Refused(why) => (TrialState::Refused, some(why), None),
        Said::Failed(why) => match training.and_then(|training| training.hindrance.clone()) {
            Some(Hindrance { reason, advice }) => (TrialState::Failed, some(reason), some(advice)),
            None => (TrialState::Failed, some(why), None),
        },
        Said::Cancelled => (TrialState::Cancelled, None, None),
    }
}

fn worker(worker: &slipway_cluster::Worker) -> Worker {
    let slipway_cluster::Worker { rank, pod, node, phase, restarts } = worker.clone();
    Worker { rank, pod, node, phase, restarts }
}

/// What CPU-hours and GPU-hours cost; `None` if the hours are not known, or GPUs were used and have no price: that is not for nothing.
pub(crate) fn cost(cpu_hours: Option<f64>, gpu_hours: Option<f64>, prices: Option<&Prices>) -> Option<Cost> {
    let prices = prices?;
    let gpus = match gpu_hours {
        Some(hours) if hours > 0.0 => hours * prices.gpu_hour?,
        _ => 0.0,
    };
    Some(Cost { amount: cpu_hours? * prices.cpu_hour + gpus, currency: prices.currency.clone() })
}
