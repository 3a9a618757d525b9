//! The course of a training: epochs, steps, snapshots.

use std::time::{Duration, Instant};

use slipway_c10d::{Optimizer, Parameters};
use slipway_job::now_ms;
use slipway_model::{Model, SplitMix64};
use tch::{Reduction, Tensor};

use super::{Event, Keep, Plan, Trained};
use crate::early_stopping::{Best, EarlyStopping};
use crate::evaluate;
use crate::failure::{Failure, Result};
use crate::images::Images;
use crate::profile::{Part, Profile};
use crate::snapshot::{Position, Snapshot};
use crate::workers::{COLLECTIVE_TIMEOUT, Workers};

/// A worker from which nothing comes for so long, in the middle of an epoch, hangs: it is stopped, or its machine is. Longer than a connection
/// bears an outage of the network, so that a short one costs no restart.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);
/// If a step takes long, it may take so many times as long as the slowest one of its epoch.
const SLOWER: u32 = 20;
/// Losses are reported at the latest after this many steps.
const STEPS_BETWEEN_LOSSES: usize = 100;

/// A training under way.
pub(super) struct Training<'a, Report> {
    plan: &'a Plan,
    train: &'a Images,
    validation: &'a Images,
    workers: &'a Workers,
    keeper: Option<&'a dyn Keep>,
    report: Report,
    model: Model,
    parameters: Parameters,
    optimizer: Optimizer,
    stopping: Option<EarlyStopping>,
    position: Position,
    /// Images of one step on this worker.
    local: usize,
    steps_per_epoch: usize,
    /// Steps of the whole training.
    of: usize,
    losses: Vec<(usize, i64, f64)>,
    profile: Profile,
    pace: Pace,
}

/// How long the steps of an epoch take, with the wait for other workers.
#[derive(Debug, Default)]
struct Pace {
    steps: usize,
    slowest: Duration,
}

impl Pace {
    /// A step has taken so long. Before the first one, others may have loaded data or evaluated for minutes, so it says nothing.
    fn took(&mut self, took: Duration) {
        if self.steps > 0 {
            self.slowest = self.slowest.max(took);
        }
        self.steps += 1;
    }

    /// How long nothing may come from another worker in the next step: minutes until two steps have shown how long one takes.
    fn limit(&self) -> Duration {
        if self.steps < 2 {
            return COLLECTIVE_TIMEOUT;
        }
        self.slowest.saturating_mul(SLOWER).clamp(STEP_TIMEOUT, COLLECTIVE_TIMEOUT)
    }
}

impl<'a, Report: FnMut(Event) -> Result<()>> Training<'a, Report> {
    pub(super) fn new(
        plan: &'a Plan,
        train: &'a Images,
        validation: &'a Images,
        workers: &'a Workers,
        keeper: Option<&'a dyn Keep>,
        report: Report,
    ) -> Result<Self> {
        let local = plan.local_batch(workers, train)?;
        let model = Model::new(&plan.model, plan.seed)?;
        let mut parameters = Parameters::flatten(&model.named_parameters())?;
        workers.start_alike(&mut parameters)?;
        let optimizer = Optimizer::new(plan.optimizer, &parameters)?;
        let steps_per_epoch = train.count / plan.batch_size;
        let of = plan.epochs.saturating_mul(steps_per_epoch).min(plan.max_steps.unwrap_or(usize::MAX));
        let stopping = plan.patience.map(EarlyStopping::new);
        Ok(Self {
            plan,
            train,
            validation,
            workers,
            keeper,
            report,
            model,
            parameters,
            optimizer,
            stopping,
            position: Position::default(),
            local,
            steps_per_epoch,
            of,
            losses: Vec::new(),
            profile: Profile::new(),
            pace: Pace::default(),
        })
    }

    /// Goes on from a snapshot. One that does not fit, such as of a release whose network had other layers, is set aside, and training begins anew: all
    /// workers have the same one, so they decide alike.
    pub(super) fn resume(&mut self, snapshot: Snapshot) -> Result<()> {
        let own = self.optimizer.state()?;
        if let Err(reason) = snapshot.fits(self.parameters.count(), &own) {
            let name = snapshot.name();
            tracing::warn!(event = "checkpoint_set_aside", name, "training begins anew: {reason}");
            return Ok(());
        }
        let Snapshot { position, parameters, optimizer, best } = snapshot;
        self.parameters.set(&parameters)?;
        self.optimizer.set_state(&optimizer)?;
        if let Some(stopping) = &mut self.stopping {
            stopping.waited = position.waited;
            stopping.best = position.best_epoch.zip(best).map(|((epoch, accuracy), parameters)| Best {
                epoch,
                validation_accuracy: accuracy.into(),
                parameters,
            });
        }
        self.position = position;
        Ok(())
    }

    /// Trains to the end.
    pub(super) fn run(&mut self) -> Result<()> {
        while self.position.epoch < self.plan.epochs && (self.position.in_epoch > 0 || self.may_step()) {
            self.epoch()?;
        }
        Ok(())
    }

    fn may_step(&self) -> bool {
        self.plan.max_steps.is_none_or(|most| self.position.step < most)
    }

    /// The rest of an epoch, and its evaluation.
    fn epoch(&mut self) -> Result<()> {
        let epoch = self.position.epoch;
        let order = order(self.train.count, self.plan.seed, epoch);
        let (begun, before) = (Instant::now(), self.position.epoch_time);
        self.pace = Pace::default();
        while self.position.in_epoch < self.steps_per_epoch && self.may_step() {
            let from = self.position.in_epoch * self.plan.batch_size;
            self.step(&order[from..from + self.plan.batch_size])?;
            self.position.epoch_time = before + begun.elapsed();
            if self.is_due()? {
                self.keep()?;
            }
            self.profile.done(Part::Checkpoint);
        }
        self.report_losses()?;
        // an evaluation may take long, and changes nothing
        let between = || if self.is_due()? { self.snapshot() } else { Ok(()) };
        let validation_accuracy = evaluate::accuracy(&self.model, self.validation, self.workers, between)?;
        let images = self.position.in_epoch * self.plan.batch_size;
        let images_per_second = images as f64 / self.position.epoch_time.as_secs_f64();
        (self.report)(Event::Epoch { epoch, validation_accuracy, images_per_second })?;
        // all workers have the same accuracy, so they decide alike
        let parameters = &self.parameters;
        let is_over = match &mut self.stopping {
            Some(stopping) => stopping.is_over(epoch, validation_accuracy, || Ok(parameters.copy()?))?,
            None => false,
        };
        let Position { step, spent, epoch_time, .. } = self.position;
        let best = self.stopping.as_ref().and_then(|stopping| stopping.best.as_ref());
        self.position = Position {
            step,
            epoch: if is_over { self.plan.epochs } else { epoch + 1 },
            in_epoch: 0,
            epoch_time: Duration::ZERO,
            spent: spent + epoch_time,
            validation_accuracy: Some(validation_accuracy.into()),
            waited: self.stopping.as_ref().map_or(0, |stopping| stopping.waited),
            best_epoch: best.map(|best| (best.epoch, best.validation_accuracy.into())),
        };
        Ok(())
    }

    /// One step on a global batch.
    fn step(&mut self, batch: &[i64]) -> Result<()> {
        let Position { step, epoch, .. } = self.position;
        self.profile.begin();
        let begun = Instant::now();
        let rank = self.workers.rank;
        let own = &batch[rank * self.local..(rank + 1) * self.local];
        let (images, labels) = match self.plan.augmentation {
            Some(augmentation) => self.train.augmented_at(own, &augmentation.of_epoch(self.plan.seed, epoch))?,
            None => self.train.at(own)?,
        };
        self.profile.done(Part::Data);
        let logits = self.model.forward_logits(&images, Some(&mut self.masks()))?;
        let loss = logits.f_cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)?;
        drop(logits);
        self.profile.done(Part::Forward);
        loss.f_backward()?;
        self.parameters.take_gradients()?;
        let loss = loss.f_double_value(&[])?;
        self.profile.done(Part::Backward);
        let loss = self.workers.average(&mut self.parameters, loss, self.pace.limit())?;
        self.pace.took(begun.elapsed());
        self.profile.done(Part::Exchange);
        let rate = self.plan.learning_rate * self.plan.schedule.share(step, self.steps_per_epoch, self.plan.epochs);
        self.optimizer.step(&mut self.parameters, rate)?;
        self.profile.done(Part::Optimizer);
        self.losses.push((step, now_ms(), loss));
        self.position.step += 1;
        self.position.in_epoch += 1;
        (self.report)(Event::Step { done: step + 1, of: self.of })?;
        if self.losses.len() == STEPS_BETWEEN_LOSSES {
            self.report_losses()?;
        }
        self.profile.done(Part::Telling);
        Ok(())
    }

    /// The masks of dropout depend on seed, step and worker, so that a training that goes on has the same ones. They differ from worker to
    /// worker, as they do from image to image.
    fn masks(&self) -> SplitMix64 {
        let of_worker = SplitMix64::new(self.plan.seed ^ ((self.workers.rank as u64) << 32)).next_u64();
        SplitMix64::new(SplitMix64::new(of_worker ^ self.position.step as u64).next_u64())
    }

    fn report_losses(&mut self) -> Result<()> {
        let losses = std::mem::take(&mut self.losses);
        if let Some((step, _, loss)) = losses.iter().find(|(_, _, loss)| !loss.is_finite()) {
            return Err(Failure::Gate(format!(
                "the loss is {loss} at step {step}, so no metric of this trial can be trusted and nothing is registered: \
                 lower training.optimizer.learningRate"
            )));
        }
        if losses.is_empty() { Ok(()) } else { (self.report)(Event::Losses(losses)) }
    }

    fn is_due(&self) -> Result<bool> {
        self.keeper.map_or(Ok(false), |keeper| keeper.is_due())
    }

    /// Gives a snapshot to the keeper, if there is one, also if reporting fails: what was not reported yet is reported first.
    pub(super) fn keep(&mut self) -> Result<()> {
        if self.keeper.is_none() {
            return Ok(());
        }
        let reported = self.report_losses();
        self.snapshot()?;
        reported
    }

    fn snapshot(&self) -> Result<()> {
        let Some(keeper) = self.keeper else { return Ok(()) };
        let best = self.stopping.as_ref().and_then(|stopping| stopping.best.as_ref());
        keeper.keep(Snapshot {
            position: self.position.clone(),
            parameters: self.parameters.copy()?,
            optimizer: self.optimizer.state()?,
            best: best.map(|best| best.parameters.clone()),
        });
        Ok(())
    }

    /// What was trained.
    pub(super) fn end(mut self) -> Result<Trained> {
        let steps = self.position.step;
        let spent = self.position.spent + self.position.epoch_time;
        let mut validation_accuracy = self.position.validation_accuracy.map(f64::from);
        if let Some(best) = self.stopping.and_then(|stopping| stopping.best) {
            (self.report)(Event::Kept { epoch: best.epoch, validation_accuracy: best.validation_accuracy })?;
            self.parameters.set(&best.parameters)?;
            validation_accuracy = Some(best.validation_accuracy);
        }
        Ok(Trained {
            model: self.model,
            images_per_second: (steps * self.plan.batch_size) as f64 / spent.as_secs_f64(),
            steps,
            profile: self.profile,
            validation_accuracy,
        })
    }
}

/// The order of an epoch's images, which depends on seed and epoch alone.
pub(super) fn order(count: usize, seed: u64, epoch: usize) -> Vec<i64> {
    let mut order: Vec<i64> = (0..count as i64).collect();
    let mut random = SplitMix64::new(seed);
    let seed = random.next_u64() ^ epoch as u64;
    SplitMix64::new(seed).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_step_is_no_hang_and_the_first_one_says_nothing() {
        let mut pace = Pace::default();
        assert_eq!(pace.limit(), COLLECTIVE_TIMEOUT);
        pace.took(Duration::from_secs(200));
        assert_eq!(pace.limit(), COLLECTIVE_TIMEOUT);
        pace.took(Duration::from_millis(5));
        assert_eq!(pace.limit(), STEP_TIMEOUT);
        pace.took(Duration::from_secs(3));
        pace.took(Duration::from_millis(5));
        assert_eq!(pace.limit(), Duration::from_secs(60));
        pace.took(Duration::from_secs(30));
        assert_eq!(pace.limit(), COLLECTIVE_TIMEOUT);
    }
}
