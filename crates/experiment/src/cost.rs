//! The most that an experiment can cost, if every job runs until its deadline.

use crate::{Experiment, Trial};

/// The hours of CPU or GPU that `workers` workers use in `seconds`, each with `millis` thousandths of one.
pub(crate) fn hours(workers: u64, millis: u64, seconds: u64) -> f64 {
    // In whole thousandths of a second, so that the order of adding does not change the result.
    let milli_seconds = u128::from(workers) * u128::from(millis) * u128::from(seconds);
    milli_seconds as f64 / 3_600_000.0
}

/// Hours of a unit as text, such as `1 CPU-hour`, `0.5 CPU-hours` or `1 of 4 GPU-hours`. `shown` is how many, as text.
#[must_use]
pub fn in_hours(shown: &str, unit: &str) -> String {
    let plural = if shown == "1" { "" } else { "s" };
    format!("{shown} {unit}-hour{plural}")
}

impl Experiment {
    /// The number of trials.
    pub fn trial_count(&self) -> usize {
        self.spec.sweep.len()
    }

    /// The most CPU-hours that one trial can use: workers × cpu × deadline.
    pub fn trial_cpu_hours(&self, trial: &Trial) -> f64 {
        hours(u64::from(trial.workers), self.spec.workers.cpu.millis(), self.spec.budget.deadline.seconds())
    }

    /// The most GPU-hours that one trial can use: workers × gpu × deadline.
    pub fn trial_gpu_hours(&self, trial: &Trial) -> f64 {
        hours(u64::from(trial.workers), u64::from(trial.gpu) * 1000, self.spec.budget.deadline.seconds())
    }

    /// The most CPU-hours that the whole experiment can use, over all its trials.
    pub fn cpu_hours(&self) -> f64 {
        let workers =
            (0..self.trial_count()).map(|index| u64::from(self.point(&self.spec.sweep.point(index)).workers)).sum();
        hours(workers, self.spec.workers.cpu.millis(), self.spec.budget.deadline.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::in_hours;

    #[test]
    fn one_hour_alone_is_singular() {
        for (shown, text) in [("1", "1 CPU-hour"), ("0.5", "0.5 CPU-hours"), ("1 of 4", "1 of 4 CPU-hours")] {
            assert_eq!(in_hours(shown, "CPU"), text);
        }
    }
}
