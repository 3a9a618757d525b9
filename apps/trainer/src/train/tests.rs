//! Training on synthetic images.

use slipway_model::Architecture;

use super::course::order;
use super::*;
use crate::schedule::Decay;
use crate::synthetic::{synthetic, synthetic_of};

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
        let trained = train(&plan(architecture), &data, &held_out, &alone(), (None, None), |event| {
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
    let error = train(&plan, &data, &data, &alone(), (None, None), |_| Ok(())).unwrap_err();
    assert!(matches!(error, Failure::Gate(_)), "{error}");
}

#[test]
fn batches_that_cannot_be_shared_are_refused() {
    let data = synthetic(20, 1).unwrap();
    let error = train(&plan(Architecture::Mlp), &data, &data, &alone(), (None, None), |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("training.batchSize"), "{error}");
    let three = Workers { rank: 0, world_size: 3, group: None, rank_0: None };
    assert!(train(&plan(Architecture::Mlp), &data, &data, &three, (None, None), |_| Ok(())).is_err());
}

/// A plan without dropout.
fn repeatable(architecture: Architecture) -> Plan {
    Plan { model: Config::mnist(architecture, 0.0), ..plan(architecture) }
}

/// Accuracies after each epoch, the weights in the end and what was kept.
fn outcome(plan: &Plan, data: &Images, held_out: &Images) -> (Vec<f64>, Trained, Option<usize>) {
    let (mut accuracies, mut kept) = (Vec::new(), None);
    let trained = train(plan, data, held_out, &alone(), (None, None), |event| {
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
    let error = train(&plan, &data, &data, &alone(), (None, None), |_| Ok(())).unwrap_err();
    assert!(matches!(error, Failure::Input(_)) && error.to_string().contains("8x8 pixels"), "{error}");
}

#[test]
fn the_order_depends_on_seed_and_epoch() {
    let order = |seed, epoch| order(100, seed, epoch);
    assert_eq!(order(7, 1), order(7, 1));
    assert_ne!(order(7, 1), order(7, 2));
    assert_ne!(order(7, 1), order(8, 1));
    let mut sorted = order(7, 1);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<_>>());
}

/// Takes a snapshot after every step.
#[derive(Default)]
struct Every(std::cell::RefCell<Vec<Snapshot>>);

impl Keep for Every {
    fn is_due(&self) -> Result<bool> {
        Ok(true)
    }

    fn keep(&self, snapshot: Snapshot) {
        // as it is stored
        let (snapshot, _) = Snapshot::decode(&snapshot.encode(None).unwrap()).unwrap();
        self.0.borrow_mut().push(snapshot);
    }
}

/// What a training says: step and loss, epoch and accuracy, and what was kept.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    losses: Vec<(usize, f64)>,
    epochs: Vec<(usize, f64)>,
    kept: Option<usize>,
}

fn course(
    plan: &Plan,
    resumed: Option<Snapshot>,
    keeper: &dyn Keep,
    [data, held_out]: &[Images; 2],
) -> (Trained, Said) {
    let mut said = Said::default();
    let trained = train(plan, data, held_out, &alone(), (resumed, Some(keeper)), |event| {
        match event {
            Event::Losses(losses) => said.losses.extend(losses.into_iter().map(|(step, _, loss)| (step, loss))),
            Event::Epoch { epoch, validation_accuracy, .. } => said.epochs.push((epoch, validation_accuracy)),
            Event::Kept { epoch, .. } => said.kept = Some(epoch),
            Event::Step { .. } => {}
        }
        Ok(())
    });
    (trained.unwrap(), said)
}

/// From each boundary of a step: within an epoch, before and after its evaluation, and at the end.
#[test]
fn a_training_that_goes_on_ends_with_the_same_bits() {
    let data = [synthetic(325, 1).unwrap(), synthetic(100, 2).unwrap()];
    let plain = Plan { epochs: 3, ..repeatable(Architecture::Mlp) };
    let sgd = Algorithm::Sgd { momentum: 0.9, weight_decay: 5e-4 };
    let decay = Decay::Cosine;
    let plans = [
        Plan { optimizer: sgd, learning_rate: 0.02, schedule: Schedule { warmup_epochs: 1, decay }, ..plain.clone() },
        Plan { augmentation: Some(Augmentation { shift: 1, rotation: 5.0 }), max_steps: Some(25), ..plain.clone() },
        Plan { model: Config::mnist(Architecture::Cnn, 0.25), max_steps: Some(15), ..plain.clone() },
        // it stops early
        Plan { patience: Some(1), epochs: 9, ..plain },
    ];
    for plan in plans {
        let all = Every::default();
        let (whole, said) = course(&plan, None, &all, &data);
        let steps = whole.steps;
        assert_eq!(said.losses.iter().map(|(step, _)| *step).collect::<Vec<_>>(), (0..steps).collect::<Vec<_>>());
        let all = all.0.into_inner();
        assert_eq!(all.len(), steps + 1, "one after each step, and one of the end");
        for at in [0, 3, 8, 9, 10, steps - 1, steps] {
            let (before, from) = (all[at].position.clone(), all[at].clone());
            let (trained, rest) = course(&plan, Some(from), &Every::default(), &data);
            assert!(same_weights(&trained.model, &whole.model), "from {before:?}: {plan:?}");
            assert_eq!((trained.steps, trained.validation_accuracy), (steps, whole.validation_accuracy), "{before:?}");
            let left: Vec<_> = said.losses.iter().filter(|(step, _)| *step >= before.step).copied().collect();
            let evaluated: Vec<_> = said.epochs.iter().filter(|(epoch, _)| *epoch >= before.epoch).copied().collect();
            assert_eq!(rest, Said { losses: left, epochs: evaluated, kept: said.kept }, "{before:?}");
        }
    }
}

#[test]
fn an_evaluation_does_not_put_checkpoints_off() {
    // an evaluation of three batches, so twice between two of them
    let data = [synthetic(320, 1).unwrap(), synthetic(501, 2).unwrap()];
    let plan = repeatable(Architecture::Mlp);
    let all = Every::default();
    let (whole, said) = course(&plan, None, &all, &data);
    let all = all.0.into_inner();
    let places: Vec<_> = all.iter().map(|snapshot| (snapshot.position.epoch, snapshot.position.in_epoch)).collect();
    assert_eq!(places[9..], [(0, 10), (0, 10), (0, 10), (1, 0)]);
    let (trained, rest) = course(&plan, Some(all[11].clone()), &Every::default(), &data);
    assert!(same_weights(&trained.model, &whole.model));
    assert_eq!((rest.losses, rest.epochs), (Vec::new(), said.epochs));
}

/// It loses another worker in its third step, and cannot report that step either.
#[test]
fn what_is_done_is_kept_although_it_cannot_be_reported() {
    let data = [synthetic(320, 1).unwrap(), synthetic(100, 2).unwrap()];
    let kept = Every::default();
    let keeper: Option<&dyn Keep> = Some(&kept);
    let error =
        train(&repeatable(Architecture::Mlp), &data[0], &data[1], &alone(), (None, keeper), |event| match event {
            Event::Step { done: 3, .. } => Err(Failure::Peer("lost".to_owned())),
            Event::Losses(losses) if losses[0].0 == 2 => Err(Failure::Unexpected("MLflow".to_owned())),
            _ => Ok(()),
        });
    assert!(matches!(error.unwrap_err(), Failure::Peer(_)));
    assert_eq!(kept.0.into_inner().last().unwrap().position.step, 3);
}

#[test]
fn the_snapshot_of_another_trial_is_set_aside() {
    let data = [synthetic(320, 1).unwrap(), synthetic(100, 2).unwrap()];
    let all = Every::default();
    course(&repeatable(Architecture::Mlp), None, &all, &data);
    let snapshot = all.0.into_inner().remove(0);
    let plan = repeatable(Architecture::Cnn);
    let (afresh, said) = course(&plan, None, &Every::default(), &data);
    let (trained, rest) = course(&plan, Some(snapshot), &Every::default(), &data);
    assert!(same_weights(&trained.model, &afresh.model) && said == rest, "{rest:?}");
}
