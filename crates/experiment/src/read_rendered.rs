//! A quick reader of TrainJobs as they were rendered. Any other text is read as YAML.

use std::collections::BTreeMap;
use std::str::FromStr;

use slipway_names::{annotation, env, label};
use slipway_source::MAX_BYTES;

use crate::form::{SOURCES, THREADS, blanks, source_ids};
use crate::name::{MAX_NAME, is_label};
use crate::render::{GPU, LAUNCHER, TRAINER, is_plain};
use crate::{EnvVar, NAMESPACE, Quantity, RUNTIME, TrainJob};

/// The TrainJob of a text that has the form of a rendered one, and holds nothing but ASCII without escapes; `None` for any other text. What it
/// gives is what reading the text as YAML gives.
pub(crate) fn read_rendered(text: &str) -> Option<TrainJob> {
    let is_simple = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n'));
    if text.len() > MAX_BYTES || !is_simple {
        return None;
    }
    let [name, experiment, file, annotations, deadline, image, command, workers, threads, trial, variables, resources] =
        blanks(text)?;
    let name = text_of(name).filter(|name| is_label(name) && name.len() <= MAX_NAME)?;
    let file = text_of(file)?;
    let mut annotations_of = BTreeMap::from([(annotation::EXPERIMENT_FILE.to_owned(), file.clone())]);
    let variable = |name: &str, value: String| EnvVar { name: name.to_owned(), value };
    let mut env = vec![
        variable(THREADS, text_of(threads)?),
        variable(env::TRIAL, text_of(trial)?),
        variable(env::EXPERIMENT_FILE, file),
    ];
    for (id, (annotation, name)) in source_ids(annotations, variables)?.into_iter().zip(SOURCES) {
        if let Some(id) = id {
            let id = text_of(id)?;
            annotations_of.insert(annotation.to_owned(), id.clone());
            env.push(variable(name, id));
        }
    }
    let Amounts { cpu, memory, gpus } = amounts(resources)?;
    Some(TrainJob {
        name,
        namespace: NAMESPACE.to_owned(),
        labels: BTreeMap::from([(label::EXPERIMENT.to_owned(), text_of(experiment)?)]),
        annotations: annotations_of,
        active_deadline_seconds: number(deadline).filter(|seconds| (1..=i64::MAX as u64).contains(seconds))?,
        runtime: RUNTIME.to_owned(),
        image: text_of(image)?,
        command: matches!(command, TRAINER | LAUNCHER).then(|| vec![command.to_owned()])?,
        args: Vec::new(),
        num_nodes: number(workers).filter(|workers| (1..=10_000).contains(workers))?,
        num_proc_per_node: 1,
        env,
        cpu_millis: cpu.millis(),
        memory_bytes: memory.ceil(),
        gpus,
    })
}

/// The text of a scalar: one that needs no quotes, or one in quotes without escapes, in which only `''` stands for a single quote.
fn text_of(scalar: &str) -> Option<String> {
    if scalar.contains('\n') {
        return None;
    }
    if let Some(text) = inside(scalar, '"') {
        return (!text.contains(['"', '\\'])).then(|| text.to_owned());
    }
    if let Some(text) = inside(scalar, '\'') {
        let is_whole = text.split("''").all(|part| !part.contains('\''));
        return is_whole.then(|| text.replace("''", "'"));
    }
    is_plain(scalar).then(|| scalar.to_owned())
}

fn inside(scalar: &str, quote: char) -> Option<&str> {
    scalar.strip_prefix(quote)?.strip_suffix(quote)
}

fn number<T: FromStr>(scalar: &str) -> Option<T> {
    scalar.bytes().all(|byte| byte.is_ascii_digit()).then(|| scalar.parse().ok()).flatten()
}

/// What each node requests.
struct Amounts {
    cpu: Quantity,
    memory: Quantity,
    gpus: u32,
}

fn amounts(resources: &str) -> Option<Amounts> {
    let (cpu, rest) = resources.strip_prefix("{cpu: ")?.strip_suffix('}')?.split_once(", memory: ")?;
    let (memory, gpus) = match rest.split_once(", ") {
        Some((memory, gpus)) => (memory, number(inside(gpus.strip_prefix(GPU)?.strip_prefix(": ")?, '"')?)?),
        None => (rest, 0),
    };
    Some(Amounts { cpu: quantity(cpu)?, memory: quantity(memory)?, gpus })
}

/// A quantity, which may be a number with or without a suffix.
fn quantity(scalar: &str) -> Option<Quantity> {
    let text = inside(scalar, '"').unwrap_or(scalar);
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.').then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use proptest::option;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::job::read_yaml;
    use crate::{DatasetRef, Provenance, parse, render};

    const CNN: &str = include_str!("../../../experiments/mnist-cnn.yaml");
    const PROGRAM: &str = "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: a}
spec:
  dataset: d
  program: {trainer: t, command: [run], args: [\"${text}\"]}
  parameters: {text: TEXT}
  workers: {count: 2, cpu: 1500m, memory: 1.5Gi, gpu: 1}
  budget: {cpuHours: 10, gpuHours: 10, deadline: 1h}
";

    /// The first job of an experiment.
    fn rendered(experiment: &str, file: &str, provenance: &Provenance) -> String {
        let experiment = parse("e.yaml", experiment).unwrap_or_else(|findings| panic!("{experiment}\n{findings:#?}"));
        let dataset =
            DatasetRef { name: experiment.spec.dataset.clone(), digest: format!("sha256:{}", "a".repeat(64)) };
        render(&experiment, &experiment.trials(&dataset)[0], file, provenance)
    }

    fn provenance() -> Provenance {
        let [blob, commit, program_tree] = ["b", "c", "7"].map(|digit| Some(digit.repeat(40)));
        Provenance { image: "localhost:5001/slipway/trainer:0.1.0".to_owned(), blob, commit, program_tree }
    }

    fn program(text: &str) -> String {
        PROGRAM.replace("TEXT", &format!("'{}'", text.replace('\'', "''")))
    }

    #[rstest]
    #[case(CNN.to_owned(), Provenance { commit: None, program_tree: None, ..provenance() })]
    #[case(CNN.to_owned(), Provenance { blob: None, commit: None, program_tree: None, ..provenance() })]
    #[case(CNN.to_owned(), provenance())]
    #[case(program("it's $(HOME), # \\ {}"), provenance())]
    #[case(program(&"long ".repeat(1_000)), provenance())]
    fn reads_what_is_rendered(#[case] experiment: String, #[case] provenance: Provenance) {
        let text = rendered(&experiment, "experiments/e.yaml", &provenance);
        let job = read_rendered(&text).expect(&text);
        assert_eq!(Ok(job), read_yaml("job.yaml", &text));
    }

    #[rstest]
    #[case(" numNodes: 2", " numNodes: 0")]
    #[case(" numNodes: 2", " numNodes: 10001")]
    #[case("activeDeadlineSeconds: 1800", "activeDeadlineSeconds: 9223372036854775808")]
    #[case("command: [slipway-trainer]", "command: []")]
    #[case("name: mnist-cnn-", "name: Mnist-cnn-")]
    #[case("name: mnist-cnn-", "name: mnist-cnn-mnist-cnn-mnist-cnn-mnist-cnn-mnist-cnn-mnist-cnn-")]
    #[case("experiment: mnist-cnn", "experiment: true")]
    #[case("experiment: mnist-cnn", "experiment: [mnist-cnn]")]
    #[case("memory: 512Mi", "memory: 512mb")]
    #[case("cpu: \"1\"", "cpu: one")]
    #[case("trainer:0.1.0", "trainer:\u{7}0.1.0")]
    #[case("trainer:0.1.0", "trainer:")]
    #[case("0.1.0\n", "0.1.0 \n  # \n  a: b\n")]
    fn refuses_what_cannot_be_read(#[case] old: &str, #[case] new: &str) {
        let text = rendered(CNN, "experiments/e.yaml", &provenance());
        assert!(text.contains(old), "{old}");
        let text = text.replace(old, new);
        assert_eq!(read_rendered(&text), None);
        assert!(read_yaml("job.yaml", &text).is_err(), "{text}");
    }

    #[test]
    fn refuses_a_text_that_is_too_large() {
        let file = format!("experiments/{}.yaml", "e".repeat(MAX_BYTES));
        let text = rendered(CNN, &file, &provenance());
        assert_eq!(read_rendered(&text), None);
        assert_eq!(read_yaml("job.yaml", &text).unwrap_err().code, "yaml-too-large");
    }

    /// Texts that mean something in YAML.
    const TEXTS: &str = "[a-z0-9 '\"\\\\{}\\[\\],:#&*!|>%@`$.-]{0,12}|[ -~]{0,40}";

    proptest! {
        /// Whatever stands in the fields, nothing is read that YAML reads otherwise; and without escapes, all of it is read.
        #[test]
        fn reads_as_yaml_does(text in TEXTS, file in TEXTS, image in TEXTS, ids in prop::array::uniform3(option::of(TEXTS))) {
            let is_escaped = |text: &String| text.contains(['"', '\\']);
            let any_escaped = [&file, &image].into_iter().chain(ids.iter().flatten()).any(is_escaped);
            let [blob, commit, program_tree] = ids;
            let yaml = rendered(&program(&text), &file, &Provenance { image, blob, commit, program_tree });
            let slowly = read_yaml("job.yaml", &yaml).map_err(|found| TestCaseError::fail(format!("{yaml}\n{found:#?}")))?;
            match read_rendered(&yaml) {
                Some(job) => prop_assert_eq!(job, slowly),
                None => prop_assert!(any_escaped, "{}", yaml),
            }
        }

        /// A damaged text is read as YAML reads it, or not at all.
        #[test]
        fn damage_is_never_read_otherwise(
            at in any::<prop::sample::Index>(),
            length in 0..30_usize,
            new in TEXTS,
            lines in "\n{0,2} {0,6}",
            everywhere in any::<bool>(),
        ) {
            let whole = rendered(CNN, "experiments/e.yaml", &provenance());
            let at = at.index(whole.len());
            let old = &whole[at..(at + length).min(whole.len())];
            let new = format!("{new}{lines}");
            // what stands in a text several times may change each time
            let text = if everywhere && !old.is_empty() {
                whole.replace(old, &new)
            } else {
                format!("{}{new}{}", &whole[..at], &whole[at + old.len()..])
            };
            if let Some(job) = read_rendered(&text) {
                prop_assert_eq!(Ok(job), read_yaml("job.yaml", &text), "{}", text);
            }
        }
    }
}
