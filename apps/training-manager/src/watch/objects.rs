//! All objects of the trainings, and which trainings have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slipway_cluster::{JobSet, TrainJob, Training, Warning, WorkerPod};

use super::store::{Step, Store};

/// A change of an object.
#[derive(Debug)]
pub(super) enum Change {
    Job(Step<TrainJob>),
    Set(Step<JobSet>),
    Pod(Step<WorkerPod>),
    Warning(Step<Warning>),
}

/// All objects of the trainings.
#[derive(Debug, Default)]
pub(super) struct Objects {
    jobs: Store<TrainJob>,
    sets: Store<JobSet>,
    /// By job and pod.
    pods: Store<WorkerPod>,
    /// By the object that they are about and their own name.
    warnings: Store<Warning>,
    /// The names of the TrainJobs.
    names: BTreeSet<String>,
    /// The trainings that are to be put together again.
    changed: BTreeSet<String>,
}

impl Objects {
    /// The key of something that belongs to a named object.
    pub(super) fn key(of: &str, name: &str) -> String {
        format!("{of}/{name}")
    }

    /// Takes a change.
    pub(super) fn apply(&mut self, change: Change) {
        let Self { jobs, sets, pods, warnings, names, changed } = self;
        let mut note = |job: &str| changed.extend([job.to_owned()]);
        match change {
            Change::Job(step) => jobs.take(step, |name, _, new| {
                note(name);
                if new.is_some() {
                    names.insert(name.to_owned())
                } else {
                    names.remove(name)
                };
            }),
            Change::Set(step) => sets.take(step, |name, _, _| note(name)),
            Change::Pod(step) => {
                pods.take(step, |_, old, new| old.into_iter().chain(new).for_each(|pod| note(&pod.job)));
            }
            Change::Warning(step) => warnings.take(step, |_, old, new| {
                old.into_iter().chain(new).filter_map(|warning| warning.job(names)).for_each(&mut note);
            }),
        }
    }

    /// Whether every kind was listed once.
    pub(super) fn is_complete(&self) -> bool {
        self.jobs.is_listed && self.sets.is_listed && self.pods.is_listed && self.warnings.is_listed
    }

    /// Whether there is something to show; the first time even if it is nothing.
    pub(super) fn has_changed(&self, was_shown: bool) -> bool {
        !was_shown || !self.changed.is_empty()
    }

    /// Puts the trainings together again that have changed.
    pub(super) fn show(&mut self, trainings: &mut BTreeMap<String, Arc<Training>>) {
        for name in std::mem::take(&mut self.changed) {
            let Some(job) = self.jobs.all.get(&name) else {
                trainings.remove(&name);
                continue;
            };
            let pods: Vec<&WorkerPod> = self.pods.beginning(&format!("{name}/")).collect();
            let warnings = self.warnings.beginning(&name).filter(|one| one.job(&self.names) == Some(name.as_str()));
            let training = Training::of(job, self.sets.all.get(&name), &pods, &warnings.collect::<Vec<_>>());
            let training = match trainings.get(&name) {
                Some(before) => training.after(before),
                None => training,
            };
            if trainings.get(&name).is_none_or(|old| **old != training) {
                trainings.insert(name, Arc::new(training));
            }
        }
    }
}
