//! The form of a rendered TrainJob: the text that all of them share, with blanks for what differs.

use std::sync::LazyLock;

use slipway_names::{annotation, env, label};

use crate::render::{NAMESPACE, RUNTIME};

/// The number of blanks.
const BLANKS: usize = 12;

/// What stands in the blanks, in the order of [`fill`].
pub(crate) type Blanks<'t> = [&'t str; BLANKS];

/// The environment variable with the number of threads of a worker.
pub(crate) const THREADS: &str = "OMP_NUM_THREADS";

/// The file of a TrainJob. All blanks are YAML, most of them scalars; `annotations` and `variables` are those of [`sources`].
pub(crate) fn fill(blanks: Blanks<'_>) -> String {
    let [name, experiment, file, annotations, deadline, image, command, workers, threads, trial, variables, resources] =
        blanks;
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
{annotations}spec:
  activeDeadlineSeconds: {deadline}
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: {RUNTIME}}}
  trainer:
    image: {image}
    command: [{command}]
    numNodes: {workers}
    numProcPerNode: 1
    env:
      - {{name: {THREADS}, value: {threads}}}
      - {{name: {trial_env}, value: {trial}}}
      - {{name: {file_env}, value: {file}}}
{variables}    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
",
        experiment_label = label::EXPERIMENT,
        file_annotation = annotation::EXPERIMENT_FILE,
        trial_env = env::TRIAL,
        file_env = env::EXPERIMENT_FILE,
    )
}

/// What stands in the blanks of a text; `None` if it has another form. A blank that the form has several times must be the same each time.
pub(crate) fn blanks(text: &str) -> Option<Blanks<'_>> {
    let mut blanks = [None; BLANKS];
    let mut rest = text.strip_prefix(FORM.begin.as_str())?;
    for Piece { blank, end, more } in &FORM.pieces {
        let (filled, after) = rest.split_once(end.as_str())?;
        rest = after.strip_prefix(more.as_str())?;
        if blanks[*blank].replace(filled).is_some_and(|before| before != filled) {
            return None;
        }
    }
    rest.is_empty().then(|| blanks.map(Option::unwrap_or_default))
}

/// What [`fill`] writes around the blanks.
struct Form {
    begin: String,
    pieces: Vec<Piece>,
}

/// A blank, and the text between it and the next one.
struct Piece {
    /// Its index.
    blank: usize,
    /// The text to the end of its line, by which the end of the blank is found.
    end: String,
    /// The rest.
    more: String,
}

static FORM: LazyLock<Form> = LazyLock::new(|| {
    // no file has this character, so it shows where the blanks are
    let marks: [String; BLANKS] = std::array::from_fn(|blank| format!("\0{blank}\0"));
    let form = fill(marks.each_ref().map(String::as_str));
    let (begin, marked) = form.split_once('\0').unwrap_or_default();
    let parts: Vec<&str> = marked.split('\0').collect();
    let (pairs, _) = parts.as_chunks();
    let pieces = pairs.iter().map(|[blank, text]| {
        let (end, more) = text.split_at(text.find('\n').map_or(text.len(), |at| at + 1));
        Piece { blank: blank.parse().expect("a mark is a number"), end: end.to_owned(), more: more.to_owned() }
    });
    Form { begin: begin.to_owned(), pieces: pieces.collect() }
});

/// The ids of what a TrainJob was rendered from, as YAML: the experiment file's blob, its commit, and the tree of the program.
pub(crate) type Ids<T> = [Option<T>; 3];

/// The names of each id: the annotation's and the variable's.
pub(crate) const SOURCES: [(&str, &str); 3] = [
    (annotation::EXPERIMENT_BLOB, env::EXPERIMENT_BLOB),
    (annotation::COMMIT, env::COMMIT),
    (annotation::PROGRAM_TREE, env::PROGRAM_TREE),
];

/// The lines that tell the ids in annotations, and those that do in environment variables.
pub(crate) fn sources(ids: Ids<&str>) -> (String, String) {
    let (mut annotations, mut variables) = (String::new(), String::new());
    for (id, (annotation, variable)) in ids.into_iter().zip(SOURCES) {
        if let Some(id) = id {
            annotations += &format!("    {annotation}: {id}\n");
            variables += &format!("      - {{name: {variable}, value: {id}}}\n");
        }
    }
    (annotations, variables)
}

/// The ids in such lines, of which both tell the same; `None` if they do not, or have another form.
pub(crate) fn source_ids<'t>(annotations: &'t str, variables: &str) -> Option<Ids<&'t str>> {
    let mut ids = [None; 3];
    let mut rest = annotations;
    for (id, (annotation, _)) in ids.iter_mut().zip(SOURCES) {
        let line = rest.strip_prefix("    ").and_then(|line| line.strip_prefix(annotation)?.strip_prefix(": "));
        if let Some((found, below)) = line.and_then(|line| line.split_once('\n')) {
            *id = Some(found);
            rest = below;
        }
    }
    let (same_annotations, same_variables) = sources(ids);
    (same_annotations == annotations && same_variables == variables).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_found_again() {
        let (annotations, variables) = sources([Some("\"b\""), None, Some("\"t\"")]);
        let blanks_of_one = ["n", "e", "f", &annotations, "1", "i", "c", "2", "\"3\"", "'{}'", &variables, "{cpu: 1}"];
        let text = fill(blanks_of_one);
        assert_eq!(blanks(&text), Some(blanks_of_one));
        assert_eq!(source_ids(&annotations, &variables), Some([Some("\"b\""), None, Some("\"t\"")]));
        assert_eq!(source_ids("", ""), Some([None; 3]));
    }

    #[test]
    fn any_other_text_has_no_blanks() {
        let text = fill(["n", "e", "f", "", "1", "i", "c", "2", "3", "4", "", "{}"]);
        assert!(blanks(&text).is_some());
        for at in 0..text.len() {
            assert_eq!(blanks(&text[..at]), None, "{at}");
        }
        assert_eq!(blanks(&format!("{text}\n")), None);
        assert_eq!(blanks(&format!(" {text}")), None);
        assert_eq!(blanks(&text.replacen("from f.", "from g.", 1)), None, "one of several blanks differs");
        assert_eq!(blanks(&text.replacen("limits: {}", "limits: {a}", 1)), None);
        let (annotations, variables) = sources([Some("\"b\""), None, None]);
        assert_eq!(source_ids(&annotations, ""), None);
        assert_eq!(source_ids("", &variables), None);
        assert_eq!(source_ids(&format!("{annotations}{annotations}"), &variables), None);
    }
}
