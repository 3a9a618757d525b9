//! A trial as a TrainJob of Kubeflow Trainer.

use serde::Serialize;
use serde_json::Value;

use crate::{Experiment, Quantity, Trial};

/// The namespace of every TrainJob.
pub const NAMESPACE: &str = "training";

/// The ClusterTrainingRuntime that every TrainJob refers to.
pub const RUNTIME: &str = "slipway-torch";

pub(crate) const EXPERIMENT_LABEL: &str = "slipway.dev/experiment";
pub(crate) const FILE_ANNOTATION: &str = "slipway.dev/experiment-file";
pub(crate) const COMMIT_ANNOTATION: &str = "slipway.dev/commit";

/// What a rendering takes from its surroundings, once: rendering again keeps it, so that a new image does not run history again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The trainer's image.
    pub image: String,
    /// The commit that holds the experiment file; none when rendered from an uncommitted file.
    pub commit: Option<String>,
}

/// The TrainJob of one trial of `experiment` as YAML. Deterministic; ends with a newline.
///
/// `experiment_file` is the path from the repository's root.
pub fn render(experiment: &Experiment, trial: &Trial, experiment_file: &str, provenance: &Provenance) -> String {
    let file = scalar(experiment_file);
    // Always quoted: forty digits may be a number to YAML.
    let commit = provenance.commit.as_deref().map(quoted);
    let commit_annotation =
        commit.as_ref().map(|commit| format!("    {COMMIT_ANNOTATION}: {commit}\n")).unwrap_or_default();
    let commit_env =
        commit.map(|commit| format!("      - {{name: SLIPWAY_COMMIT, value: {commit}}}\n")).unwrap_or_default();
    let cpu = experiment.spec.workers.cpu;
    let resources = format!("{{cpu: {}, memory: {}}}", quantity(cpu), quantity(experiment.spec.workers.memory));
    format!(
        "# Rendered by `slipway render` from {file}. Do not edit: change the experiment, or delete this file to cancel the job.
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {name}
  namespace: {NAMESPACE}
  labels: {{{EXPERIMENT_LABEL}: {label}}}
  annotations:
    {FILE_ANNOTATION}: {file}
{commit_annotation}spec:
  activeDeadlineSeconds: {deadline}
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: {RUNTIME}}}
  trainer:
    image: {image}
    command: [slipway-trainer]
    numNodes: {workers}
    numProcPerNode: 1
    env:
      - {{name: OMP_NUM_THREADS, value: \"{threads}\"}}
      - {{name: SLIPWAY_TRIAL, value: {json}}}
      - {{name: SLIPWAY_EXPERIMENT_FILE, value: {file}}}
{commit_env}    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
",
        name = scalar(&trial.name),
        label = scalar(&trial.experiment),
        deadline = experiment.spec.budget.deadline.seconds(),
        image = scalar(&provenance.image),
        workers = trial.workers,
        threads = cpu.ceil(),
        json = quoted_json(&trial.to_json()),
    )
}

/// A text as a YAML scalar that reads back as that text: plain where that is safe in any context, quoted elsewhere.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@+-".contains(c))
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A quantity as a YAML text: without a suffix it would be a number.
fn quantity(quantity: Quantity) -> String {
    let text = quantity.to_string();
    if text.ends_with(|c: char| c.is_ascii_digit()) { quoted(&text) } else { text }
}

/// A text in double quotes: JSON's escapes are YAML's.
fn quoted(text: &str) -> String {
    // JSON leaves these as they are, YAML takes them for line breaks or refuses them.
    Value::from(text).to_string().chars().map(escaped).collect()
}

fn escaped(c: char) -> String {
    match c {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            format!("\\u{:04x}", u32::from(c))
        }
        c => c.to_string(),
    }
}

/// JSON in single quotes, where nothing but the quote itself is escaped: it stays legible in a diff.
fn quoted_json(json: &str) -> String {
    format!("'{}'", json.replace('\'', "''"))
}
