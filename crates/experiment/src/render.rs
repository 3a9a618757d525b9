//! A trial as a TrainJob of Kubeflow Trainer.

use serde::Serialize;
use serde_json::Value;
use slipway_names::{annotation, env, label};

use crate::expansion::escape;
use crate::{Experiment, Quantity, Trial, Work};

/// The namespace of every TrainJob.
pub const NAMESPACE: &str = "training";

/// The ClusterTrainingRuntime that every TrainJob refers to.
pub const RUNTIME: &str = "slipway-torch";

/// The program in the trainer's image that trains the built-in networks.
const TRAINER: &str = "slipway-trainer";

/// The program in every other training image that starts a program of one's own.
const LAUNCHER: &str = "slipway-launch";

/// The resource of Kubernetes that GPUs are requested by.
pub(crate) const GPU: &str = "nvidia.com/gpu";

/// What the first rendering takes from its surroundings. Rendering again keeps it, so that a new image does not run old jobs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The image that holds the trainer, or the program.
    pub image: String,
    /// The code of the program, `trainers/<name>/`: the id of its tree in git. `None` for the built-in trainer, and for an image that was built
    /// elsewhere.
    pub program_tree: Option<String>,
    /// The content of the experiment file: the id of its blob in git. `None` in a file that was rendered before there was this field.
    pub blob: Option<String>,
    /// The commit that held the experiment file, in files that were rendered before they named its content.
    pub commit: Option<String>,
}

/// The TrainJob of one trial of `experiment` as YAML. Deterministic; ends with a newline.
///
/// `experiment_file` is the path from the repository's root.
pub fn render(experiment: &Experiment, trial: &Trial, experiment_file: &str, provenance: &Provenance) -> String {
    let file = scalar(experiment_file);
    let (mut source_annotations, mut source_env) = (String::new(), String::new());
    for (id, annotation, variable) in [
        (&provenance.blob, annotation::EXPERIMENT_BLOB, env::EXPERIMENT_BLOB),
        (&provenance.commit, annotation::COMMIT, env::COMMIT),
        (&provenance.program_tree, annotation::PROGRAM_TREE, env::PROGRAM_TREE),
    ] {
        // Always quoted, because YAML may read forty digits as a number.
        if let Some(id) = id.as_deref().map(quoted) {
            source_annotations += &format!("    {annotation}: {id}\n");
            source_env += &format!("      - {{name: {variable}, value: {id}}}\n");
        }
    }
    let cpu = experiment.spec.workers.cpu;
    let gpu = match trial.gpu {
        0 => String::new(),
        gpu => format!(", {GPU}: \"{gpu}\""),
    };
    let resources = format!("{{cpu: {}, memory: {}{gpu}}}", quantity(cpu), quantity(experiment.spec.workers.memory));
    let command = match trial.work {
        Work::BuiltIn { .. } => TRAINER,
        Work::Program(_) => LAUNCHER,
    };
    format!(
        "# Rendered by `slipway render` from {file}. Do not edit: change the experiment, or delete this file to cancel the job.
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {name}
  namespace: {NAMESPACE}
  labels: {{{experiment_label}: {experiment}}}
  annotations:
    {file_annotation}: {file}
{source_annotations}spec:
  activeDeadlineSeconds: {deadline}
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: {RUNTIME}}}
  trainer:
    image: {image}
    command: [{command}]
    numNodes: {workers}
    numProcPerNode: 1
    env:
      - {{name: OMP_NUM_THREADS, value: \"{threads}\"}}
      - {{name: {trial_env}, value: {json}}}
      - {{name: {file_env}, value: {file}}}
{source_env}    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
",
        name = scalar(&trial.name),
        experiment_label = label::EXPERIMENT,
        experiment = scalar(&trial.experiment),
        file_annotation = annotation::EXPERIMENT_FILE,
        trial_env = env::TRIAL,
        file_env = env::EXPERIMENT_FILE,
        deadline = experiment.spec.budget.deadline.seconds(),
        image = scalar(&provenance.image),
        workers = trial.workers,
        threads = cpu.ceil(),
        // the cluster expands `$(NAME)` in the values of variables
        json = quoted_json(&escape(&trial.to_json())),
    )
}

/// A text as a YAML scalar that reads back as that text: without quotes where that is safe in any context, otherwise quoted.
pub(crate) fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@+-".contains(c))
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// A quantity as a YAML text; quoted if it has no suffix, because it would be a number.
fn quantity(quantity: Quantity) -> String {
    let text = quantity.to_string();
    if text.ends_with(|c: char| c.is_ascii_digit()) { quoted(&text) } else { text }
}

/// A text in double quotes. YAML has JSON's escapes.
pub(crate) fn quoted(text: &str) -> String {
    visible(&Value::from(text).to_string())
}

/// JSON in single quotes, where only the quote itself is escaped, so that it stays readable in a diff.
fn quoted_json(json: &str) -> String {
    format!("'{}'", visible(json).replace('\'', "''"))
}

/// JSON without the characters that it leaves as they are in texts, but that YAML reads as line breaks or refuses: as escapes.
pub(crate) fn visible(json: &str) -> String {
    let mut visible = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                visible.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => visible.push(c),
        }
    }
    visible
}
