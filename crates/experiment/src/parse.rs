//! Reads an experiment file and reports every mistake at once.

use std::collections::BTreeMap;

use slipway_source::{Finding, Node, Position, Value, document, excerpt, suggestion};

use crate::elsewhere;
use crate::grid::{Facts, Grid, check};
use crate::parse_training::{self, TrainingParts, model, training};
use crate::program::{self, Kind};
use crate::promote;
use crate::reader::{Fields, ROOT, Reader};
use crate::record;
use crate::{Bound, Budget, Experiment, Limits, Metric, Parameter, Register, Spec, Work, Workers, fields, spec};

/// The version of the file formats that this crate reads.
pub(crate) const API_VERSION: &str = "slipway.dev/v1alpha1";

/// Reads an experiment file; `file` is named in messages. Uses the default [`Limits`].
///
/// # Errors
/// Every mistake in the file, in the order of the text.
pub fn parse(file: &str, text: &str) -> Result<Experiment, Vec<Finding>> {
    parse_with(file, text, &Limits::default())
}

/// Like [`parse`], with the limits of an installation.
///
/// # Errors
/// Every mistake in the file, in the order of the text.
pub fn parse_with(file: &str, text: &str, limits: &Limits) -> Result<Experiment, Vec<Finding>> {
    let tree = document(text).map_err(|malformed| vec![malformed.in_file(file)])?;
    let reader = Reader::new(file).with_fields(elsewhere::field);
    let experiment = experiment(&reader, &tree, limits);
    reader.finish(experiment)
}

fn experiment(reader: &Reader<'_>, tree: &Node, limits: &Limits) -> Option<Experiment> {
    if is_of_another_kind(reader, tree, "Experiment") {
        return None;
    }
    let root = reader.map(tree, ROOT, &["apiVersion", "kind", "metadata", "spec"])?;
    // How long the name may be depends on the number of workers, so its length is checked when that is known.
    let name = header(reader, &root, "Experiment")
        .and_then(|node| Some((reader.label_of_any_length(node, "metadata.name")?, node.at)));
    let node = reader.required(&root, "spec")?;
    let allowed = [
        "dataset",
        "model",
        "training",
        "program",
        "parameters",
        "sweep",
        "cancelled",
        "workers",
        "budget",
        "register",
        "promote",
        "rerun",
        "environments",
    ];
    let fields = reader.map(node, "spec", &allowed)?;

    let dataset = reader.required(&fields, "dataset").and_then(|node| reader.label(node, "spec.dataset"));
    let parameters = optional(&fields, "parameters", |node| program::parameters(reader, node));
    let parameters = parameters.map(Option::unwrap_or_default);
    let (work, kind) = work(reader, &fields, node.at, parameters.as_ref());
    let grid = match fields.optional("sweep") {
        Some(node) => Grid::read(reader, node, &kind),
        None => Some(Grid::default()),
    };
    let cancelled = optional(&fields, "cancelled", |node| cancelled(reader, node));
    let workers = reader.required(&fields, "workers").map(|node| workers(reader, node, &kind)).unwrap_or_default();
    let budget = reader.required(&fields, "budget").map(|node| budget(reader, node)).unwrap_or_default();
    let register = optional(&fields, "register", |node| register(reader, node, &kind));
    let rerun = optional(&fields, "rerun", |node| reader.integer32(node, "spec.rerun", 1..=u32::MAX));
    let environments = optional(&fields, "environments", |node| environments(reader, node));
    let environments = environments.map(|given| given.unwrap_or_else(spec::default_environments));
    let promote = optional(&fields, "promote", |node| {
        promote::read(reader, node, fields.has("register"), environments.as_deref())
    });

    let facts = Facts {
        name,
        batch_size: work.training.batch_size,
        workers: workers.count,
        cpu: workers.cpu,
        gpu: workers.gpu,
        cpu_hours: budget.cpu_hours,
        gpu_hours: budget.gpu_hours,
        budget_at: fields.optional("budget").map_or(node.at, |node| node.at),
        deadline: budget.deadline,
        sweep_at: fields.optional("sweep").map_or(node.at, |node| node.at),
    };
    check(reader, &facts, grid.as_ref(), limits);
    if let Some(grid) = &grid {
        parse_training::check(reader, &work.training, grid);
    }

    Some(Experiment {
        name: name?.0.to_owned(),
        spec: Spec {
            dataset: dataset?.to_owned(),
            work: work.whole?,
            sweep: grid?.sweep,
            cancelled: cancelled?.unwrap_or_default(),
            workers: Workers {
                count: workers.count?.0,
                cpu: workers.cpu?,
                memory: workers.memory?,
                gpu: workers.gpu?.0,
            },
            budget: Budget {
                cpu_hours: budget.cpu_hours?.0,
                gpu_hours: budget.gpu_hours?.map(|(hours, _)| hours),
                deadline: budget.deadline?,
            },
            register: register?,
            promote: promote?.unwrap_or_default(),
            rerun: rerun?,
            environments: environments?,
        },
    })
}

/// A field that may be absent. `None` if it is present and wrong; `Some(None)` if it is absent.
pub(crate) fn optional<'n, T>(
    fields: &Fields<'n>,
    name: &str,
    read: impl FnOnce(&'n Node) -> Option<T>,
) -> Option<Option<T>> {
    match fields.optional(name) {
        Some(node) => read(node).map(Some),
        None => Some(None),
    }
}

/// Whether the file declares something else. Then that is its one mistake: its fields are not judged by the rules of this kind.
pub(crate) fn is_of_another_kind(reader: &Reader<'_>, tree: &Node, kind: &str) -> bool {
    const KINDS: [&str; 6] = ["Cluster", "Credentials", "Dataset", "Experiment", "Image", record::KIND];
    let Some(node) = tree.get("kind") else { return false };
    let Some(other) = node.text().filter(|other| *other != kind && KINDS.contains(other)) else { return false };
    let help = format!("name a file that says `kind: {kind}`");
    reader.add(node.at, "wrong-kind", format!("this is a file of kind {other}"), help);
    true
}

/// Checks `apiVersion` and `kind`, and returns `metadata.name`.
pub(crate) fn header<'n>(reader: &Reader<'_>, root: &Fields<'n>, kind: &str) -> Option<&'n Node> {
    reader.constant(root, "apiVersion", "wrong-api-version", API_VERSION);
    reader.constant(root, "kind", "wrong-kind", kind);
    let metadata = reader.map(reader.required(root, "metadata")?, "metadata", &["name"])?;
    reader.required(&metadata, "name")
}

/// What the experiment runs, as far as it could be read.
struct WorkParts {
    whole: Option<Work>,
    training: TrainingParts,
}

/// Reads `spec.program`, or `spec.model` and `spec.training`, of a specification at `at`.
fn work<'p>(
    reader: &Reader<'_>,
    fields: &Fields<'_>,
    at: Position,
    parameters: Option<&'p BTreeMap<String, Parameter>>,
) -> (WorkParts, Kind<'p>) {
    if fields.has("program") {
        for name in ["model", "training"] {
            if let Some(node) = fields.optional(name) {
                let message = format!("spec.{name} is for the built-in trainer, and this experiment has a program");
                let help = format!(
                    "remove spec.{name}, or spec.program; what the program should know belongs into spec.parameters"
                );
                reader.add(node.at, "program-and-model", message, help);
            }
        }
        let program = fields.optional("program").and_then(|node| program::program(reader, node, parameters));
        return (
            WorkParts { whole: program.map(Work::Program), training: TrainingParts::default() },
            Kind::Program(parameters),
        );
    }
    if let Some(node) = fields.optional("parameters") {
        let message = "spec.parameters are those of a program, and this experiment has none";
        let help = "add spec.program, or remove them: the built-in trainer is set by spec.model and spec.training";
        reader.add(node.at, "parameters-without-program", message, help);
    }
    if !fields.has("model") && !fields.has("training") {
        let message = "missing field `program` in spec, or `model` and `training`";
        let help =
            "add `program:` to train by a program of your own, or `model:` and `training:` for the built-in trainer";
        reader.add(at, "missing-field", message, help);
        return (WorkParts { whole: None, training: TrainingParts::default() }, Kind::BuiltIn);
    }
    let model = reader.required(fields, "model").and_then(|node| model(reader, node));
    let training = reader.required(fields, "training").map(|node| training(reader, node)).unwrap_or_default();
    let whole = model.zip(training.whole()).map(|(model, training)| Work::BuiltIn { model, training });
    (WorkParts { whole, training }, Kind::BuiltIn)
}

/// `spec.workers` as far as it could be read.
#[derive(Default)]
struct WorkersParts {
    count: Option<(u32, Position)>,
    cpu: Option<crate::Quantity>,
    memory: Option<crate::Quantity>,
    gpu: Option<(u32, Position)>,
}

fn workers(reader: &Reader<'_>, node: &Node, kind: &Kind<'_>) -> WorkersParts {
    let Some(map) = reader.map(node, "spec.workers", &["count", "cpu", "memory", "gpu"]) else {
        return WorkersParts::default();
    };
    WorkersParts {
        count: reader
            .required(&map, "count")
            .and_then(|node| Some((fields::worker_count(reader, node, "spec.workers.count")?, node.at))),
        cpu: reader.required(&map, "cpu").and_then(|node| fields::cpu(reader, node, "spec.workers.cpu")),
        memory: reader.required(&map, "memory").and_then(|node| fields::memory(reader, node, "spec.workers.memory")),
        gpu: match map.optional("gpu") {
            Some(node) => gpu(reader, node, kind),
            None => Some((0, node.at)),
        },
    }
}

fn gpu(reader: &Reader<'_>, node: &Node, kind: &Kind<'_>) -> Option<(u32, Position)> {
    let gpu = fields::gpu(reader, node, "spec.workers.gpu")?;
    if gpu > 0 && matches!(kind, Kind::BuiltIn) {
        let help = "remove it, or train by a program of your own: spec.program";
        reader.add(node.at, "gpu-unused", "the built-in trainer computes on CPUs and would not use a GPU", help);
        return None;
    }
    Some((gpu, node.at))
}

/// `spec.budget` as far as it could be read.
#[derive(Default)]
struct BudgetParts {
    cpu_hours: Option<(f64, Position)>,
    /// `Some(None)` if it is absent.
    gpu_hours: Option<Option<(f64, Position)>>,
    deadline: Option<crate::Deadline>,
}

fn budget(reader: &Reader<'_>, node: &Node) -> BudgetParts {
    let Some(map) = reader.map(node, "spec.budget", &["cpuHours", "gpuHours", "deadline"]) else {
        return BudgetParts::default();
    };
    BudgetParts {
        cpu_hours: reader
            .required(&map, "cpuHours")
            .and_then(|node| Some((fields::cpu_hours(reader, node, "spec.budget.cpuHours")?, node.at))),
        gpu_hours: optional(&map, "gpuHours", |node| {
            Some((fields::gpu_hours(reader, node, "spec.budget.gpuHours")?, node.at))
        }),
        deadline: reader
            .required(&map, "deadline")
            .and_then(|node| fields::deadline(reader, node, "spec.budget.deadline")),
    }
}

fn register(reader: &Reader<'_>, node: &Node, kind: &Kind<'_>) -> Option<Register> {
    let map = reader.map(node, "spec.register", &["model", "require"])?;
    let model = reader.required(&map, "model").and_then(|node| reader.label(node, "spec.register.model"));
    let require = match map.optional("require") {
        Some(node) => require(reader, node, kind),
        None => Some(BTreeMap::new()),
    };
    Some(Register { model: model?.to_owned(), require: require? })
}

fn require(reader: &Reader<'_>, node: &Node, kind: &Kind<'_>) -> Option<BTreeMap<Metric, Bound>> {
    const HELP: &str = "give metrics with bounds, such as `accuracy: \">= 0.97\"`";
    if let Value::Scalar { text, .. } = &node.value
        && text.parse::<Bound>().is_ok()
    {
        let help = format!("name the metric: {{accuracy: \"{}\"}}", excerpt(text));
        reader.add(node.at, "gate-metric", "spec.register.require is a bound without the name of a metric", help);
        return None;
    }
    let entries = reader.entries(node, "spec.register.require", HELP)?;
    let mut bounds = BTreeMap::new();
    let mut whole = true;
    for entry in entries {
        let Some(metric) = metric(reader, &entry.key, entry.key_at, kind) else {
            whole = false;
            continue;
        };
        let path = format!("spec.register.require.{metric}");
        let bound = match kind {
            Kind::BuiltIn => fields::bound_of_share(reader, &entry.value, &metric, &path),
            Kind::Program(_) => fields::bound(reader, &entry.value, &path),
        };
        match bound {
            Some(bound) => drop(bounds.insert(metric, bound)),
            None => whole = false,
        }
    }
    whole.then_some(bounds)
}

/// The metric that a gate names: any that a program may log, or one that the built-in trainer knows.
fn metric(reader: &Reader<'_>, name: &str, at: Position, kind: &Kind<'_>) -> Option<Metric> {
    let metric = name.parse::<Metric>().ok();
    let (message, help) = match (metric, kind) {
        (Some(metric), Kind::Program(_)) => return Some(metric),
        (Some(metric), Kind::BuiltIn) if metric.is_built_in() => return Some(metric),
        (_, Kind::BuiltIn) => (
            format!("there is no metric `{}` to require", excerpt(name)),
            suggestion(name, "allowed", &Metric::BUILT_IN),
        ),
        (None, Kind::Program(_)) if name.is_empty() => (
            "spec.register.require has a bound without the name of a metric".to_owned(),
            "name a metric that the program logs, such as `accuracy: \">= 0.97\"`".to_owned(),
        ),
        (None, Kind::Program(_)) => {
            (format!("`{}` is not the name of a metric", excerpt(name)), format!("allowed: {}", Metric::RULE))
        }
    };
    reader.add(at, "gate-metric", message, help);
    None
}

fn environments(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    const HELP: &str = "name at least one folder of overlays/, such as [local]";
    let names = names(reader, node, "spec.environments", HELP)?;
    if names.is_empty() {
        reader.add(node.at, "out-of-range", "spec.environments is empty", HELP);
        return None;
    }
    Some(names)
}

fn cancelled(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    const HELP: &str = "name TrainJobs of this experiment, such as [mnist-cnn-0a1b2c3d]; `slipway cancel` adds them";
    names(reader, node, "spec.cancelled", HELP)
}

/// A list of names, each once.
pub(crate) fn names(reader: &Reader<'_>, node: &Node, path: &str, help: &str) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    let mut whole = true;
    for node in reader.list(node, path, help)? {
        match reader.label(node, path) {
            Some(name) if names.iter().any(|other| other == name) => {
                reader.add(node.at, "wrong-value", format!("{path} has `{name}` twice"), "name each once");
                whole = false;
            }
            Some(name) => names.push(name.to_owned()),
            None => whole = false,
        }
    }
    whole.then_some(names)
}
