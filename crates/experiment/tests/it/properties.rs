//! What holds for every experiment.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use slipway_experiment::{Provenance, Trial, parse, read_job, render};

use crate::text::dataset;

/// One valid experiment file, and the number of its trials.
fn experiments() -> impl Strategy<Value = (String, usize)> {
    let identity = ("[a-z]([a-z0-9-]{0,37}[a-z0-9])?", option::of(1..5_u32), option::of(Just("mnist")));
    let model = (prop_oneof![Just("mlp"), Just("cnn"), Just("resnet")], option::of(0.0..0.99_f64));
    let training = (
        1..100_u32,
        1..64_u32,
        prop_oneof![Just("adam"), Just("adamw"), Just("sgd")],
        1e-9..10.0_f64,
        0..u64::MAX >> 1,
    );
    let more = (
        option::of((1..100_u32, 0.01..0.99_f64)),
        option::of((0..9_u32, 0.0..180.0_f64)),
        option::of(1..9_u32),
        option::of(0.0..1.0_f64),
    );
    let workers = (1..9_u32, 1..4000_u32, 16..100_000_u32, 1..10_000_u32);
    let sweep = (btree_set(0..1000_u32, 0..4), btree_set(1..10_000_u32, 0..4), btree_set(1..100_u32, 0..3));
    (identity, model, training, more, workers, sweep).prop_map(|(identity, model, training, more, workers, sweep)| {
        let mut axes = BTreeMap::new();
        axes.insert("training.seed", sweep.0.iter().map(u32::to_string).collect::<Vec<_>>());
        axes.insert(
            "training.optimizer.learningRate",
            sweep.1.iter().map(|rate| format!("{}", f64::from(*rate) / 1e4)).collect(),
        );
        axes.insert("training.epochs", sweep.2.iter().map(u32::to_string).collect());
        axes.retain(|_, values| !values.is_empty());
        let trials = axes.values().map(Vec::len).product();
        let mut spec = BTreeMap::new();
        spec.insert("dataset", "mnist-10k".to_owned());
        let dropout = model.1.map(|dropout| format!(", dropout: {dropout}")).unwrap_or_default();
        spec.insert("model", format!("{{architecture: {}{dropout}}}", model.0));
        let (epochs, share, optimizer, rate, seed) = training;
        let batch = share * workers.0;
        let (step, change, patience, decay) = more;
        let decay = decay.map(|decay| format!(", weightDecay: {decay}")).unwrap_or_default();
        let optimizer = format!("{{name: {optimizer}, learningRate: {rate}{decay}}}");
        let more = [
            step.map(|(every, factor)| format!(", schedule: {{name: step, every: {every}, factor: {factor}}}")),
            change.map(|(shift, degrees)| format!(", augmentation: {{shift: {shift}, rotation: {degrees}}}")),
            patience.map(|patience| format!(", earlyStopping: {{patience: {patience}}}")),
        ];
        let more: String = more.into_iter().flatten().collect();
        spec.insert(
            "training",
            format!("{{epochs: {epochs}, batchSize: {batch}, optimizer: {optimizer}, seed: {seed}{more}}}"),
        );
        spec.insert("workers", format!("{{count: {}, cpu: {}m, memory: {}Mi}}", workers.0, workers.1, workers.2));
        spec.insert("budget", format!("{{cpuHours: 1000000, deadline: {}s}}", workers.3));
        if !axes.is_empty() {
            let axes: Vec<_> = axes.iter().map(|(path, values)| format!("{path}: [{}]", values.join(", "))).collect();
            spec.insert("sweep", format!("{{{}}}", axes.join(", ")));
        }
        if let Some(rerun) = identity.1 {
            spec.insert("rerun", rerun.to_string());
        }
        if let Some(model) = identity.2 {
            spec.insert(
                "register",
                format!("{{model: {model}, require: {{accuracy: '>= 0.9', validation_accuracy: '> 0.5'}}}}"),
            );
        }
        let spec: String = spec.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
        let text = format!(
            "apiVersion: slipway.dev/v1alpha1\nkind: Experiment\nmetadata: {{name: {}}}\nspec:\n{spec}",
            identity.0
        );
        (text, trials)
    })
}

/// A text in double quotes. YAML wants more characters escaped than JSON.
fn yaml_text(text: &str) -> String {
    let escaped = |c: char| match c {
        '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
            format!("\\u{:04x}", u32::from(c))
        }
        c => c.to_string(),
    };
    serde_json::Value::from(text).to_string().chars().map(escaped).collect()
}

proptest! {
    #[test]
    fn rendering_reads_back_and_is_deterministic((text, count) in experiments(), file in any::<String>(), image in "\\PC+", blob in option::of("[0-9a-f]{40}|[0-9]{40}"), commit in option::of("[0-9a-f]{40}")) {
        let experiment = parse("e.yaml", &text).map_err(|found| TestCaseError::fail(format!("{text}\n{found:#?}")))?;
        let again = parse("e.yaml", &text).map_err(|found| TestCaseError::fail(format!("{found:#?}")))?;
        let trials = experiment.trials(&dataset());
        prop_assert_eq!(trials.len(), count);
        prop_assert_eq!(&trials, &again.trials(&dataset()));

        let names: BTreeSet<_> = trials.iter().map(|trial| &trial.name).collect();
        prop_assert_eq!(names.len(), count);

        let provenance = Provenance { image, blob, commit, program_tree: None };
        for trial in &trials {
            let host = format!("{}-node-0-{}-abcde", trial.name, trial.workers - 1);
            prop_assert!(host.len() <= 63);
            let yaml = render(&experiment, trial, &file, &provenance);
            let one_newline = yaml.ends_with('\n') && !yaml.ends_with("\n\n");
            prop_assert!(one_newline);
            let job = read_job("job.yaml", &yaml).map_err(|found| TestCaseError::fail(format!("{yaml}\n{found:#?}")))?;
            prop_assert_eq!(&job.name, &trial.name);
            prop_assert_eq!(job.num_nodes * job.num_proc_per_node, trial.workers);
            prop_assert_eq!(job.cpu_millis, experiment.spec.workers.cpu.millis());
            prop_assert_eq!(job.memory_bytes, experiment.spec.workers.memory.ceil());
            prop_assert_eq!(job.experiment_file(), Some(file.as_str()));
            prop_assert_eq!(job.env_var("SLIPWAY_EXPERIMENT_FILE"), Some(file.as_str()));
            let read = Trial::from_json(job.env_var("SLIPWAY_TRIAL").unwrap_or_default());
            prop_assert_eq!(&read.map_err(|error| TestCaseError::fail(error.to_string()))?, trial);
            prop_assert_eq!(render(&again, trial, job.experiment_file().unwrap_or_default(), &job.provenance()), yaml);
        }
    }

    /// Whatever texts a program is given, they arrive.
    #[test]
    fn a_program_gets_its_texts(command in "[^\0]{1,20}", args in prop::collection::vec("[^\0]{0,20}|[$(){}A-Z]{0,8}", 0..5), number in any::<f64>(), integer in any::<i64>(), flag in any::<bool>(), text in "[^\0]{0,40}|[$(){}A-Z]{0,8}") {
        prop_assume!(number.is_finite());
        let literal = |text: &str| yaml_text(&text.replace("${", "$${"));
        let list: Vec<String> = args.iter().map(|text| literal(text)).chain(["\"${t}\"".to_owned(), "\"${n}\"".to_owned()]).collect();
        let value = yaml_text(&text);
        let yaml = format!("apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {{name: a}}
spec:
  dataset: d
  program: {{trainer: t, command: [{}], args: [{}]}}
  parameters: {{t: {value}, n: {number:?}, i: {integer}, f: {flag}}}
  workers: {{count: 1, cpu: 1, memory: 1Gi}}
  budget: {{cpuHours: 1, deadline: 1h}}
", literal(&command), list.join(", "));
        let experiment = parse("e.yaml", &yaml).map_err(|found| TestCaseError::fail(format!("{yaml}\n{found:#?}")))?;
        let trial = &experiment.trials(&dataset())[0];
        let provenance = Provenance { image: "i".to_owned(), blob: None, commit: None, program_tree: None };
        let job = read_job("job.yaml", &render(&experiment, trial, "e.yaml", &provenance));
        let job = job.map_err(|found| TestCaseError::fail(format!("{yaml}\n{found:#?}")))?;
        let read = job.trial().map_err(|error| TestCaseError::fail(error.to_string()))?.unwrap();
        let program = read.work.program().unwrap();
        prop_assert_eq!(&program.command, &[command]);
        prop_assert_eq!(&program.args[..args.len()], args.as_slice());
        prop_assert_eq!(&program.args[args.len()], &text);
        prop_assert_eq!(program.args[args.len() + 1].parse::<f64>(), Ok(number));
        prop_assert_eq!(program.parameters["i"].to_json(), integer);
        prop_assert_eq!(program.parameters["f"].to_json(), flag);
        prop_assert_eq!(program.parameters["t"].to_json(), text);
        let parameter = program.parameters["n"].to_json().as_f64().unwrap_or(f64::NAN);
        // the JSON reader may be off by the last digit
        prop_assert!(parameter == number || ((parameter - number) / number).abs() < 1e-15, "{parameter} {number}");
    }
}
