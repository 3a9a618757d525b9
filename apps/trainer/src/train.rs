//! Training: what is trained and how, what is said meanwhile, and what comes of it.

use slipway_c10d::Algorithm;
use slipway_model::{Config, Model};

use crate::augment::Augmentation;
use crate::failure::{Failure, Result};
use crate::images::Images;
use crate::profile::Profile;
use crate::schedule::Schedule;
use crate::snapshot::Snapshot;
use crate::train::course::Training;
use crate::workers::Workers;

mod course;

/// What is trained, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) model: Config,
    pub(crate) epochs: usize,
    /// Images in one step, across all workers.
    pub(crate) batch_size: usize,
    /// The optimizer and its settings, without the learning rate.
    pub(crate) optimizer: Algorithm,
    pub(crate) learning_rate: f64,
    pub(crate) schedule: Schedule,
    /// How training images are changed; the other splits are left as they are.
    pub(crate) augmentation: Option<Augmentation>,
    /// If set, training stops after so many epochs in a row without a better accuracy on the validation split, and the weights of the best
    /// epoch are kept.
    pub(crate) patience: Option<usize>,
    pub(crate) seed: u64,
    /// If set, training stops after this many steps.
    pub(crate) max_steps: Option<usize>,
}

/// An event of training. Every worker reports the same events with the same numbers.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// `done` of all `of` steps are completed.
    Step { done: usize, of: usize },
    /// Global losses of consecutive steps: (step, milliseconds since 1970, mean over the global batch).
    Losses(Vec<(usize, i64, f64)>),
    /// An epoch is over.
    Epoch { epoch: usize, validation_accuracy: f64, images_per_second: f64 },
    /// Training is over, and the weights after this epoch are kept. Reported if the plan has a patience; otherwise the last epoch's are kept.
    Kept { epoch: usize, validation_accuracy: f64 },
}

/// A trained model.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) model: Model,
    /// Training images per second, over all workers; the time of evaluation is not counted.
    pub(crate) images_per_second: f64,
    pub(crate) steps: usize,
    /// Where the time of a step went on this worker.
    pub(crate) profile: Profile,
    /// The model's accuracy on the validation split; `None` if no step was made.
    pub(crate) validation_accuracy: Option<f64>,
}

/// Takes snapshots of a training while it goes on. Rank 0 has one.
pub(crate) trait Keep {
    /// Whether one is asked for. Called after each step, so it must be quick. Fails if another attempt of the job has begun.
    fn is_due(&self) -> Result<bool>;

    /// Takes one. It must not wait until it is stored.
    fn keep(&self, snapshot: Snapshot);
}

impl Plan {
    /// Images of one step on one worker. Fails if the plan does not fit to the workers or to the data.
    fn local_batch(&self, workers: &Workers, train: &Images) -> Result<usize> {
        if !self.batch_size.is_multiple_of(workers.world_size) || self.batch_size == 0 {
            return Err(Failure::Input(format!(
                "training.batchSize is {}, which {} workers cannot share equally: use a multiple of {}",
                self.batch_size, workers.world_size, workers.world_size
            )));
        }
        if train.count < self.batch_size {
            return Err(Failure::Input(format!(
                "training.batchSize is {}, but there are only {} training images: use at most that many",
                self.batch_size, train.count
            )));
        }
        if let Some(Augmentation { shift, .. }) = self.augmentation
            && shift >= train.height.min(train.width)
        {
            return Err(Failure::Input(format!(
                "training.augmentation.shift is {shift}, but the images have {}x{} pixels, so nothing would be left of some: use less",
                train.height, train.width
            )));
        }
        Ok(self.batch_size / workers.world_size)
    }
}

/// Trains on all workers at once; each calls this with the same plan, data and `resumed`, a snapshot of an earlier attempt.
///
/// Every worker shuffles alike, by seed and epoch, and takes its slice of each global batch, so that the number of workers
/// does not change what is learned. The last batch is left out if it is smaller. With the same number of workers, a training that goes on from a
/// snapshot ends with the same weights, to the bit, as one that nothing has disturbed. A snapshot of other networks or optimizers is set aside.
pub(crate) fn train(
    plan: &Plan,
    train: &Images,
    validation: &Images,
    workers: &Workers,
    (resumed, keeper): (Option<Snapshot>, Option<&dyn Keep>),
    report: impl FnMut(Event) -> Result<()>,
) -> Result<Trained> {
    let mut training = Training::new(plan, train, validation, workers, keeper, report)?;
    if let Some(snapshot) = resumed {
        training.resume(snapshot)?;
    }
    match training.run() {
        Ok(()) => training.keep()?,
        Err(failure) => {
            // whoever lost another worker has not begun to change a parameter, so what is here is the state after the last step
            if matches!(failure, Failure::Peer(_))
                && let Err(error) = training.keep()
            {
                tracing::warn!(event = "checkpoint_incomplete", "{error}");
            }
            return Err(failure);
        }
    }
    training.end()
}

#[cfg(test)]
mod tests;
