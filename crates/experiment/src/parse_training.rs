//! Reads `spec.model` and `spec.training`, and checks what spans several of their fields.

use slipway_source::{Node, Position, Value};

use crate::fields;
use crate::grid::Grid;
use crate::parse::optional;
use crate::reader::{Fields, Reader};
use crate::{Augmentation, EarlyStopping, Model, Optimizer, OptimizerName, Schedule, ScheduleName, Setting, Training};

/// A value with the position where it is written.
type At<T> = (T, Position);

pub(crate) fn model(reader: &Reader<'_>, node: &Node) -> Option<Model> {
    let map = reader.map(node, "spec.model", &["architecture", "dropout"])?;
    let architecture = reader
        .required(&map, "architecture")
        .and_then(|node| fields::architecture(reader, node, "spec.model.architecture"));
    let dropout = optional(&map, "dropout", |node| fields::dropout(reader, node, "spec.model.dropout"));
    Some(Model { architecture: architecture?, dropout: dropout? })
}

/// `spec.training` as far as it could be read.
#[derive(Default)]
pub(crate) struct TrainingParts {
    epochs: Option<At<u32>>,
    pub(crate) batch_size: Option<At<u32>>,
    optimizer: OptimizerParts,
    seed: Option<u64>,
    schedule: Option<Option<ScheduleParts>>,
    augmentation: Option<Option<Augmentation>>,
    early_stopping: Option<Option<EarlyStopping>>,
}

impl TrainingParts {
    pub(crate) fn whole(&self) -> Option<Training> {
        Some(Training {
            epochs: self.epochs?.0,
            batch_size: self.batch_size?.0,
            optimizer: self.optimizer.whole()?,
            seed: self.seed?,
            schedule: match self.schedule? {
                Some(parts) => Some(parts.whole()?),
                None => None,
            },
            augmentation: self.augmentation?,
            early_stopping: self.early_stopping?,
        })
    }
}

pub(crate) fn training(reader: &Reader<'_>, node: &Node) -> TrainingParts {
    let allowed = ["epochs", "batchSize", "optimizer", "seed", "schedule", "augmentation", "earlyStopping"];
    let Some(map) = reader.map(node, "spec.training", &allowed) else {
        return TrainingParts::default();
    };
    TrainingParts {
        epochs: required(reader, &map, "epochs", fields::epochs),
        batch_size: required(reader, &map, "batchSize", fields::batch_size),
        optimizer: reader.required(&map, "optimizer").map(|node| optimizer(reader, node)).unwrap_or_default(),
        seed: required(reader, &map, "seed", fields::seed).map(|(seed, _)| seed),
        schedule: optional(&map, "schedule", |node| schedule(reader, node)),
        augmentation: optional(&map, "augmentation", |node| augmentation(reader, node)),
        early_stopping: optional(&map, "earlyStopping", |node| early_stopping(reader, node)),
    }
}

/// `spec.training.optimizer` as far as it could be read.
#[derive(Default)]
struct OptimizerParts {
    name: Option<At<OptimizerName>>,
    learning_rate: Option<At<f64>>,
    momentum: Option<Option<At<f64>>>,
    weight_decay: Option<Option<At<f64>>>,
}

impl OptimizerParts {
    fn whole(&self) -> Option<Optimizer> {
        Some(Optimizer {
            name: self.name?.0,
            learning_rate: self.learning_rate?.0,
            momentum: value(self.momentum?),
            weight_decay: value(self.weight_decay?),
        })
    }
}

fn optimizer(reader: &Reader<'_>, node: &Node) -> OptimizerParts {
    let allowed = ["name", "learningRate", "momentum", "weightDecay"];
    let Some(map) = reader.map(node, "spec.training.optimizer", &allowed) else {
        return OptimizerParts::default();
    };
    OptimizerParts {
        name: required(reader, &map, "name", fields::optimizer_name),
        learning_rate: required(reader, &map, "learningRate", fields::learning_rate),
        momentum: maybe(reader, &map, "momentum", fields::momentum),
        weight_decay: maybe(reader, &map, "weightDecay", fields::weight_decay),
    }
}

/// `spec.training.schedule` as far as it could be read.
#[derive(Clone, Copy)]
struct ScheduleParts {
    name: Option<At<ScheduleName>>,
    warmup_epochs: Option<Option<At<u32>>>,
    every: Option<Option<At<u32>>>,
    factor: Option<Option<At<f64>>>,
}

impl ScheduleParts {
    fn whole(&self) -> Option<Schedule> {
        Some(Schedule {
            name: self.name?.0,
            warmup_epochs: value(self.warmup_epochs?),
            every: value(self.every?),
            factor: value(self.factor?),
        })
    }
}

fn schedule(reader: &Reader<'_>, node: &Node) -> Option<ScheduleParts> {
    let map = reader.map(node, "spec.training.schedule", &["name", "warmupEpochs", "every", "factor"])?;
    Some(ScheduleParts {
        name: required(reader, &map, "name", fields::schedule_name),
        warmup_epochs: maybe(reader, &map, "warmupEpochs", fields::warmup_epochs),
        every: maybe(reader, &map, "every", fields::every),
        factor: maybe(reader, &map, "factor", fields::factor),
    })
}

fn augmentation(reader: &Reader<'_>, node: &Node) -> Option<Augmentation> {
    const PATH: &str = "spec.training.augmentation";
    let map = reader.map(node, PATH, &["shift", "rotation"])?;
    let shift = maybe(reader, &map, "shift", fields::shift);
    let rotation = maybe(reader, &map, "rotation", fields::rotation);
    if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
        let help = "give `shift` in pixels or `rotation` in degrees, or remove the field";
        reader.add(node.at, "missing-field", format!("{PATH} changes nothing"), help);
        return None;
    }
    Some(Augmentation { shift: value(shift?), rotation: value(rotation?) })
}

fn early_stopping(reader: &Reader<'_>, node: &Node) -> Option<EarlyStopping> {
    let map = reader.map(node, "spec.training.earlyStopping", &["patience"])?;
    let (patience, _) = required(reader, &map, "patience", fields::patience)?;
    Some(EarlyStopping { patience })
}

/// A function of [`fields`].
type Read<T> = fn(&Reader<'_>, &Node, &str) -> Option<T>;

/// A field that must be present, with its position.
fn required<T>(reader: &Reader<'_>, map: &Fields<'_>, name: &'static str, read: Read<T>) -> Option<At<T>> {
    let node = reader.required(map, name)?;
    Some((read(reader, node, &map.at(name))?, node.at))
}

/// A field that may be absent, with its position. `None` if it is present and wrong.
fn maybe<T>(reader: &Reader<'_>, map: &Fields<'_>, name: &str, read: Read<T>) -> Option<Option<At<T>>> {
    optional(map, name, |node| Some((read(reader, node, &map.at(name))?, node.at)))
}

fn value<T>(at: Option<At<T>>) -> Option<T> {
    at.map(|(value, _)| value)
}

/// The checks that span several fields, over all values of a sweep. Each runs if the fields that it needs could be read.
pub(crate) fn check(reader: &Reader<'_>, training: &TrainingParts, grid: &Grid) {
    check_momentum(reader, &training.optimizer, grid);
    if let Some(schedule) = training.schedule {
        check_step(reader, schedule, grid);
        check_warmup(reader, training.epochs, schedule, grid);
    }
}

fn check_momentum(reader: &Reader<'_>, optimizer: &OptimizerParts, grid: &Grid) {
    let names = grid.values("training.optimizer.name", optimizer.name, |value| match value {
        Setting::OptimizerName(name) => Some(*name),
        _ => None,
    });
    let momenta = grid.values("training.optimizer.momentum", optimizer.momentum.flatten(), |value| match value {
        Setting::Momentum(momentum) => Some(*momentum),
        _ => None,
    });
    let other = names.iter().find(|(name, _)| *name != OptimizerName::Sgd);
    if let (Some(at), Some((name, _))) = (place(&momenta), other) {
        let message = format!("momentum is a setting of sgd, and {name} has none");
        reader.add(at, "without-effect", message, "remove `momentum`, or train with `name: sgd` alone");
    }
}

/// `every` and `factor` belong to the schedule `step`, which needs both.
fn check_step(reader: &Reader<'_>, schedule: Option<ScheduleParts>, grid: &Grid) {
    let names = grid.values("training.schedule.name", schedule.and_then(|parts| parts.name), |value| match value {
        Setting::ScheduleName(name) => Some(*name),
        _ => None,
    });
    let every = grid.values("training.schedule.every", schedule.and_then(|parts| parts.every?), |value| match value {
        Setting::Every(every) => Some(*every),
        _ => None,
    });
    let factor =
        grid.values("training.schedule.factor", schedule.and_then(|parts| parts.factor?), |value| match value {
            Setting::Factor(factor) => Some(*factor),
            _ => None,
        });
    // a sweep without a schedule starts from a constant one
    let unnamed = (schedule.is_none() && names.is_empty()).then_some(ScheduleName::Constant);
    let other = names.iter().map(|(name, _)| *name).find(|name| *name != ScheduleName::Step).or(unnamed);
    let step = names.iter().find(|(name, _)| *name == ScheduleName::Step);
    let could_be_read = |field: fn(&ScheduleParts) -> bool| schedule.as_ref().is_none_or(field);
    for (field, at, is_known, example) in [
        ("every", place(&every), could_be_read(|parts| parts.every.is_some()), "add `every:`, a number of epochs"),
        ("factor", place(&factor), could_be_read(|parts| parts.factor.is_some()), "add `factor:`, such as 0.1"),
    ] {
        match (at, other, step) {
            (Some(at), Some(other), _) => {
                let message = format!("{field} is a setting of the schedule step, and {other} has none");
                reader.add(
                    at,
                    "without-effect",
                    message,
                    format!("remove `{field}`, or train with `name: step` alone"),
                );
            }
            (None, _, Some((_, at))) if is_known => {
                reader.add(*at, "missing-field", format!("the schedule step needs `{field}`"), example);
            }
            _ => {}
        }
    }
}

/// Where the first of some values is.
fn place<T>(values: &[At<T>]) -> Option<Position> {
    values.first().map(|(_, at)| *at)
}

fn check_warmup(reader: &Reader<'_>, epochs: Option<At<u32>>, schedule: Option<ScheduleParts>, grid: &Grid) {
    let own = schedule.and_then(|parts| parts.warmup_epochs?);
    let warmups = grid.values("training.schedule.warmupEpochs", own, |value| match value {
        Setting::WarmupEpochs(epochs) => Some(*epochs),
        _ => None,
    });
    let epochs = grid.values("training.epochs", epochs, |value| match value {
        Setting::Epochs(epochs) => Some(*epochs),
        _ => None,
    });
    for (warmup, warmup_at) in &warmups {
        for (count, count_at) in epochs.iter().filter(|(count, _)| warmup >= count) {
            let is_of_epochs = grid.sweeps("training.epochs") && !grid.sweeps("training.schedule.warmupEpochs");
            let at = if is_of_epochs { *count_at } else { *warmup_at };
            let message = format!("a warm-up of {warmup} epochs leaves none of {count} for the full learning rate");
            let help = format!("use a warmupEpochs of at most {}, or more epochs", count - 1);
            reader.add(at, "warmup-too-long", message, help);
        }
    }
}
