//! The most that an experiment can cost, if every job runs until its deadline.

use crate::{Deadline, Experiment, Quantity, Trial};

/// The CPU-hours that `workers` workers use until the deadline.
pub(crate) fn cpu_hours(workers: u64, cpu: Quantity, deadline: Deadline) -> f64 {
    // In whole thousandths of a CPU-second, so that the order of adding does not change the result.
    let milli_cpu_seconds = u128::from(workers) * u128::from(cpu.millis()) * u128::from(deadline.seconds());
    milli_cpu_seconds as f64 / 3_600_000.0
}

impl Experiment {
    /// The number of trials.
    pub fn trial_count(&self) -> usize {
        self.spec.sweep.len()
    }

    /// The most CPU-hours that one trial can use: workers × cpu × deadline.
    pub fn trial_cpu_hours(&self, trial: &Trial) -> f64 {
        cpu_hours(u64::from(trial.workers), self.spec.workers.cpu, self.spec.budget.deadline)
    }

    /// The most CPU-hours that the whole experiment can use, over all its trials.
    pub fn cpu_hours(&self) -> f64 {
        let workers =
            (0..self.trial_count()).map(|index| u64::from(self.point(&self.spec.sweep.point(index)).workers)).sum();
        cpu_hours(workers, self.spec.workers.cpu, self.spec.budget.deadline)
    }
}
