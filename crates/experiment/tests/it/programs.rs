//! Experiments that run a program of one's own: their mistakes, their trials and their TrainJobs.

use rstest::rstest;
use slipway_experiment::{Code, Finding, Provenance, Trial, Work, parse, read_job, render, schema};

use crate::text::{CNN, dataset, experiment, provenance, with};

/// A valid experiment of two trials.
pub(crate) const FASHION: &str = "\
apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata: {name: fashion}
spec:
  dataset: fashion
  program:
    trainer: torch-cnn
    command: [python, train.py]
    args: [--lr, \"${learningRate}\", \"--hidden=${hidden}\"]
  parameters: {learningRate: 0.01, hidden: 128, augment: true, note: plain}
  sweep: {parameters.learningRate: [0.001, 0.01]}
  workers: {count: 2, cpu: \"1\", memory: 1Gi, gpu: 1}
  budget: {cpuHours: 2, gpuHours: 2, deadline: 30m}
  register: {model: fashion, require: {accuracy: \">= 0.85\"}}
";

fn findings(text: &str) -> Vec<Finding> {
    parse("e.yaml", text).expect_err("the text should be refused")
}

const IMAGE: &str = "registry.example/fashion@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// One mistake in each line: what is replaced, by what, line, column, code, part of the message, part of the help.
#[rustfmt::skip]
#[rstest]
#[case("trainer: torch-cnn", "trainer: Torch_CNN", 7, 14, "invalid-name", "spec.program.trainer `Torch_CNN` is not a valid name", "did you mean `torch-cnn`?")]
#[case("    trainer: torch-cnn\n", "", 7, 5, "program-code", "neither `trainer` nor `image`", "folder of trainers/")]
#[case("trainer: torch-cnn", "image: fashion:1", 7, 12, "image-without-digest", "`fashion:1` is not named by its digest", "name@sha256:…")]
#[case("trainer: torch-cnn", "image: fashion@sha256:12", 7, 12, "image-without-digest", "`fashion@sha256:12` is not named", "64 hexadecimal digits")]
#[case("    command:", "    image: a@b\n    command:", 8, 12, "program-code", "has a trainer and an image", "keep one")]
#[case("command: [python, train.py]", "command: []", 8, 14, "command-empty", "spec.program.command is empty", "[python, train.py]")]
#[case("command: [python, train.py]", "command: [\"\"]", 8, 14, "command-empty", "starts with an empty text", "[python, train.py]")]
#[case("command: [python, train.py]", "command: python train.py", 8, 14, "wrong-type", "spec.program.command must be a list, found the text `python train.py`", "such as [python, train.py]")]
#[case("    command: [python, train.py]\n", "", 7, 5, "missing-field", "missing field `command` in spec.program", "add `command:`")]
#[case("    command:", "    cmd:", 8, 5, "unknown-field", "unknown field `cmd` in spec.program", "did you mean `command`?")]
#[case("--lr,", "--epochs, 3,", 9, 22, "wrong-type", "spec.program.args must be a text, found the number 3", "quote it: \"3\"")]
#[case("${learningRate}", "${learningRat}", 9, 18, "unknown-parameter", "names ${learningRat}, and there is no such parameter", "did you mean `learningRate`?")]
#[case("${learningRate}", "${lr", 9, 18, "reference-syntax", "`${lr` has a `${` that is not closed", "close it: ${name}; or write $${ for a literal ${")]
#[case("${learningRate}", "${HOME:-x}", 9, 18, "reference-syntax", "`${HOME:-x}` is not a reference to a parameter", "write $${ for a literal ${")]
#[case("${learningRate}", "a\\0b", 9, 18, "wrong-value", "holds a NUL character", "remove it")]
#[case("python,", "\"${python}\",", 8, 15, "unknown-parameter", "spec.program.command names ${python}", "add `python: …` to spec.parameters")]
#[case("hidden: 128", "hidden: [128]", 10, 44, "wrong-type", "spec.parameters.hidden must be a number, a text, true or false, found a list", "join a list to a text")]
#[case("hidden: 128", "hidden: {a: 1}", 10, 44, "wrong-type", "found a map", "a parameter of its own")]
#[case("hidden: 128", "hidden: null", 10, 44, "wrong-type", "found nothing", "give a value")]
#[case("hidden: 128", "hidden: .nan", 10, 44, "out-of-range", "spec.parameters.hidden is .nan", "quote it")]
#[case("hidden: 128", "hidden: -.inf", 10, 44, "out-of-range", "spec.parameters.hidden is -.inf", "quote it")]
#[case("hidden: 128", "hidden: 99999999999999999999", 10, 44, "out-of-range", "is 99999999999999999999", "at most 64 bits")]
#[case("hidden: 128", "hidden: 1e999", 10, 44, "out-of-range", "is 1e999", "quote it")]
#[case("augment: true", "1st: true", 10, 49, "invalid-name", "`1st` cannot be the name of a parameter", "starting with a letter")]
#[case("augment: true", "a.b: true", 10, 49, "invalid-name", "`a.b` cannot be the name of a parameter", "letters, digits")]
#[case("parameters: {learningRate: 0.01, hidden: 128, augment: true, note: plain}", "parameters: [1]", 10, 15, "wrong-type", "spec.parameters must be a map", "{learningRate: 0.001}")]
#[case("parameters.learningRate:", "parameters.learning_rate:", 11, 11, "unknown-parameter", "there is no parameter `learning_rate` to sweep", "did you mean `learningRate`?")]
#[case("parameters.learningRate:", "learningRate:", 11, 11, "sweep-path", "there is no field `learningRate` to sweep", "did you mean `parameters.learningRate`?")]
#[case("parameters.learningRate:", "training.optimizer.learningRate:", 11, 11, "sweep-path", "is a field of the built-in trainer", "did you mean `parameters.learningRate`?")]
#[case("parameters.learningRate:", "workers.gpu:", 11, 11, "sweep-path", "`workers.gpu` cannot be swept", "can be swept: parameters.augment")]
#[case("[0.001, 0.01]", "[0.001, fast]", 11, 44, "wrong-type", "has a text, but spec.parameters.learningRate is a number", "the same type")]
#[case("[0.001, 0.01]", "[0.001, 1e-3]", 11, 44, "sweep-duplicate", "has 0.001 twice", "11:37")]
#[case("[0.001, 0.01]", "[[1]]", 11, 37, "wrong-type", "must be a number, a text, true or false, found a list", "join a list")]
#[case("gpu: 1", "gpu: 65", 12, 51, "out-of-range", "spec.workers.gpu is 65", "from 0 to 64")]
#[case("gpu: 1", "gpu: one", 12, 51, "wrong-type", "spec.workers.gpu must be a whole number", "from 0 to 64")]
#[case("gpu: 1", "gpus: 1", 12, 46, "unknown-field", "unknown field `gpus` in spec.workers", "did you mean `gpu`?")]
#[case("gpuHours: 2, ", "", 13, 11, "missing-field", "the workers have GPUs, but spec.budget has no `gpuHours`", "add `gpuHours: 2`: 4 workers in all, each with 1 GPU for at most 30m")]
#[case("gpuHours: 2", "gpuHours: 1", 13, 35, "budget-exceeded", "the budget is 1 GPU-hour, but its 2 trials may use 2 GPU-hours: 4 workers in all, each with 1 GPU for at most 30m", "set gpuHours to 2 or more")]
#[case("gpuHours: 2", "gpuHours: 0", 13, 35, "out-of-range", "spec.budget.gpuHours is 0", "more than 0")]
#[case("{accuracy: \">= 0.85\"}", "\">= 0.85\"", 14, 39, "gate-metric", "is a bound without the name of a metric", "name the metric: {accuracy: \">= 0.85\"}")]
#[case("{accuracy: ", "{\"\": ", 14, 40, "gate-metric", "has a bound without the name of a metric", "name a metric")]
#[case("{accuracy: ", "{\"95%\": ", 14, 40, "gate-metric", "`95%` is not the name of a metric", "starting with a letter")]
#[case("\">= 0.85\"", "0.85", 14, 50, "gate-syntax", "`0.85`, which is not a bound", "did you mean \">= 0.85\"?")]
#[case("  program:", "  model: {architecture: cnn}\n  program:", 6, 10, "program-and-model", "spec.model is for the built-in trainer", "remove spec.model, or spec.program")]
#[case("  program:", "  training: {epochs: 3}\n  program:", 6, 13, "program-and-model", "spec.training is for the built-in trainer", "spec.parameters")]
#[case("  program:", "  programme:", 6, 3, "unknown-field", "unknown field `programme` in spec", "did you mean `program`?")]
fn one_mistake(
    #[case] old: &str,
    #[case] new: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] code: &str,
    #[case] message: &str,
    #[case] help: &str,
) {
    let found = findings(&with(FASHION, old, new));
    assert_eq!(found.len(), 1, "{found:#?}");
    let finding = &found[0];
    assert_eq!((finding.line, finding.column, finding.code), (line, column, code), "{finding:#?}");
    assert!(finding.message.contains(message), "{finding:#?}");
    assert!(finding.help.as_deref().unwrap_or_default().contains(help), "{finding:#?}");
}

// What the built-in trainer has nothing to do with.
#[rustfmt::skip]
#[rstest]
#[case("  sweep:", "  parameters: {a: 1}\n  sweep:", 10, 15, "parameters-without-program", "this experiment has none", "add spec.program")]
#[case("memory: 512Mi}", "memory: 512Mi, gpu: 1}", 12, 53, "gpu-unused", "the built-in trainer computes on CPUs", "a program of your own")]
#[case("training.optimizer.learningRate: [", "parameters.lr: [", 11, 5, "sweep-path", "the built-in trainer has no free parameters", "can be swept: model.architecture")]
#[case("{accuracy: ", "{f1: ", 14, 38, "gate-metric", "there is no metric `f1` to require", "allowed: accuracy, validation_accuracy")]
fn not_of_the_built_in_trainer(
    #[case] old: &str,
    #[case] new: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] code: &str,
    #[case] message: &str,
    #[case] help: &str,
) {
    let found = findings(&with(CNN, old, new));
    assert_eq!(found.len(), 1, "{found:#?}");
    let finding = &found[0];
    assert_eq!((finding.line, finding.column, finding.code), (line, column, code), "{finding:#?}");
    assert!(finding.message.contains(message), "{finding:#?}");
    assert!(finding.help.as_deref().unwrap_or_default().contains(help), "{finding:#?}");
}

#[test]
fn an_experiment_that_runs_nothing_is_told_both_ways() {
    let start = CNN.find("  model:").unwrap();
    let end = CNN.find("  sweep:").unwrap();
    let text = format!("{}{}", &CNN[..start], &CNN[end..]);
    let finding = &findings(&text)[0];
    assert_eq!((finding.line, finding.column, finding.code), (7, 3, "missing-field"));
    assert_eq!(finding.message, "missing field `program` in spec, or `model` and `training`");
}

#[test]
fn a_trial_is_what_the_contract_says() {
    let trials = experiment(FASHION).trials(&dataset());
    assert_eq!(trials.len(), 2);
    let name = &trials[0].name;
    let digest = dataset().digest;
    let expected = format!(
        "{{\"name\":\"{name}\",\"experiment\":\"fashion\",\"dataset\":{{\"name\":\"mnist-10k\",\"digest\":\"{digest}\"}},\
         \"program\":{{\"trainer\":\"torch-cnn\",\"command\":[\"python\",\"train.py\"],\"args\":[\"--lr\",\"0.001\",\"--hidden=128\"],\
         \"parameters\":{{\"augment\":true,\"hidden\":128,\"learningRate\":0.001,\"note\":\"plain\"}}}},\
         \"workers\":2,\"gpu\":1,\"parameters\":{{\"parameters.learningRate\":0.001}},\
         \"register\":{{\"model\":\"fashion\",\"require\":{{\"accuracy\":\">= 0.85\"}}}}}}"
    );
    assert_eq!(trials[0].to_json(), expected);
    for trial in &trials {
        assert_eq!(&Trial::from_json(&trial.to_json()).unwrap(), trial);
    }
    let Work::Program(program) = &trials[1].work else { panic!("not a program") };
    assert_eq!(program.args[1], "0.01");
    assert_eq!((program.trainer(), program.mentions("hidden")), (Some("torch-cnn"), false));
    assert!(experiment(FASHION).spec.work.program().unwrap().mentions("hidden"));
}

#[test]
fn without_gpu_the_trial_does_not_name_it() {
    let text = with(&with(FASHION, ", gpu: 1", ""), "gpuHours: 2, ", "");
    let experiment = experiment(&text);
    let trial = &experiment.trials(&dataset())[0];
    assert!(!trial.to_json().contains("gpu"), "{}", trial.to_json());
    assert_eq!(experiment.trial_gpu_hours(trial).to_string(), "0");
}

#[test]
fn an_image_that_was_built_elsewhere() {
    let experiment = experiment(&with(FASHION, "trainer: torch-cnn", &format!("image: {IMAGE}")));
    let trial = &experiment.trials(&dataset())[0];
    assert_eq!(trial.work.program().map(|program| &program.code), Some(&Code::Image(IMAGE.to_owned())));
    assert!(trial.to_json().contains(&format!("\"program\":{{\"image\":\"{IMAGE}\",\"command\"")));
    assert_eq!(&Trial::from_json(&trial.to_json()).unwrap(), trial);
}

#[rstest]
#[case("torch-cnn", "torch-mlp")]
#[case("train.py", "main.py")]
#[case("--lr", "--rate")]
#[case("hidden: 128", "hidden: 129")]
#[case("augment: true", "augment: \"true\"")]
#[case("hidden: 128", "hidden: 128.0")]
#[case("note: plain", "note: other")]
#[case("gpu: 1", "gpu: 2")]
#[case(">= 0.85", ">= 0.86")]
fn another_content_is_another_job(#[case] old: &str, #[case] new: &str) {
    let name = |text: &str| experiment(text).trials(&dataset())[0].name.clone();
    assert_ne!(name(&with(&with(FASHION, old, new), "gpuHours: 2", "gpuHours: 9")), name(FASHION));
}

#[rstest]
#[case("learningRate: 0.01,", "learningRate: 0.5,")]
#[case("gpuHours: 2", "gpuHours: 4")]
#[case("[0.001,", "[1e-3,")]
#[case("hidden: 128, augment: true", "augment: true, hidden: 128")]
fn the_same_content_is_the_same_job(#[case] old: &str, #[case] new: &str) {
    let name = |text: &str| experiment(text).trials(&dataset())[0].name.clone();
    assert_eq!(name(&with(FASHION, old, new)), name(FASHION));
}

#[rstest]
#[case("\"command\":[\"python\",\"train.py\"]", "\"command\":[]", "program.command is []")]
#[case("\"trainer\":\"torch-cnn\"", "\"trainer\":\"a\",\"image\":\"b\"", "`trainer` or `image`")]
#[case("\"trainer\":\"torch-cnn\",", "", "`trainer` or `image`")]
#[case("\"augment\":true", "\"augment\":null", "did not match")]
#[case("\"args\"", "\"arg\"", "unknown field `arg`")]
#[case("\"workers\":2", "\"model\":{\"architecture\":\"cnn\"},\"workers\":2", "or `program`")]
#[case("\"accuracy\"", "\"95%\"", "`95%` is not the name of a metric")]
fn a_damaged_trial_is_refused(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    let json = experiment(FASHION).trials(&dataset())[0].to_json();
    let error = Trial::from_json(&with(&json, old, new)).expect_err("the trial should be refused");
    assert!(error.to_string().contains(message), "{error}");
}

fn with_tree() -> Provenance {
    Provenance { program_tree: Some("fedcba9876".repeat(4)), ..provenance() }
}

#[test]
fn the_job_of_a_program() {
    let experiment = experiment(FASHION);
    let trial = &experiment.trials(&dataset())[0];
    let text = render(&experiment, trial, "experiments/fashion.yaml", &with_tree());
    insta::assert_snapshot!(text);
    let job = read_job("job.yaml", &text).unwrap();
    assert_eq!((job.command.as_slice(), job.args.len()), (["slipway-launch".to_owned()].as_slice(), 0));
    assert_eq!((job.gpus, job.num_nodes, job.num_proc_per_node), (1, 2, 1));
    assert_eq!(job.provenance(), with_tree());
    assert_eq!(job.env_var("SLIPWAY_PROGRAM_TREE"), Some("fedcba9876".repeat(4).as_str()));
    assert_eq!(job.trial().unwrap().as_ref(), Some(trial));
    assert_eq!(render(&experiment, trial, job.experiment_file().unwrap(), &job.provenance()), text);
}

/// Kubernetes expands `$(NAME)` in the values of variables, so a worker would get another trial.
#[test]
fn what_kubernetes_would_expand_arrives_unchanged() {
    let text = with(FASHION, "note: plain", "note: \"$(HOME) $$ $(OMP_NUM_THREADS) $${x} ${y} $\"");
    let experiment =
        experiment(&with(&text, "\"--hidden=${hidden}\"", "\"$(OMP_NUM_THREADS)\", \"$${note}\", \"${note}\""));
    let trial = &experiment.trials(&dataset())[0];
    let job = read_job("job.yaml", &render(&experiment, trial, "experiments/fashion.yaml", &with_tree())).unwrap();
    let environment = job.environment();
    let value = &environment.iter().find(|(name, _)| name == "SLIPWAY_TRIAL").unwrap().1;
    assert_eq!(value, &trial.to_json());
    let read = job.trial().unwrap().unwrap();
    let args = &read.work.program().unwrap().args;
    assert_eq!(args[2..], ["$(OMP_NUM_THREADS)", "${note}", "$(HOME) $$ $(OMP_NUM_THREADS) $${x} ${y} $"]);
    assert_eq!(&read, trial);
}

#[rstest]
#[case(
    "requests: {cpu: \"1\", memory: 1Gi, nvidia.com/gpu: \"1\"}",
    "requests: {cpu: \"1\", memory: 1Gi}",
    "wrong-value",
    "nvidia.com/gpu is 0 in the requests and 1 in the limits"
)]
#[case("nvidia.com/gpu: \"1\"}, limits", "nvidia.com/gpu: \"1.5\"}, limits", "wrong-unit", "nvidia.com/gpu is `1.5`")]
#[case("nvidia.com/gpu: \"1\"}, limits", "amd.com/gpu: \"1\"}, limits", "unknown-field", "unknown field `amd.com/gpu`")]
fn an_edited_job_is_refused(#[case] old: &str, #[case] new: &str, #[case] code: &str, #[case] message: &str) {
    let experiment = experiment(FASHION);
    let text = render(&experiment, &experiment.trials(&dataset())[0], "experiments/fashion.yaml", &with_tree());
    let finding = read_job("job.yaml", &with(&text, old, new)).unwrap_err();
    assert_eq!(finding.code, code, "{finding:#?}");
    assert!(finding.message.contains(message), "{finding:#?}");
}

#[test]
fn the_schema_knows_programs() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let fits = |text: &str| validator.is_valid(&serde_saphyr::from_str(text).unwrap());
    assert!(fits(FASHION));
    assert!(fits(&with(FASHION, "trainer: torch-cnn", &format!("image: {IMAGE}"))));
    assert!(fits(&with(FASHION, "{accuracy: \">= 0.85\"}", "{val/f1 macro: \">= 0.85\", loss: \"< -1.5\"}")));
    for (old, new) in [
        ("trainer: torch-cnn", "image: fashion:1"),
        ("    trainer: torch-cnn\n", ""),
        ("command: [python, train.py]", "command: []"),
        ("hidden: 128", "hidden: [128]"),
        ("hidden: 128", "hidden: null"),
        ("augment: true", "1st: true"),
        ("parameters.learningRate:", "learningRate:"),
        ("{accuracy: ", "{95%: "),
        ("gpu: 1", "gpu: 1.5"),
        (
            "  program:",
            "  model: {architecture: cnn}\n  training: {epochs: 3, batchSize: 64, optimizer: {name: adam, learningRate: 0.1}, seed: 7}\n  program:",
        ),
    ] {
        assert!(!fits(&with(FASHION, old, new)), "{new}");
    }
}
