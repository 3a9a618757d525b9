//! The training loop.

use std::time::{Duration, Instant};

use slipway_c10d::{Algorithm, Optimizer, Parameters};
use slipway_job::now_ms;
use slipway_model::{Config, Model, SplitMix64};
use tch::{Reduction, Tensor};

use crate::augment::Augmentation;
use crate::early_stopping::{Best, EarlyStopping};
use crate::evaluate;
use crate::failure::{Failure, Result};
use crate::images::Images;
use crate::profile::{Part, Profile};
use crate::schedule::Schedule;
use crate::workers::Workers;

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

/// Losses are exchanged and reported at the latest after this many steps.
const STEPS_BETWEEN_LOSSES: usize = 100;

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
    let mut parameters = Parameters::flatten(&model.named_parameters())?;
    workers.start_alike(&mut parameters)?;
    let mut optimizer = Optimizer::new(plan.optimizer, &parameters)?;

    let steps_per_epoch = train.count / plan.batch_size;
    let of = plan.epochs.saturating_mul(steps_per_epoch).min(plan.max_steps.unwrap_or(usize::MAX));
    let mut order: Vec<i64> = (0..train.count as i64).collect();
    let mut spent = Duration::ZERO;
    let mut profile = Profile::new();
    let mut step = 0;
    let mut last_accuracy = None;
    let mut stopping = plan.patience.map(EarlyStopping::new);
    for epoch in 0..plan.epochs {
        shuffle(&mut order, plan.seed, epoch);
        let augmentation = plan.augmentation.map(|augmentation| augmentation.of_epoch(plan.seed, epoch));
        let begun = Instant::now();
        let mut done = 0;
        let mut losses = Losses::default();
        for batch in order.chunks_exact(plan.batch_size) {
            if plan.max_steps.is_some_and(|most| step >= most) {
                break;
            }
            profile.begin();
            let own = &batch[workers.rank * local..(workers.rank + 1) * local];
            let (images, labels) = match &augmentation {
                Some(augmentation) => train.augmented_at(own, augmentation)?,
                None => train.at(own)?,
            };
            profile.done(Part::Data);
            let logits = model.forward_logits(&images, true)?;
            let loss = logits.f_cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Mean, -100, 0.0)?;
            drop(logits);
            profile.done(Part::Forward);
            loss.f_backward()?;
            parameters.take_gradients()?;
            profile.done(Part::Backward);
            workers.average(&mut parameters)?;
            profile.done(Part::Exchange);
            let rate = plan.learning_rate * plan.schedule.share(step, steps_per_epoch, plan.epochs);
            optimizer.step(&mut parameters, rate)?;
            profile.done(Part::Optimizer);
            losses.push(step, loss.f_double_value(&[])?);
            step += 1;
            done += 1;
            report(Event::Step { done: step, of })?;
            if losses.len() == STEPS_BETWEEN_LOSSES {
                report(losses.take(workers)?)?;
            }
            profile.done(Part::Telling);
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
        // all workers have the same accuracy, so they decide alike
        if let Some(stopping) = &mut stopping
            && stopping.is_over(epoch, validation_accuracy, &model)?
        {
            break;
        }
    }
    let images_per_second = (step * plan.batch_size) as f64 / spent.as_secs_f64();
    let last = Trained { model, images_per_second, steps: step, profile, validation_accuracy: last_accuracy };
    match stopping.and_then(EarlyStopping::best) {
        Some(Best { epoch, validation_accuracy, model }) => {
            report(Event::Kept { epoch, validation_accuracy })?;
            Ok(Trained { model, validation_accuracy: Some(validation_accuracy), ..last })
        }
        None => Ok(last),
    }
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

/// Synthetic images of MNIST's shape for tests and benchmarks.
pub(crate) fn synthetic(count: usize, seed: u64) -> Result<Images> {
    synthetic_of(count, seed, 28)
}

/// Synthetic square images: each of ten classes is a bright block at its own place, with noise over it.
pub(crate) fn synthetic_of(count: usize, seed: u64, side: usize) -> Result<Images> {
    let mut random = SplitMix64::new(seed);
    let mut pixels = Vec::with_capacity(count * side * side);
    let mut labels = Vec::with_capacity(count);
    let scaled = |pixels: usize| pixels * side / 28;
    for _ in 0..count {
        let label = (random.next_u64() % 10) as u8;
        let (row, column) = (4 + 10 * usize::from(label / 5), 2 + 5 * usize::from(label % 5));
        let (rows, columns) = (scaled(row)..scaled(row + 8), scaled(column)..scaled(column + 4));
        for y in 0..side {
            for x in 0..side {
                let ink = if rows.contains(&y) && columns.contains(&x) { 160 } else { 0 };
                pixels.push(ink + (random.next_u64() % 80) as u8);
            }
        }
        labels.push(label);
    }
    Images::new(&pixels, &labels, [side, side], 10)
}

#[cfg(test)]
mod tests {
    use slipway_model::Architecture;

    use super::*;
    use crate::schedule::Decay;

    fn alone() -> Workers {
        Workers { rank: 0, world_size: 1, group: None, rank_0: None }
    }

    fn plan(architecture: Architecture) -> Plan {
        Plan {
            model: Config::mnist(architecture, 0.25),
            epochs: 1,
            batch_size: 32,
            optimizer: Algorithm::Adam { weight_decay: 0.0 },
            learning_rate: 1e-3,
            schedule: Schedule::CONSTANT,
            augmentation: None,
            patience: None,
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
                    Event::Kept { .. } => panic!("without a patience, the last weights are kept"),
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
        let optimizer = Algorithm::Sgd { momentum: 0.9, weight_decay: 0.0 };
        let plan = Plan { optimizer, learning_rate: 1e30, ..plan(Architecture::Mlp) };
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

    /// A plan without dropout, whose masks come from a generator that all tests of this process share.
    fn repeatable(architecture: Architecture) -> Plan {
        Plan { model: Config::mnist(architecture, 0.0), ..plan(architecture) }
    }

    /// Accuracies after each epoch, the weights in the end and what was kept.
    fn outcome(plan: &Plan, data: &Images, held_out: &Images) -> (Vec<f64>, Trained, Option<usize>) {
        let (mut accuracies, mut kept) = (Vec::new(), None);
        let trained = train(plan, data, held_out, &alone(), |event| {
            match event {
                Event::Epoch { validation_accuracy, .. } => accuracies.push(validation_accuracy),
                Event::Kept { epoch, .. } => kept = Some(epoch),
                Event::Step { .. } | Event::Losses(_) => {}
            }
            Ok(())
        })
        .unwrap();
        (accuracies, trained, kept)
    }

    fn same_weights(a: &Model, b: &Model) -> bool {
        a.named_parameters().iter().zip(&b.named_parameters()).all(|((_, a), (_, b))| a.equal(b))
    }

    #[test]
    fn every_optimizer_and_schedule_learns_and_does_so_alike_when_repeated() {
        let (data, held_out) = (synthetic(1_000, 1).unwrap(), synthetic(200, 2).unwrap());
        let sgd = Plan {
            optimizer: Algorithm::Sgd { momentum: 0.9, weight_decay: 5e-4 },
            learning_rate: 0.02,
            epochs: 2,
            ..repeatable(Architecture::Mlp)
        };
        let adam = Plan { optimizer: Algorithm::Adam { weight_decay: 1e-4 }, learning_rate: 1e-3, ..sgd.clone() };
        let adamw = Plan { optimizer: Algorithm::AdamW { weight_decay: 0.01 }, ..adam.clone() };
        let scheduled = |warmup_epochs, decay| Plan { schedule: Schedule { warmup_epochs, decay }, ..sgd.clone() };
        let step = Decay::Step { every: 1, factor: 0.1 };
        let augmentation = Some(Augmentation { shift: 1, rotation: 5.0 });
        let plans = [
            sgd.clone(),
            adam,
            adamw,
            scheduled(1, Decay::None),
            scheduled(0, Decay::Cosine),
            scheduled(1, Decay::Cosine),
            scheduled(0, step),
            Plan { augmentation, ..sgd.clone() },
        ];
        let mut weights: Vec<Model> = Vec::new();
        for plan in plans {
            let (accuracies, trained, _) = outcome(&plan, &data, &held_out);
            assert!(accuracies[1] > 0.9, "{plan:?}: {accuracies:?}");
            let (again, repeated, _) = outcome(&plan, &data, &held_out);
            assert!(accuracies == again && same_weights(&trained.model, &repeated.model), "{plan:?}");
            assert!(weights.iter().all(|other| !same_weights(other, &trained.model)), "no effect: {plan:?}");
            weights.push(trained.model);
        }
    }

    #[test]
    fn every_network_learns_images_of_eight_by_eight() {
        let (data, held_out) = (synthetic_of(1_000, 1, 8).unwrap(), synthetic_of(200, 2, 8).unwrap());
        for &(_, architecture) in Architecture::WORDS {
            let model = Config { input: [1, 8, 8], ..Config::mnist(architecture, 0.0) };
            let plan = Plan { model, epochs: 3, learning_rate: 3e-3, ..plan(architecture) };
            let (accuracies, _, _) = outcome(&plan, &data, &held_out);
            assert!(accuracies[2] > 0.9, "{architecture}: {accuracies:?}");
        }
    }

    #[test]
    fn training_stops_early_and_keeps_the_best_weights() {
        let (data, held_out) = (synthetic(320, 1).unwrap(), synthetic(100, 2).unwrap());
        let whole = Plan { epochs: 12, ..repeatable(Architecture::Mlp) };
        let (all, _, kept) = outcome(&whole, &data, &held_out);
        assert_eq!((all.len(), kept), (12, None));
        let best = all.iter().copied().fold(0.0, f64::max);
        let first = all.iter().position(|accuracy| *accuracy == best).unwrap();
        assert!(first + 2 < 11, "there is something to stop: {all:?}");

        let stopping = Plan { patience: Some(2), ..whole.clone() };
        let (accuracies, trained, kept) = outcome(&stopping, &data, &held_out);
        assert_eq!((accuracies.as_slice(), kept), (&all[..first + 3], Some(first)));
        assert_eq!((trained.steps, trained.validation_accuracy), ((first + 3) * 10, Some(best)));
        // the weights are those of a training that ended with this epoch
        let (_, shorter, _) = outcome(&Plan { epochs: first + 1, ..whole }, &data, &held_out);
        assert!(same_weights(&trained.model, &shorter.model));
    }

    #[test]
    fn a_shift_beyond_the_image_is_refused() {
        let data = synthetic_of(320, 1, 8).unwrap();
        let model = Config { input: [1, 8, 8], ..Config::mnist(Architecture::Mlp, 0.0) };
        let augmentation = Some(Augmentation { shift: 8, rotation: 0.0 });
        let plan = Plan { model, augmentation, ..plan(Architecture::Mlp) };
        let error = train(&plan, &data, &data, &alone(), |_| Ok(())).unwrap_err();
        assert!(matches!(error, Failure::Input(_)) && error.to_string().contains("8x8 pixels"), "{error}");
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
