//! A trial as a TrainJob of Kubeflow Trainer.

use serde::Serialize;
use serde_json::Value;

use crate::expansion::escape;
use crate::form::{fill, sources};
use crate::{Experiment, Quantity, Trial, Work, Workers};

/// The namespace of every TrainJob.
pub const NAMESPACE: &str = "training";

/// The ClusterTrainingRuntime that every TrainJob refers to.
pub const RUNTIME: &str = "slipway-torch";

/// The program in the trainer's image that trains the built-in networks.
pub(crate) const TRAINER: &str = "slipway-trainer";

/// The program in every other training image that starts a program of one's own.
pub(crate) const LAUNCHER: &str = "slipway-launch";

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
    // always quoted, because YAML may read forty digits as a number
    let ids = [&provenance.blob, &provenance.commit, &provenance.program_tree].map(|id| id.as_deref().map(quoted));
    let (annotations, variables) = sources(ids.each_ref().map(Option::as_deref));
    let Workers { cpu, memory, .. } = experiment.spec.workers;
    let gpu = match trial.gpu {
        0 => String::new(),
        gpu => format!(", {GPU}: \"{gpu}\""),
    };
    let command = match trial.work {
        Work::BuiltIn { .. } => TRAINER,
        Work::Program(_) => LAUNCHER,
    };
    fill([
        &scalar(&trial.name),
        &scalar(&trial.experiment),
        &scalar(experiment_file),
        &annotations,
        &experiment.spec.budget.deadline.seconds().to_string(),
        &scalar(&provenance.image),
        command,
        &trial.workers.to_string(),
        &quoted(&cpu.ceil().to_string()),
        // the cluster expands `$(NAME)` in the values of variables
        &quoted_json(&escape(&trial.to_json())),
        &variables,
        &format!("{{cpu: {}, memory: {}{gpu}}}", quantity(cpu), quantity(memory)),
    ])
}

/// A text as a YAML scalar that reads back as that text: without quotes where that is safe in any context, otherwise quoted.
pub(crate) fn scalar(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// Whether YAML reads a text without quotes as that text in any context.
pub(crate) fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:@+-".contains(&byte))
        && !text.ends_with(':')
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
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
