//! Reads the sweep with the positions of its values, and checks what spans several fields.

use std::collections::{BTreeMap, HashMap};

use slipway_source::{Node, Position, closest, excerpt, suggest};

use crate::cost::{hours, in_hours};
use crate::name::longest_experiment_name;
use crate::program::{Kind, unknown_parameter};
use crate::reader::Reader;
use crate::{Axis, Deadline, Limits, Parameter, Quantity, Setting, Sweep};
use crate::{elsewhere, fields};

/// Fields that exist but cannot be swept.
const FIXED: [&str; 15] = [
    "budget.cpuHours",
    "budget.deadline",
    "budget.gpuHours",
    "dataset",
    "environments",
    "program",
    "program.args",
    "program.command",
    "program.image",
    "program.trainer",
    "register.model",
    "rerun",
    "workers.cpu",
    "workers.gpu",
    "workers.memory",
];

/// A sweep with the position of each of its values.
#[derive(Default)]
pub(crate) struct Grid {
    pub(crate) sweep: Sweep,
    positions: HashMap<String, Vec<Position>>,
}

impl Grid {
    /// Reads `spec.sweep`; `None` if any part of it is wrong.
    pub(crate) fn read(reader: &Reader<'_>, node: &Node, kind: &Kind<'_>) -> Option<Self> {
        let example = match kind {
            Kind::BuiltIn => "training.seed",
            Kind::Program(_) => "parameters.seed",
        };
        let entries = reader.entries(
            node,
            "spec.sweep",
            &format!("give fields with lists of values, such as `{example}: [1, 2]`"),
        )?;
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
            let is_known = match kind {
                Kind::BuiltIn => is_built_in(reader, &entry.key, entry.key_at),
                Kind::Program(parameters) => is_of_program(reader, &entry.key, entry.key_at, *parameters),
            };
            if !is_known {
                whole = false;
                continue;
            }
            match read_axis(reader, &entry.key, &entry.value, kind) {
                Some((axis, positions)) => {
                    grid.positions.insert(axis.path.clone(), positions);
                    grid.sweep.axes.push(axis);
                }
                None => whole = false,
            }
        }
        grid.sweep.axes.sort_by(|a, b| a.path.cmp(&b.path));
        whole.then_some(grid)
    }

    /// The values that a field takes over all trials, with their positions: the swept ones, otherwise `own`.
    pub(crate) fn values<T>(
        &self,
        field: &str,
        own: Option<(T, Position)>,
        pick: impl Fn(&Setting) -> Option<T>,
    ) -> Vec<(T, Position)> {
        match self.sweep.axes.iter().find(|axis| axis.path == field) {
            Some(axis) => axis
                .values
                .iter()
                .zip(&self.positions[&axis.path])
                .filter_map(|(value, at)| Some((pick(value)?, *at)))
                .collect(),
            None => own.into_iter().collect(),
        }
    }

    /// Whether a field is swept.
    pub(crate) fn sweeps(&self, field: &str) -> bool {
        self.positions.contains_key(field)
    }
}

/// Whether a path is a field of the built-in trainer that can be swept; adds a finding if not.
fn is_built_in(reader: &Reader<'_>, path: &str, at: Position) -> bool {
    if Setting::PATHS.contains(&path) {
        return true;
    }
    if path.starts_with(Setting::PARAMETERS) {
        let message = format!("`{}` cannot be swept: the built-in trainer has no free parameters", excerpt(path));
        reader.add(at, "sweep-path", message, suggest(None, "can be swept", &Setting::PATHS));
        return false;
    }
    unknown_path(reader, path, at);
    false
}

/// Whether a path is the number of workers or a declared parameter of the program; adds a finding if not. If the parameters could not be
/// read, any may be meant.
fn is_of_program(
    reader: &Reader<'_>,
    path: &str,
    at: Position,
    parameters: Option<&BTreeMap<String, Parameter>>,
) -> bool {
    let name = path.strip_prefix(Setting::PARAMETERS);
    let Some(parameters) = parameters else { return path == Setting::WORKERS || name.is_some() };
    if path == Setting::WORKERS || name.is_some_and(|name| parameters.contains_key(name)) {
        return true;
    }
    let known: Vec<&str> = parameters.keys().map(String::as_str).collect();
    if let Some(name) = name {
        let message = format!("there is no parameter `{}` to sweep", excerpt(name));
        reader.add(at, "unknown-parameter", message, unknown_parameter(name, &known));
        return false;
    }
    let paths: Vec<String> = known.iter().map(|name| format!("{}{name}", Setting::PARAMETERS)).collect();
    let allowed: Vec<&str> = paths.iter().map(String::as_str).chain([Setting::WORKERS]).collect();
    let short = path.strip_prefix("spec.").unwrap_or(path);
    let last = short.rsplit('.').next().unwrap_or(short);
    // a parameter may have the name that a field of the built-in trainer has
    let named = closest(last, known.iter().copied()).and_then(|name| known.iter().position(|other| *other == name));
    let meant = named.map(|index| allowed[index]).or_else(|| closest(short, allowed.iter().copied()));
    let (message, meant) = if FIXED.contains(&short) {
        (format!("`{path}` cannot be swept"), None)
    } else if Setting::PATHS.contains(&short) && short != Setting::WORKERS {
        (format!("`{path}` is a field of the built-in trainer, and this experiment has a program"), meant)
    } else {
        (format!("there is no field `{}` to sweep", excerpt(path)), meant)
    };
    reader.add(at, "sweep-path", message, suggest(meant, "can be swept", &allowed));
    false
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

fn read_axis(reader: &Reader<'_>, field: &str, node: &Node, kind: &Kind<'_>) -> Option<(Axis, Vec<Position>)> {
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
    let mut axis = Axis { path: field.to_owned(), values: Vec::with_capacity(nodes.len()) };
    let mut positions: Vec<Position> = Vec::with_capacity(nodes.len());
    let mut seen = HashMap::new();
    let mut whole = true;
    for node in nodes {
        let Some(value) = fields::setting(reader, field, node, &path) else {
            whole = false;
            continue;
        };
        if !is_of_same_type(reader, &value, node, &path, kind) {
            whole = false;
            continue;
        }
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

/// Whether a value of a swept parameter is of the type that the parameter is declared with; adds a finding if not.
fn is_of_same_type(reader: &Reader<'_>, value: &Setting, node: &Node, path: &str, kind: &Kind<'_>) -> bool {
    let (Setting::Parameter { name, value }, Kind::Program(Some(parameters))) = (value, kind) else { return true };
    let Some(declared) = parameters.get(name).filter(|declared| declared.kind() != value.kind()) else { return true };
    let message = format!("{path} has {}, but spec.parameters.{name} is {}", value.kind(), declared.kind());
    reader.add(node.at, "wrong-type", message, "give all values of a parameter the same type");
    false
}

/// The fields that the checks need; `None` for those that could not be read.
pub(crate) struct Facts<'n> {
    pub(crate) name: Option<(&'n str, Position)>,
    pub(crate) batch_size: Option<(u32, Position)>,
    pub(crate) workers: Option<(u32, Position)>,
    pub(crate) cpu: Option<Quantity>,
    /// GPUs of each worker, with the position of that field.
    pub(crate) gpu: Option<(u32, Position)>,
    pub(crate) cpu_hours: Option<(f64, Position)>,
    /// `Some(None)` if the budget has none.
    pub(crate) gpu_hours: Option<Option<(f64, Position)>>,
    pub(crate) budget_at: Position,
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
    for (size, size_at) in &batches {
        for (count, count_at) in workers.iter().filter(|(count, _)| !size.is_multiple_of(*count)) {
            let at =
                if grid.sweeps("workers.count") && !grid.sweeps("training.batchSize") { *count_at } else { *size_at };
            let message = format!("batchSize {size} is not divisible by {count} workers");
            let nearest = (size / count).max(1) * count;
            let help = format!("every worker has an equal share: use {nearest} or {}", nearest + count);
            reader.add(at, "batch-not-divisible", message, help);
        }
    }
}

fn check_budget(reader: &Reader<'_>, facts: &Facts<'_>, trials: usize, workers: &[(u32, Position)]) {
    let Some(deadline) = facts.deadline else { return };
    if workers.is_empty() {
        return;
    }
    let each = trials / workers.len();
    let processes: u64 = workers.iter().map(|(count, _)| u64::from(*count) * each as u64).sum();
    let use_of = |unit, millis: u64, amount: String| Use { unit, millis, amount, trials, processes, deadline };
    if let (Some(cpu), Some(budget)) = (facts.cpu, facts.cpu_hours) {
        use_of("CPU", cpu.millis(), cpu.to_string()).check(reader, budget);
    }
    let Some((gpu, _)) = facts.gpu.filter(|(gpu, _)| *gpu > 0) else { return };
    let gpus = use_of("GPU", u64::from(gpu) * 1000, gpu.to_string());
    match facts.gpu_hours {
        Some(Some(budget)) => gpus.check(reader, budget),
        Some(None) => {
            let message = "the workers have GPUs, but spec.budget has no `gpuHours`";
            let help = format!("add `gpuHours: {}`: {}", gpus.hours(), gpus.reason());
            reader.add(facts.budget_at, "missing-field", message, help);
        }
        None => {}
    }
}

/// What all workers of all trials may use of one kind of processor.
struct Use {
    /// `CPU` or `GPU`.
    unit: &'static str,
    /// Thousandths of one for each worker.
    millis: u64,
    /// The same as text.
    amount: String,
    trials: usize,
    /// The workers of all trials together.
    processes: u64,
    deadline: Deadline,
}

impl Use {
    /// The hours, rounded up to a thousandth.
    fn hours(&self) -> f64 {
        (self.exact_hours() * 1000.0).ceil() / 1000.0
    }

    fn exact_hours(&self) -> f64 {
        hours(self.processes, self.millis, self.deadline.seconds())
    }

    fn trials(&self) -> String {
        if self.trials == 1 { "its trial".to_owned() } else { format!("its {} trials", self.trials) }
    }

    /// How the hours come about.
    fn reason(&self) -> String {
        let Self { processes, amount, unit, deadline, .. } = self;
        let workers = match (self.trials, processes) {
            (1, 1) => "1 worker".to_owned(),
            (1, _) => format!("{processes} workers"),
            _ => format!("{processes} workers in all"),
        };
        format!("{workers}, each with {amount} {unit} for at most {deadline}")
    }

    /// A finding if the budget is not enough.
    fn check(&self, reader: &Reader<'_>, (budget, at): (f64, Position)) {
        // A budget with the digits that the message below shows must be enough.
        if self.exact_hours() <= budget * (1.0 + 1e-9) {
            return;
        }
        let (unit, needed) = (self.unit, self.hours());
        let message = format!(
            "the budget is {}, but {} may use {}: {}",
            in_hours(&budget.to_string(), unit),
            self.trials(),
            in_hours(&needed.to_string(), unit),
            self.reason()
        );
        let field = format!("{}Hours", unit.to_lowercase());
        let help =
            format!("set {field} to {needed} or more, or lower the deadline, the workers or the number of trials");
        reader.add(at, "budget-exceeded", message, help);
    }
}
