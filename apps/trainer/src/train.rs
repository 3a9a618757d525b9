//! The training loop.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use slipway_c10d::{Reducer, ReducerConfig, zero_grad};
use slipway_model::{Config, Model, SplitMix64};
use tch::{Reduction, Tensor};

use crate::evaluate;
use crate::failure::{Failure, Result};
use crate::images::Images;
use crate::workers::Workers;

/// What is trained, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) model: Config,
    pub(crate) epochs: usize,
    /// Images in one step, across all workers.
    pub(crate) batch_size: usize,
    pub(crate) optimizer: Optimizer,
    pub(crate) seed: u64,
    /// If set, training stops after this many steps.
    pub(crate) max_steps: Option<usize>,
}

/// The optimizer and its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Optimizer {
    /// Kingma and Ba, 2015, with their defaults except for the learning rate.
    Adam { learning_rate: f64 },
    /// Stochastic gradient descent with momentum.
    Sgd { learning_rate: f64, momentum: f64 },
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
}

/// A trained model.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) model: Model,
    /// Training images per second, over all workers; the time of evaluation is not counted.
    pub(crate) images_per_second: f64,
    pub(crate) steps: usize,
    /// Accuracy on the validation split after the last epoch; `None` if no step was made.
    pub(crate) validation_accuracy: Option<f64>,
}

/// Losses are exchanged and reported at the latest after this many steps.
const STEPS_BETWEEN_LOSSES: usize = 100;

impl Plan {
    /// Images of one step on one worker.
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
        Ok(self.batch_size / workers.world_size)
    }
}

/// Trains on all workers at once; each calls this with the same plan and data.
///
/// Every worker shuffles alike, by seed and epoch, and takes its slice of each global batch, so that the number of workers
/// does not change what is learned. The last batch is left out if it is smaller.
pub(crate) fn train(
    plan: &Plan,
    train: &Images,
    validation: &Images,
    workers: &Workers,
    mut report: impl FnMut(Event) -> Result<()>,
) -> Result<Trained> {
    let local = plan.local_batch(workers, train)?;
    let model = Model::new(&plan.model, plan.seed)?;
    // masks of dropout differ from worker to worker, as they do from image to image
    tch::manual_seed(SplitMix64::new(plan.seed ^ ((workers.rank as u64) << 32)).next_u64() as i64);
    let parameters = model.named_parameters();
    let mut optimizer = optimizer(plan.optimizer, &parameters)?;
    let reducer = match &workers.group {
        Some(group) => Some(Reducer::new(group, &parameters, ReducerConfig::default())?),
        None => None,
    };

    let of = plan.epochs.saturating_mul(train.count / plan.batch_size).min(plan.max_steps.unwrap_or(usize::MAX));
    let mut order: Vec<i64> = (0..train.count as i64).collect();
    let mut spent = Duration::ZERO;
    let mut step = 0;
    let mut last_accuracy = None;
    for epoch in 0..plan.epochs {
        shuffle(&mut order, plan.seed, epoch);
        let begun = Instant::now();
        let mut done = 0;
        let mut losses = Losses::default();
        for batch in order.chunks_exact(plan.batch_size) {
            if plan.max_steps.is_some_and(|most| step >= most) {
                break;
            }
            let (images, labels) = train.at(&batch[workers.rank * local..(workers.rank + 1) * local])?;
            if let Some(reducer) = &reducer {
                reducer.prepare_forward()?;
            }
            let logits = model.forward_logits(&images, true)?;
            let loss = logits.f_cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)?;
            drop(logits);
            if let Some(reducer) = &reducer {
                reducer.prepare_backward()?;
            }
            zero_grad(&parameters)?;
            loss.f_backward()?;
            optimizer.step()?;
            losses.push(step, loss.f_double_value(&[])?);
            step += 1;
            done += 1;
            report(Event::Step { done: step, of })?;
            if losses.len() == STEPS_BETWEEN_LOSSES {
                report(losses.take(workers)?)?;
            }
        }
        if losses.len() > 0 {
            report(losses.take(workers)?)?;
        }
        let took = begun.elapsed();
        spent += took;
        if done == 0 {
            break;
        }
        let validation_accuracy = evaluate::accuracy(&model, validation, workers)?;
        last_accuracy = Some(validation_accuracy);
        let images_per_second = (done * plan.batch_size) as f64 / took.as_secs_f64();
        report(Event::Epoch { epoch, validation_accuracy, images_per_second })?;
    }
    let images_per_second = (step * plan.batch_size) as f64 / spent.as_secs_f64();
    Ok(Trained { model, images_per_second, steps: step, validation_accuracy: last_accuracy })
}

/// Sets `order` to the order of an epoch's images, which depends on seed and epoch alone.
fn shuffle(order: &mut [i64], seed: u64, epoch: usize) {
    for (i, index) in order.iter_mut().enumerate() {
        *index = i as i64;
    }
    let mut random = SplitMix64::new(seed);
    let seed = random.next_u64() ^ epoch as u64;
    SplitMix64::new(seed).shuffle(order);
}

fn optimizer(kind: Optimizer, parameters: &[(String, Tensor)]) -> Result<slipway_c10d::Optimizer> {
    Ok(match kind {
        Optimizer::Adam { learning_rate } => slipway_c10d::Optimizer::adam(parameters, learning_rate)?,
        Optimizer::Sgd { learning_rate, momentum } => {
            slipway_c10d::Optimizer::sgd(parameters, learning_rate, momentum)?
        }
    })
}

/// Losses of this worker that were not exchanged yet. They are exchanged for many steps at once, so that no step is delayed.
#[derive(Default)]
struct Losses {
    steps: Vec<(usize, i64)>,
    local: Vec<f64>,
}

impl Losses {
    fn push(&mut self, step: usize, loss: f64) {
        self.steps.push((step, now_ms()));
        self.local.push(loss);
    }

    fn len(&self) -> usize {
        self.local.len()
    }

    fn take(&mut self, workers: &Workers) -> Result<Event> {
        let means = workers.mean(&std::mem::take(&mut self.local))?;
        let losses: Vec<_> = std::mem::take(&mut self.steps)
            .into_iter()
            .zip(means)
            .map(|((step, time), loss)| (step, time, loss))
            .collect();
        if let Some((step, _, loss)) = losses.iter().find(|(_, _, loss)| !loss.is_finite()) {
            return Err(Failure::Gate(format!(
                "the loss is {loss} at step {step}, so no metric of this trial can be trusted and nothing is registered: \
                 lower training.optimizer.learningRate"
            )));
        }
        Ok(Event::Losses(losses))
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Synthetic images for tests and benchmarks: each class is a bright block at its own place, with noise over it.
pub(crate) fn synthetic(count: usize, seed: u64) -> Result<Images> {
    let mut random = SplitMix64::new(seed);
    let mut pixels = Vec::with_capacity(count * 784);
    let mut labels = Vec::with_capacity(count);
    for _ in 0..count {
        let label = (random.next_u64() % 10) as u8;
        let (row, column) = (4 + 10 * usize::from(label / 5), 2 + 5 * usize::from(label % 5));
        for y in 0..28 {
            for x in 0..28 {
                let ink = if (row..row + 8).contains(&y) && (column..column + 4).contains(&x) { 160 } else { 0 };
                pixels.push(ink + (random.next_u64() % 80) as u8);
            }
        }
        labels.push(label);
    }
    Images::new(&pixels, &labels, [28, 28], 10)
}

#[cfg(test)]
mod tests {
    use slipway_model::Architecture;

    use super::*;

    fn alone() -> Workers {
        Workers { rank: 0, world_size: 1, group: None, rank_0: None }
    }

    fn plan(architecture: Architecture) -> Plan {
        Plan {
            model: Config::mnist(architecture, 0.25),
            epochs: 1,
            batch_size: 32,
            optimizer: Optimizer::Adam { learning_rate: 1e-3 },
            seed: 7,
            max_steps: None,
        }
    }

    #[test]
    fn it_learns_and_reports() {
        let (data, held_out) = (synthetic(1_000, 1).unwrap(), synthetic(200, 2).unwrap());
        for &(_, architecture) in Architecture::WORDS {
            let (mut steps, mut losses) = (Vec::new(), Vec::new());
            let mut accuracy = 0.0;
            let trained = train(&plan(architecture), &data, &held_out, &alone(), |event| {
                match event {
                    Event::Losses(more) => losses.extend(more),
                    Event::Epoch { validation_accuracy, .. } => accuracy = validation_accuracy,
                    Event::Step { done, of } => steps.push((done, of)),
                }
                Ok(())
            })
            .unwrap();
            assert_eq!((trained.steps, losses.len()), (31, 31), "the last 8 images are left out");
            assert_eq!(steps, (1..=31).map(|done| (done, 31)).collect::<Vec<_>>());
            assert!(accuracy > 0.9, "{architecture}: {accuracy}");
        }
    }

    #[test]
    fn a_diverging_trial_fails_its_gate() {
        let data = synthetic(320, 1).unwrap();
        let plan = Plan { optimizer: Optimizer::Sgd { learning_rate: 1e30, momentum: 0.9 }, ..plan(Architecture::Mlp) };
        let error = train(&plan, &data, &data, &alone(), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Failure::Gate(_)), "{error}");
    }

    #[test]
    fn batches_that_cannot_be_shared_are_refused() {
        let data = synthetic(20, 1).unwrap();
        let error = train(&plan(Architecture::Mlp), &data, &data, &alone(), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("training.batchSize"), "{error}");
        let three = Workers { rank: 0, world_size: 3, group: None, rank_0: None };
        assert!(train(&plan(Architecture::Mlp), &data, &data, &three, |_| Ok(())).is_err());
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch() {
        let order = |seed, epoch| {
            let mut order = vec![0; 100];
            shuffle(&mut order, seed, epoch);
            order
        };
        assert_eq!(order(7, 1), order(7, 1));
        assert_ne!(order(7, 1), order(7, 2));
        assert_ne!(order(7, 1), order(8, 1));
        let mut sorted = order(7, 1);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }
}
