//! Checks that everything an experiment refers to exists and fits it, so that no job starts in vain.

use std::collections::BTreeMap;

use slipway_experiment::{Setting, Split};
use slipway_names::env;
use slipway_source::{Finding, Node, Position, document, position_of, suggestion};

use crate::cluster;
use crate::project::{DatasetFile, Environment, ExperimentFile, Project, trainer_folder};

/// A finding for each reference to something that does not exist, to a dataset that is too small, or to an environment that does not allow
/// the sweep, has no image of the trainer, or no price of a GPU.
pub(crate) fn check(project: &Project, source: &ExperimentFile) -> Vec<Finding> {
    let ExperimentFile { file, experiment, text, .. } = source;
    let finding = |path, code, message: String, help: String| {
        Finding::at(file, position_of(text, path), code, message).with_help(help)
    };
    let mut findings = Vec::new();
    let dataset = &experiment.spec.dataset;
    match project.datasets.get(dataset) {
        None => {
            let names: Vec<&str> = project.datasets.keys().map(String::as_str).collect();
            let message = format!("dataset `{dataset}` is not declared");
            let help = format!("{}; declare a new one in datasets/<name>.yaml", suggestion(dataset, "known", &names));
            findings.push(finding("spec.dataset", "unknown-dataset", message, help));
        }
        Some(declared) => {
            let spec = &declared.dataset.spec;
            if spec.digest.is_none() {
                let message = format!("dataset `{dataset}` has no digest yet, so its content is not pinned");
                let help = match &spec.pipeline {
                    Some(_) => format!("`slipway dataset build {dataset} --pin` builds it and pins it"),
                    None => format!("`slipway dataset add {}` stores it and pins it", declared.file),
                };
                findings.push(finding("spec.dataset", "unpinned-dataset", message, help));
            }
            let kind = spec.pipeline.as_ref().map_or(spec.source.kind(), |pipeline| pipeline.publish.format());
            if experiment.spec.work.program().is_none() && !matches!(kind, "npm" | "idx") {
                let message = format!(
                    "dataset `{dataset}` is made of `{kind}`; the built-in trainer reads grey images in IDX files"
                );
                let help = "train a program of your own on it (`spec.program`), or name another dataset".to_owned();
                findings.push(finding("spec.dataset", "unfit-dataset", message, help));
            }
            if let Some(Split::Made { train, .. }) = spec.split {
                findings.extend(too_large_batches(source, train));
            }
        }
    }
    let trainer = experiment.spec.work.program().and_then(|program| program.trainer());
    if let Some(trainer) = trainer.filter(|trainer| !project.trainers.contains_key(*trainer)) {
        let names: Vec<&str> = project.trainers.keys().map(String::as_str).collect();
        let message = format!("there is no trainer `{trainer}`: {} does not exist", trainer_folder(trainer));
        let known = if names.is_empty() {
            "no folder is in trainers/ yet".to_owned()
        } else {
            suggestion(trainer, "folders in trainers", &names)
        };
        let help = format!("{known}; `slipway new NAME --program {trainer}` makes one");
        findings.push(finding("spec.program.trainer", "unknown-trainer", message, help));
    }
    for name in &experiment.spec.environments {
        if let Some(environment) = project.environments.get(name) {
            findings.extend(not_ready(project, source, name, environment));
        }
        let trials = experiment.trial_count();
        match project.environments.get(name).map(|environment| environment.cluster.max_trials) {
            None => {
                let names: Vec<&str> = project.environments.keys().map(String::as_str).collect();
                let message = format!("unknown environment `{name}`");
                let help = format!(
                    "{}; an environment is a folder clusters/<name> with a cluster.yaml",
                    suggestion(name, "known", &names)
                );
                findings.push(finding("spec.environments", "unknown-environment", message, help));
            }
            Some(Some(most)) if trials > most => {
                let message = format!("the sweep has {trials} trials; {name} allows {most}");
                let help = format!("take values out, or raise maxTrials in {}", cluster::path(name));
                findings.push(finding("spec.sweep", "too-many-trials", message, help));
            }
            Some(_) => {}
        }
    }
    findings
}

/// A finding if the environment has no image of the experiment's trainer, and one if it has no price of its GPUs.
fn not_ready(project: &Project, source: &ExperimentFile, name: &str, environment: &Environment) -> Vec<Finding> {
    let ExperimentFile { file, experiment, text, .. } = source;
    let finding = |path, code, message: String, help: String| {
        Finding::at(file, position_of(text, path), code, message).with_help(help)
    };
    let cluster = &environment.cluster;
    let mut findings = Vec::new();
    // a trainer that does not exist has a finding of its own
    if let Some(trainer) = experiment.spec.work.program().and_then(|program| program.trainer())
        && project.trainers.contains_key(trainer)
        && !cluster.trainers.contains_key(trainer)
    {
        let file = cluster::path(name);
        let message = format!("trainer `{trainer}` has no image in {name}");
        let help = format!("add `trainers: {{{trainer}: IMAGE}}` below `spec` of {file}");
        findings.push(finding("spec.program.trainer", "trainer-without-image", message, help));
    }
    if experiment.spec.workers.gpu > 0 && cluster.prices.gpu_hour.is_none() {
        let file = cluster::path(name);
        let message = format!("a GPU has no price in {name}, so nobody can say what this costs");
        let help = format!("add `gpuHour` below `spec.prices` of {file}, or set `gpu: 0`");
        findings.push(finding("spec.workers.gpu", "gpu-without-price", message, help));
    }
    findings
}

/// A warning for each parameter that reaches nothing: neither command nor arguments name it, and no file of the trainer reads the
/// parameters from the environment. What the image of another place reads is not known.
pub(crate) fn unused_parameters(project: &Project, source: &ExperimentFile) -> Vec<Finding> {
    let Some(program) = source.experiment.spec.work.program() else { return Vec::new() };
    let Some((trainer, folder)) = program.trainer().and_then(|name| Some((name, project.trainers.get(name)?))) else {
        return Vec::new();
    };
    if folder.reads_parameters {
        return Vec::new();
    }
    let unused = program.parameters.keys().filter(|name| !program.mentions(name));
    let tree = document(&source.text).ok();
    let entries = tree.as_ref().and_then(|tree| tree.find("spec.parameters")).map(Node::entries).unwrap_or_default();
    unused
        .map(|name| {
            let at = entries.iter().find(|entry| entry.key == *name).map_or(Position::START, |entry| entry.key_at);
            let message = format!("nobody uses the parameter `{name}`");
            let help = format!(
                "write ${{{name}}} into spec.program.args, or read {} in {}; or remove it",
                env::PARAMETERS,
                trainer_folder(trainer)
            );
            Finding::at(&source.file, at, "unused-parameter", message).with_help(help)
        })
        .collect()
}

/// A warning for each cancelled TrainJob that the experiment does not ask for, such as after a change that gives its trials other names.
pub(crate) fn unknown_cancelled(project: &Project, source: &ExperimentFile) -> Vec<Finding> {
    let ExperimentFile { file, experiment, text, .. } = source;
    let cancelled = &experiment.spec.cancelled;
    if cancelled.is_empty() || project.dataset_of(experiment).is_none() {
        return Vec::new();
    }
    let trials = project.trial_names(experiment);
    let tree = document(text).ok();
    let items = tree.as_ref().map(|tree| tree.items_at("spec.cancelled")).unwrap_or_default();
    let unknown = cancelled.iter().enumerate().filter(|(_, name)| !trials.contains(*name));
    unknown
        .map(|(index, name)| {
            let at = items.get(index).map_or(Position::START, |item| item.at);
            let message = format!("{} asks for no TrainJob `{name}`, so there is none to cancel", experiment.name);
            Finding::at(file, at, "unknown-cancelled", message)
                .with_help("remove it; a change of the experiment gives its TrainJobs other names")
        })
        .collect()
}

/// A finding for each experiment that a dataset's monitor would retrain although it does not exist, or trains on another dataset. `trains_on`
/// has the dataset of every experiment.
pub(crate) fn retrained(declared: &DatasetFile, text: &str, trains_on: &BTreeMap<String, String>) -> Vec<Finding> {
    let dataset = &declared.dataset;
    let Some(retrain) = dataset.spec.monitor.as_ref().and_then(|monitor| monitor.retrain.as_ref()) else {
        return Vec::new();
    };
    let tree = document(text).ok();
    let items = tree.as_ref().map(|tree| tree.items_at("spec.monitor.retrain.experiments")).unwrap_or_default();
    let wrong = retrain.experiments.iter().enumerate().filter_map(|(index, name)| {
        let at = items.get(index).map_or(Position::START, |item| item.at);
        let (code, message) = match trains_on.get(name) {
            Some(other) if *other == dataset.name => return None,
            Some(other) => ("wrong-value", format!("experiment `{name}` trains on `{other}`, not on this dataset")),
            None => ("unknown-experiment", format!("there is no experiment `{name}`")),
        };
        let own: Vec<&str> =
            trains_on.iter().filter(|(_, other)| **other == dataset.name).map(|(name, _)| name.as_str()).collect();
        let help = suggestion(name, "experiments on this dataset", &own);
        Some(Finding::at(&declared.file, at, code, message).with_help(help))
    });
    wrong.collect()
}

/// A finding for each batch size with which no step could be made: the trainer refuses a batch that the training split does not fill.
fn too_large_batches(source: &ExperimentFile, train: u32) -> Vec<Finding> {
    let experiment = &source.experiment;
    let swept = experiment.spec.sweep.axes.iter().find(|axis| axis.path == "training.batchSize");
    let sizes: Vec<u32> = match swept {
        Some(axis) => axis
            .values
            .iter()
            .filter_map(|value| if let Setting::BatchSize(size) = value { Some(*size) } else { None })
            .collect(),
        None => experiment.spec.work.built_in().map(|(_, training)| training.batch_size).into_iter().collect(),
    };
    let positions = batch_size_positions(&source.text);
    let too_large = sizes.into_iter().enumerate().filter(|(_, size)| *size > train);
    too_large
        .map(|(index, size)| {
            let at = positions.get(index).copied().unwrap_or(Position::START);
            let message = format!(
                "batchSize {size} is more than the {train} training images of dataset `{}`, so that no step can be made",
                experiment.spec.dataset
            );
            let help = format!("use at most {train}, or a dataset with a larger training split");
            Finding::at(&source.file, at, "batch-too-large", message).with_help(help)
        })
        .collect()
}

/// Where the batch sizes of all trials are written: the swept ones, otherwise the one of the training.
fn batch_size_positions(text: &str) -> Vec<Position> {
    let Ok(tree) = document(text) else { return Vec::new() };
    match tree.find("spec.sweep").and_then(|sweep| sweep.get("training.batchSize")) {
        Some(values) => values.items().iter().map(|value| value.at).collect(),
        None => tree.find("spec.training.batchSize").map(|node: &Node| node.at).into_iter().collect(),
    }
}
