//! The learning rate of each step.

use std::f64::consts::PI;

/// How the learning rate changes from step to step. It depends on the step alone, so that it is the same on all workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// Epochs in which the learning rate rises in equal steps; its last step has the full rate.
    pub(crate) warmup_epochs: usize,
    pub(crate) decay: Decay,
}

/// What happens after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Decay {
    /// Nothing.
    None,
    /// The learning rate falls to 0 along half a cosine (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    Cosine,
    /// It is multiplied by `factor` after every so many epochs; those of the warm-up count too.
    Step { every: usize, factor: f64 },
}

impl Schedule {
    /// The learning rate stays the same.
    pub(crate) const CONSTANT: Self = Self { warmup_epochs: 0, decay: Decay::None };

    /// What the learning rate is multiplied by at a step, counted from 0, of a training of `epochs`.
    pub(crate) fn share(self, step: usize, steps_per_epoch: usize, epochs: usize) -> f64 {
        let warmup = self.warmup_epochs.saturating_mul(steps_per_epoch);
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        match self.decay {
            Decay::None => 1.0,
            Decay::Cosine => {
                let of = epochs.saturating_mul(steps_per_epoch).saturating_sub(warmup).max(1);
                (1.0 + (PI * (step - warmup) as f64 / of as f64).cos()) / 2.0
            }
            Decay::Step { every, factor } => {
                let changes = step / every.saturating_mul(steps_per_epoch).max(1);
                factor.powi(i32::try_from(changes).unwrap_or(i32::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares of a training of four epochs with five steps each.
    fn shares(schedule: Schedule) -> Vec<f64> {
        (0..20).map(|step| schedule.share(step, 5, 4)).collect()
    }

    #[test]
    fn a_constant_schedule_changes_nothing() {
        assert_eq!(shares(Schedule::CONSTANT), [1.0; 20]);
    }

    #[test]
    fn a_warm_up_rises_to_the_full_rate() {
        let shares = shares(Schedule { warmup_epochs: 1, ..Schedule::CONSTANT });
        assert_eq!(shares[..6], [0.2, 0.4, 0.6, 0.8, 1.0, 1.0]);
        assert_eq!(shares[5..], [1.0; 15]);
    }

    #[test]
    fn a_cosine_falls_from_the_full_rate_almost_to_nothing() {
        let shares = shares(Schedule { warmup_epochs: 2, decay: Decay::Cosine });
        assert_eq!((shares[9], shares[10]), (1.0, 1.0));
        assert!((shares[15] - 0.5).abs() < 1e-12, "half of the rate in the middle: {}", shares[15]);
        assert!(shares[10..].is_sorted_by(|a, b| a > b), "{shares:?}");
        assert!(shares[19] > 0.0 && shares[19] < 0.03, "{}", shares[19]);
    }

    #[test]
    fn steps_multiply_after_every_so_many_epochs() {
        let shares = shares(Schedule { warmup_epochs: 0, decay: Decay::Step { every: 2, factor: 0.1 } });
        assert_eq!((shares[9], shares[10], shares[19]), (1.0, 0.1, 0.1));
        // the epochs of the warm-up count
        let schedule = Schedule { warmup_epochs: 1, decay: Decay::Step { every: 1, factor: 0.5 } };
        assert_eq!([4, 5, 10, 15].map(|step| schedule.share(step, 5, 4)), [1.0, 0.5, 0.25, 0.125]);
    }

    #[test]
    fn a_training_without_end_has_a_schedule_too() {
        let schedule = Schedule { warmup_epochs: 0, decay: Decay::Cosine };
        assert_eq!(schedule.share(1_000, 100, usize::MAX), 1.0);
    }
}
