//! Where the time of a step goes.

use std::time::{Duration, Instant};

/// The parts of a step, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The batch as tensors: gathering, augmentation, conversion.
    Data,
    /// From images to the loss.
    Forward,
    /// From the loss to gradients.
    Backward,
    /// The mean of all workers' gradients, including the wait for slower workers.
    Exchange,
    /// From gradients to parameters.
    Optimizer,
    /// Reports to others.
    Telling,
    /// A copy for the next checkpoint, which another thread stores.
    Checkpoint,
}

impl Part {
    pub(crate) const ALL: [(Self, &str); 7] = [
        (Self::Data, "data"),
        (Self::Forward, "forward"),
        (Self::Backward, "backward"),
        (Self::Exchange, "exchange"),
        (Self::Optimizer, "optimizer"),
        (Self::Telling, "telling"),
        (Self::Checkpoint, "checkpoint"),
    ];
}

/// The first steps, in which memory is allocated and kernels are chosen, are not counted.
const WARM_UP: usize = 20;

/// A clock that runs through the parts of each step.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    spent: [Duration; Part::ALL.len()],
    /// Steps that have begun, with those that are not counted.
    begun: usize,
    since: Instant,
}

impl Profile {
    pub(crate) fn new() -> Self {
        Self { spent: [Duration::ZERO; Part::ALL.len()], begun: 0, since: Instant::now() }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self) {
        self.begun += 1;
        self.since = Instant::now();
    }

    /// What was done since the last call was this part of the step.
    pub(crate) fn done(&mut self, part: Part) {
        let now = Instant::now();
        if self.begun > WARM_UP {
            self.spent[part as usize] += now - self.since;
        }
        self.since = now;
    }

    /// Mean microseconds of each part in one step; `None` if there were too few steps to say.
    pub(crate) fn microseconds(&self) -> Option<[(&'static str, f64); Part::ALL.len()]> {
        let steps = self.begun.checked_sub(WARM_UP).filter(|steps| *steps > 0)?;
        Some(Part::ALL.map(|(part, name)| (name, self.spent[part as usize].as_secs_f64() * 1e6 / steps as f64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_the_first_steps_are_left_out() {
        let mut profile = Profile::new();
        for step in 0..WARM_UP + 2 {
            assert!(step > WARM_UP || profile.microseconds().is_none());
            profile.begin();
            let begun = Instant::now();
            profile.done(Part::Data);
            std::hint::black_box((0..10_000).sum::<u64>());
            profile.done(Part::Telling);
            if step == WARM_UP {
                let all = profile.microseconds().unwrap();
                let sum: f64 = all.iter().map(|(_, spent)| spent).sum();
                assert!(sum <= begun.elapsed().as_secs_f64() * 1e6 && all[5].1 > 0.0, "{all:?}");
                assert!(all[1..5].iter().all(|(_, spent)| *spent == 0.0), "{all:?}");
            }
        }
    }
}
