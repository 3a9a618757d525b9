//! A trial's progress.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A trial's progress, as rank 0 sees it.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Completed steps.
    steps: usize,
    /// Steps of the whole training; 0 until it begins.
    of: usize,
    /// When the first steps were completed, and how many; the time before says nothing about the speed.
    first: Option<(Instant, usize)>,
    metrics: BTreeMap<Cow<'static, str>, f64>,
    concluded: bool,
}

impl Progress {
    /// Records that `steps` of `of` steps are completed.
    pub fn step(&mut self, steps: usize, of: usize, now: Instant) {
        self.first.get_or_insert((now, steps));
        (self.steps, self.of) = (steps, of);
    }

    /// Records the latest value of a metric, and ignores NaN and infinities.
    pub fn metric(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        if value.is_finite() {
            self.metrics.insert(name.into(), value);
        }
    }

    /// Records that everything is done, including the registration.
    pub fn conclude(&mut self) {
        self.concluded = true;
    }

    /// The progress in percent; `None` before the first step, while data are read and workers meet. It stays at 99 until the conclusion, because
    /// evaluation and registration follow the last step.
    pub fn percentage(&self) -> Option<usize> {
        if self.concluded {
            return Some(100);
        }
        self.first.map(|_| (100 * self.steps / self.of.max(1)).min(99))
    }

    /// How long the remaining steps will take at the speed so far; `None` until there are two reports of steps.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        if self.concluded {
            return Some(Duration::ZERO);
        }
        let (begun, steps) = self.first?;
        let since = now.saturating_duration_since(begun);
        let measured = self.steps.checked_sub(steps).filter(|steps| *steps > 0)?;
        Some(since.mul_f64(self.of.saturating_sub(self.steps) as f64 / measured as f64))
    }

    /// The latest value of each metric.
    pub fn metrics(&self) -> impl Iterator<Item = (&str, f64)> {
        self.metrics.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_zero_and_ends_with_the_conclusion() {
        let mut progress = Progress::default();
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!((progress.percentage(), progress.remaining(begun)), (None, None));
        progress.step(1, 201, after(60));
        assert_eq!((progress.percentage(), progress.remaining(after(61))), (Some(0), None));
        // a hundred steps in ten seconds, a hundred to go; the minute before the first step does not count
        progress.step(101, 201, after(70));
        assert_eq!((progress.percentage(), progress.remaining(after(70))), (Some(50), Some(Duration::from_secs(10))));
        progress.step(201, 201, after(80));
        assert_eq!((progress.percentage(), progress.remaining(after(80))), (Some(99), Some(Duration::ZERO)));
        progress.conclude();
        assert_eq!((progress.percentage(), progress.remaining(after(90))), (Some(100), Some(Duration::ZERO)));
    }

    #[test]
    fn only_numbers_are_metrics() {
        let mut progress = Progress::default();
        progress.metric("loss", 0.5);
        progress.metric("loss", f64::NAN);
        progress.metric("test_accuracy", f64::INFINITY);
        assert_eq!(progress.metrics().collect::<Vec<_>>(), [("loss", 0.5)]);
    }
}
