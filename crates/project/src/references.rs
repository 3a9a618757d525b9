//! Checks that everything an experiment refers to exists.

use slipway_source::{Finding, position_of, suggestion};

use crate::cluster;
use crate::project::{ExperimentFile, Project};

/// A finding for each reference to something that does not exist, or to an environment that does not allow the sweep.
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
        Some(declared) if declared.dataset.spec.digest.is_none() => {
            let message = format!("dataset `{dataset}` has no digest yet, so its content is not pinned");
            let help = format!("`slipway dataset add {}` stores it and pins it", declared.file);
            findings.push(finding("spec.dataset", "unpinned-dataset", message, help));
        }
        Some(_) => {}
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
