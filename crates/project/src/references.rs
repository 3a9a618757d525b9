//! Checks that everything an experiment refers to exists and fits it, so that no job starts in vain.

use slipway_experiment::{Setting, Split};
use slipway_source::{Finding, Node, Position, document, position_of, suggestion};

use crate::cluster;
use crate::project::{ExperimentFile, Project};

/// A finding for each reference to something that does not exist, to a dataset that is too small, or to an environment that does not allow
/// the sweep.
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
                let help = format!("`slipway dataset add {}` stores it and pins it", declared.file);
                findings.push(finding("spec.dataset", "unpinned-dataset", message, help));
            }
            findings.extend(too_large_batches(source, &spec.split));
        }
    }
    for name in &experiment.spec.environments {
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

/// A finding for each batch size with which no step could be made: the trainer refuses a batch that the training split does not fill.
fn too_large_batches(source: &ExperimentFile, split: &Split) -> Vec<Finding> {
    let experiment = &source.experiment;
    let swept = experiment.spec.sweep.axes.iter().find(|axis| axis.path == "training.batchSize");
    let sizes: Vec<u32> = match swept {
        Some(axis) => axis
            .values
            .iter()
            .filter_map(|value| if let Setting::BatchSize(size) = value { Some(*size) } else { None })
            .collect(),
        None => vec![experiment.spec.training.batch_size],
    };
    let positions = batch_size_positions(&source.text);
    let too_large = sizes.into_iter().enumerate().filter(|(_, size)| *size > split.train);
    too_large
        .map(|(index, size)| {
            let at = positions.get(index).copied().unwrap_or(Position::START);
            let message = format!(
                "batchSize {size} is more than the {} training images of dataset `{}`, so that no step can be made",
                split.train, experiment.spec.dataset
            );
            let help = format!("use at most {}, or a dataset with a larger training split", split.train);
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
