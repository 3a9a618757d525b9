//! Reads the sweep with the positions of its values, and checks what spans several fields.

use std::collections::HashMap;

use slipway_source::{Node, Position, closest, excerpt, suggest};

use crate::name::longest_experiment_name;
use crate::reader::Reader;
use crate::{Axis, Deadline, Limits, Quantity, Setting, Sweep};
use crate::{elsewhere, fields};

/// Fields that exist but cannot be swept.
const FIXED: [&str; 8] = [
    "budget.cpuHours",
    "budget.deadline",
    "dataset",
    "environments",
    "register.model",
    "rerun",
    "workers.cpu",
    "workers.memory",
];

/// A sweep with the position of each of its values.
#[derive(Default)]
pub(crate) struct Grid {
    pub(crate) sweep: Sweep,
    positions: HashMap<&'static str, Vec<Position>>,
}

impl Grid {
    /// Reads `spec.sweep`; `None` if any part of it is wrong.
    pub(crate) fn read(reader: &Reader<'_>, node: &Node) -> Option<Self> {
        let entries =
            reader.entries(node, "spec.sweep", "give fields with lists of values, such as `training.seed: [1, 2]`")?;
        if entries.is_empty() {
            reader.add(
                node.at,
                "sweep-empty",
                "spec.sweep names no field",
                "name a field with a list of values, or remove the sweep",
            );
            return None;
        }
        let mut grid = Self::default();
        let mut whole = true;
        for entry in entries {
            let Some(field) = Setting::PATHS.into_iter().find(|path| *path == entry.key) else {
                unknown_path(reader, &entry.key, entry.key_at);
                whole = false;
                continue;
            };
            match read_axis(reader, field, &entry.value) {
                Some((axis, positions)) => {
                    grid.positions.insert(field, positions);
                    grid.sweep.axes.push(axis);
                }
                None => whole = false,
            }
        }
        grid.sweep.axes.sort_by_key(|axis| axis.path);
        whole.then_some(grid)
    }

    /// The values that a field takes over all trials, with their positions: the swept ones, otherwise `own`.
    fn values<T>(
        &self,
        field: &str,
        own: Option<(T, Position)>,
        pick: impl Fn(&Setting) -> Option<T>,
    ) -> Vec<(T, Position)> {
        match self.sweep.axes.iter().find(|axis| axis.path == field) {
            Some(axis) => axis
                .values
                .iter()
                .zip(&self.positions[axis.path])
                .filter_map(|(value, at)| Some((pick(value)?, *at)))
                .collect(),
            None => own.into_iter().collect(),
        }
    }
}

fn unknown_path(reader: &Reader<'_>, path: &str, at: Position) {
    let short = path.strip_prefix("spec.").unwrap_or(path);
    let field = elsewhere::field(short.rsplit('.').next().unwrap_or(short)).and_then(|path| path.strip_prefix("spec."));
    let fixed = FIXED.contains(&short);
    let meant = Setting::PATHS.into_iter().find(|path| Some(*path) == field);
    let meant = meant.or_else(|| closest(short, Setting::PATHS)).filter(|_| !fixed);
    let message = if fixed {
        format!("`{path}` cannot be swept")
    } else {
        format!("there is no field `{}` to sweep", excerpt(path))
    };
    reader.add(at, "sweep-path", message, suggest(meant, "can be swept", &Setting::PATHS));
}

fn read_axis(reader: &Reader<'_>, field: &'static str, node: &Node) -> Option<(Axis, Vec<Position>)> {
    let path = format!("spec.sweep.{field}");
    let nodes = reader.list(node, &path, &format!("`{field}: [...]` with at least one value"))?;
    if nodes.is_empty() {
        reader.add(
            node.at,
            "sweep-empty",
            format!("{path} has no values"),
            "give at least one value, or remove it from the sweep",
        );
        return None;
    }
    let mut axis = Axis { path: field, values: Vec::with_capacity(nodes.len()) };
    let mut positions: Vec<Position> = Vec::with_capacity(nodes.len());
    let mut seen = HashMap::new();
    let mut whole = true;
    for node in nodes {
        let Some(value) = fields::setting(reader, field, node, &path) else {
            whole = false;
            continue;
        };
        let text = value.to_json().to_string();
        if let Some(first) = seen.insert(text.clone(), node.at) {
            let help = format!("it is already at {first}; each value is one trial");
            reader.add(node.at, "sweep-duplicate", format!("{path} has {text} twice"), help);
            whole = false;
        }
        axis.values.push(value);
        positions.push(node.at);
    }
    whole.then_some((axis, positions))
}

/// The fields that the checks need; `None` for those that could not be read.
pub(crate) struct Facts<'n> {
    pub(crate) name: Option<(&'n str, Position)>,
    pub(crate) batch_size: Option<(u32, Position)>,
    pub(crate) workers: Option<(u32, Position)>,
    pub(crate) cpu: Option<Quantity>,
    pub(crate) cpu_hours: Option<(f64, Position)>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) sweep_at: Position,
}

/// The checks that span several fields. Each runs if the fields that it needs could be read.
pub(crate) fn check(reader: &Reader<'_>, facts: &Facts<'_>, grid: Option<&Grid>, limits: &Limits) {
    let none = Grid::default();
    let swept = grid.unwrap_or(&none);
    let workers = swept.values("workers.count", facts.workers, |value| match value {
        Setting::Workers(count) => Some(*count),
        _ => None,
    });
    check_name(reader, facts, &workers);
    let Some(grid) = grid else { return };
    let trials = grid.sweep.len();
    if trials > limits.max_trials {
        let message = format!("the sweep has {} trials, but at most {} are allowed", count(trials), limits.max_trials);
        reader.add(facts.sweep_at, "sweep-too-large", message, "sweep fewer fields or values, or split the experiment");
        return;
    }
    check_batches(reader, facts, grid, &workers);
    check_budget(reader, facts, trials, &workers);
}

fn count(trials: usize) -> String {
    if trials == usize::MAX { "more than can be counted".to_owned() } else { trials.to_string() }
}

fn check_name(reader: &Reader<'_>, facts: &Facts<'_>, workers: &[(u32, Position)]) {
    let Some((name, at)) = facts.name else { return };
    let most = workers.iter().map(|(count, _)| *count).max().unwrap_or(1);
    let longest = longest_experiment_name(most);
    if name.len() > longest {
        let message =
            format!("metadata.name has {} characters, but at most {longest} fit with {most} workers", name.len());
        let help =
            format!("a pod is named <name>-<hash8>-node-0-{}-<5 random>, in 63 characters", most.saturating_sub(1));
        reader.add(at, "name-too-long", message, help);
    }
}

fn check_batches(reader: &Reader<'_>, facts: &Facts<'_>, grid: &Grid, workers: &[(u32, Position)]) {
    let batches = grid.values("training.batchSize", facts.batch_size, |value| match value {
        Setting::BatchSize(size) => Some(*size),
        _ => None,
    });
    let swept = |field: &str| grid.positions.contains_key(field);
    for (size, size_at) in &batches {
        for (count, count_at) in workers.iter().filter(|(count, _)| !size.is_multiple_of(*count)) {
            let at = if swept("workers.count") && !swept("training.batchSize") { *count_at } else { *size_at };
            let message = format!("batchSize {size} is not divisible by {count} workers");
            let nearest = (size / count).max(1) * count;
            let help = format!("every worker has an equal share: use {nearest} or {}", nearest + count);
            reader.add(at, "batch-not-divisible", message, help);
        }
    }
}

fn check_budget(reader: &Reader<'_>, facts: &Facts<'_>, trials: usize, workers: &[(u32, Position)]) {
    let (Some(cpu), Some(deadline), Some((budget, at))) = (facts.cpu, facts.deadline, facts.cpu_hours) else {
        return;
    };
    if workers.is_empty() {
        return;
    }
    let each = trials / workers.len();
    let processes: u64 = workers.iter().map(|(count, _)| u64::from(*count) * each as u64).sum();
    let hours = crate::cost::cpu_hours(processes, cpu, deadline);
    // A budget with the digits that the message below shows must be enough.
    if hours > budget * (1.0 + 1e-9) {
        let needed = (hours * 1000.0).ceil() / 1000.0;
        let (trials, workers) = match (trials, processes) {
            (1, 1) => ("its trial".to_owned(), "1 worker".to_owned()),
            (1, _) => ("its trial".to_owned(), format!("{processes} workers")),
            _ => (format!("its {trials} trials"), format!("{processes} workers in all")),
        };
        let message = format!(
            "the budget is {budget} CPU-hours, but {trials} may use {needed} CPU-hours: {workers}, each with {cpu} CPU for at most {deadline}"
        );
        let help =
            format!("set cpuHours to {needed} or more, or lower the deadline, the workers or the number of trials");
        reader.add(at, "budget-exceeded", message, help);
    }
}
