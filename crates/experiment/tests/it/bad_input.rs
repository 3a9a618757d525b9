//! Every mistake is an error with line, column, code and help.

use rstest::rstest;
use slipway_experiment::{Finding, Limits, parse, parse_with};

use crate::text::{CNN, MLP, RESNET, with};

fn findings(text: &str) -> Vec<Finding> {
    parse("e.yaml", text).expect_err("the text should be refused")
}

// One mistake in each line: what is replaced, by what, line, column, code, part of the message, part of the help.
#[rustfmt::skip]
#[rstest]
#[case("apiVersion: slipway.dev/v1alpha1", "apiVersion: v1", 2, 13, "wrong-api-version", "apiVersion is `v1`", "apiVersion: slipway.dev/v1alpha1")]
#[case("kind: Experiment", "kind: Dataset", 3, 7, "wrong-kind", "this is a file of kind Dataset", "kind: Experiment")]
#[case("name: mnist-cnn", "name: MNIST_cnn", 5, 9, "invalid-name", "metadata.name `MNIST_cnn` is not a valid name", "did you mean `mnist-cnn`?")]
#[case("name: mnist-cnn", "name: 7", 5, 9, "wrong-type", "metadata.name must be a text, found the number 7", "quote it: \"7\"")]
#[case("name: mnist-cnn", "name:", 5, 3, "wrong-type", "metadata.name must be a text, found nothing", "give a value")]
#[case("name: mnist-cnn", "name: a234567890123456789012345678901234567890", 5, 9, "name-too-long", "has 40 characters, but at most 39 fit with 2 workers", "63 characters")]
#[case("name: mnist-cnn", "name: a2345678901234567890123456789012345678901234567890123456789012345", 5, 9, "name-too-long", "has 65 characters, but at most 39 fit with 2 workers", "63 characters")]
#[case("dataset: mnist-10k", "dataset: a234567890123456789012345678901234567890123456789012345678901234", 7, 12, "name-too-long", "spec.dataset has 64 characters", "at most 63")]
#[case("dataset: mnist-10k", "datset: mnist-10k", 7, 3, "unknown-field", "unknown field `datset` in spec", "did you mean `dataset`? allowed: dataset, model,")]
#[case("  dataset: mnist-10k\n", "", 7, 3, "missing-field", "missing field `dataset` in spec", "add `dataset:`")]
#[case("architecture: cnn", "architecture:cnn", 8, 11, "unknown-field", "unknown field `architecture:cnn` in spec.model", "write a space after the colon: `architecture: cnn`")]
#[case("dataset: mnist-10k", "dataset mnist-10k", 7, 3, "yaml-syntax", "there is no colon after the key `dataset`", "write `dataset: mnist-10k`")]
#[case("  training: {epochs", "\ttraining: {epochs", 9, 1, "yaml-syntax", "a tab indents this line", "spaces")]
#[case("architecture: cnn", "architecture: ccn", 8, 25, "wrong-value", "spec.model.architecture cannot be `ccn`", "did you mean `cnn`? allowed: mlp, cnn, resnet")]
#[case("dropout: 0.25", "dropout: 1.0", 8, 39, "out-of-range", "spec.model.dropout is 1.0", "from 0 to less than 1")]
#[case("dropout: 0.25", "dropout: -0.1", 8, 39, "out-of-range", "spec.model.dropout is -0.1", "from 0 to less than 1")]
#[case("dropout: 0.25", "dropout: .nan", 8, 39, "out-of-range", "spec.model.dropout is .nan", "from 0 to less than 1")]
#[case("dropout: 0.25", "dropout: \"0.25\"", 8, 39, "wrong-type", "must be a number, found the text \"0.25\"", "a number from 0")]
#[case("epochs: 3", "epochs: three", 9, 22, "wrong-type", "must be a whole number, found the text `three`", "from 1 to 10000")]
#[case("epochs: 3", "epochs: 3.0", 9, 22, "wrong-type", "must be a whole number, found the number 3.0", "from 1 to 10000")]
#[case("epochs: 3", "epochs: 0", 9, 22, "out-of-range", "spec.training.epochs is 0", "from 1 to 10000")]
#[case("epochs: 3", "epochs: -3", 9, 22, "out-of-range", "spec.training.epochs is -3", "from 1 to 10000")]
#[case("epochs: 3", "epochs: [3]", 9, 22, "wrong-type", "must be a whole number, found a list", "from 1 to 10000")]
#[case("batchSize: 64", "batch_size: 64", 9, 25, "unknown-field", "unknown field `batch_size` in spec.training", "did you mean `batchSize`?")]
#[case("batchSize: 64", "batchSize: 63", 9, 36, "batch-not-divisible", "batchSize 63 is not divisible by 2 workers", "use 62 or 64")]
#[case("name: adam", "name: addam", 9, 58, "wrong-value", "spec.training.optimizer.name cannot be `addam`", "did you mean `adam`?")]
#[case("learningRate: 0.001}", "learningRate: 0}", 9, 78, "out-of-range", "learningRate is 0", "more than 0 and at most 10")]
#[case("learningRate: 0.001}", "learningRate: 1e400}", 9, 78, "out-of-range", "learningRate is 1e400", "more than 0 and at most 10")]
#[case("seed: 7", "seed: 99999999999999999999", 9, 92, "out-of-range", "spec.training.seed is 99999999999999999999", "9223372036854775807")]
#[case("training.optimizer.learningRate: [", "training.optimiser.learningRate: [", 11, 5, "sweep-path", "there is no field `training.optimiser.learningRate` to sweep", "did you mean `training.optimizer.learningRate`?")]
#[case("training.optimizer.learningRate: [", "training.lr: [", 11, 5, "sweep-path", "there is no field `training.lr` to sweep", "did you mean `training.optimizer.learningRate`?")]
#[case("training.optimizer.learningRate: [", "batch_size: [", 11, 5, "sweep-path", "there is no field `batch_size` to sweep", "did you mean `training.batchSize`?")]
#[case("optimizer: {name: adam, learningRate: 0.001}", "lr: 0.001", 9, 40, "unknown-field", "unknown field `lr` in spec.training", "did you mean `spec.training.optimizer.learningRate`?")]
#[case("training.optimizer.learningRate: [", "spec.training.seed: [", 11, 5, "sweep-path", "there is no field `spec.training.seed` to sweep", "did you mean `training.seed`?")]
#[case("training.optimizer.learningRate: [0.001, 0.003]", "workers.cpu: [1]", 11, 5, "sweep-path", "`workers.cpu` cannot be swept", "can be swept: model.architecture")]
#[case("[0.001, 0.003]", "[]", 11, 38, "sweep-empty", "has no values", "at least one value")]
#[case("sweep:\n    training.optimizer.learningRate: [0.001, 0.003]", "sweep: {}", 10, 10, "sweep-empty", "spec.sweep names no field", "remove the sweep")]
#[case("[0.001, 0.003]", "0.001", 11, 38, "wrong-type", "must be a list, found the number 0.001", "learningRate: [...]")]
#[case("[0.001, 0.003]", "[0.001, fast]", 11, 46, "wrong-type", "must be a number, found the text `fast`", "more than 0")]
#[case("[0.001, 0.003]", "[0.001, 11]", 11, 46, "out-of-range", "learningRate is 11", "at most 10")]
#[case("[0.001, 0.003]", "[0.001, 1e-3]", 11, 46, "sweep-duplicate", "has 0.001 twice", "11:39")]
#[case("training.optimizer.learningRate: [0.001, 0.003]", "training.batchSize: [64, 65]", 11, 30, "batch-not-divisible", "batchSize 65 is not divisible by 2 workers", "64 or 66")]
#[case("training.optimizer.learningRate: [0.001, 0.003]", "workers.count: [1, 3]", 11, 24, "batch-not-divisible", "batchSize 64 is not divisible by 3 workers", "63 or 66")]
#[case("count: 2", "count: 0", 12, 20, "out-of-range", "spec.workers.count is 0", "from 1 to 1000")]
#[case("cpu: \"1\"", "cpu: 1Gi", 12, 28, "wrong-unit", "`1Gi`, which is not an amount of CPU", "thousandths of one (500m)")]
#[case("cpu: \"1\"", "cpu: 0", 12, 28, "out-of-range", "spec.workers.cpu is `0`", "from 1m to 1024")]
#[case("cpu: \"1\"", "cpu: one", 12, 28, "wrong-type", "spec.workers.cpu is `one`: not a number", "cores")]
#[case("cpu: \"1\"", "cpu: true", 12, 28, "wrong-type", "spec.workers.cpu must be an amount of CPU, found `true`", "cores")]
#[case("memory: 512Mi", "memory: 2gb", 12, 41, "wrong-unit", "`2gb`: unknown unit `gb`", "did you mean `2Gi`?")]
#[case("memory: 512Mi", "memory: 2", 12, 41, "wrong-unit", "`2`, which has no unit", "did you mean `2Gi`?")]
#[case("memory: 512Mi", "memory: 512m", 12, 41, "wrong-unit", "thousandths of a byte", "did you mean `512Mi`?")]
#[case("memory: 512Mi", "memory: 2Ki", 12, 41, "out-of-range", "spec.workers.memory is `2Ki`", "from 16Mi")]
#[case("cpuHours: 4", "cpuHours: 1", 13, 22, "budget-exceeded", "the budget is 1 CPU-hour, but its 2 trials may use 2 CPU-hours: 4 workers in all, each with 1 CPU for at most 30m", "set cpuHours to 2 or more")]
#[case("deadline: 30m", "deadline: 30", 13, 35, "wrong-unit", "spec.budget.deadline: `30` has no unit", "did you mean `30m`?")]
#[case("deadline: 30m", "deadline: 1 day", 13, 35, "wrong-unit", "`1 day` is not a duration", "1h30m")]
#[case("deadline: 30m", "deadline: 1000h", 13, 35, "out-of-range", "`1000h` is not between 1s and 720h", "up to 720h")]
#[case("model: mnist,", "model: Mnist,", 14, 21, "invalid-name", "spec.register.model `Mnist` is not a valid name", "did you mean `mnist`?")]
#[case("accuracy:", "acuracy:", 14, 38, "gate-metric", "there is no metric `acuracy` to require", "did you mean `accuracy`? allowed: accuracy, validation_accuracy")]
#[case("\">= 0.95\"", "\"=> 0.95\"", 14, 48, "gate-syntax", "`=> 0.95`, which is not a bound", "\">= 0.97\"")]
#[case("\">= 0.95\"", "0.95", 14, 48, "gate-syntax", "`0.95`, which is not a bound", "did you mean \">= 0.95\"?")]
#[case("\">= 0.95\"", "\">= 97\"", 14, 48, "out-of-range", "asks for `>= 97`", "did you mean \">= 0.97\"?")]
#[case("\">= 0.95\"", "\"> 1\"", 14, 48, "out-of-range", "asks for `> 1`", "no model would ever be registered")]
#[case("\">= 0.95\"", "\"< 0\"", 14, 48, "out-of-range", "asks for `< 0`", "no model would ever be registered")]
#[case("\">= 0.95\"", ">= 0.95", 14, 48, "yaml-syntax", "not valid YAML", "quote a value that starts with >")]
#[case("  budget", "  rerun: 0\n  budget", 13, 10, "out-of-range", "spec.rerun is 0", "from 1 to")]
#[case("  budget", "  environments: []\n  budget", 13, 17, "out-of-range", "spec.environments is empty", "[local]")]
#[case("  budget", "  promote: always\n  budget", 13, 12, "wrong-value", "spec.promote cannot be `always`", "allowed: never, propose")]
#[case("  budget", "  promote: [local]\n  budget", 13, 12, "wrong-type", "spec.promote must be never, propose or a map, found a list", "`merge: [local]`")]
#[case("  budget", "  promote: {merge: []}\n  budget", 13, 20, "out-of-range", "spec.promote.merge is empty", "such as [local]")]
#[case("  budget", "  promote: {}\n  budget", 13, 12, "missing-field", "missing field `merge` in spec.promote", "add `merge:`")]
#[case("  budget", "  promote: {merge: [local, staging]}\n  budget", 13, 28, "unknown-environment", "spec.promote.merge names `staging`, where this experiment does not run", "in spec.environments: local")]
#[case("  budget", "  promotes: never\n  budget", 13, 3, "unknown-field", "unknown field `promotes` in spec", "did you mean `promote`?")]
#[case("  register: {model: mnist, require: {accuracy: \">= 0.95\"}}", "  promote: never", 14, 12, "promote-without-register", "this experiment registers none", "add spec.register, or remove spec.promote")]
#[case("  budget", "  environments: [local, local]\n  budget", 13, 25, "wrong-value", "has `local` twice", "once")]
fn one_mistake(
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
    assert_eq!(
        (finding.line, finding.column, finding.code),
        (line, column, code),
        "{finding:#?}"
    );
    assert!(finding.message.contains(message), "{finding:#?}");
    assert!(
        finding.help.as_deref().unwrap_or_default().contains(help),
        "{finding:#?}"
    );
}

#[test]
fn the_examples_are_valid() {
    assert_eq!(parse("e.yaml", CNN).map(|experiment| experiment.trial_count()), Ok(2));
    assert_eq!(parse("e.yaml", MLP).map(|experiment| experiment.trial_count()), Ok(1));
    assert_eq!(parse("e.yaml", RESNET).map(|experiment| experiment.trial_count()), Ok(1));
}

#[test]
fn all_mistakes_at_once_in_the_order_of_the_text() {
    let mut text = CNN.to_owned();
    for (old, new) in [
        ("name: mnist-cnn", "name: Mnist"),
        ("dropout", "dropuot"),
        ("epochs: 3", "epochs: many"),
        ("[0.001, 0.003]", "[-1, 0.003, x]"),
        ("memory: 512Mi", "memory: 2GB"),
        ("cpuHours: 4", "cpuHours: none"),
        (">= 0.95", "about 0.95"),
    ] {
        text = with(&text, old, new);
    }
    let found: Vec<_> = findings(&text).iter().map(|finding| (finding.line, finding.column, finding.code)).collect();
    let expected = [
        (5, 9, "invalid-name"),
        (8, 30, "unknown-field"),
        (9, 22, "wrong-type"),
        (11, 39, "out-of-range"),
        (11, 50, "wrong-type"),
        (12, 41, "wrong-unit"),
        (13, 22, "wrong-type"),
        (14, 48, "gate-syntax"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn checks_over_several_fields_run_beside_other_mistakes() {
    let text =
        with(&with(&with(CNN, "seed: 7", "sed: 7"), "batchSize: 64", "batchSize: 7"), "cpuHours: 4", "cpuHours: 1.5");
    let codes: Vec<_> = findings(&text).iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["batch-not-divisible", "unknown-field", "budget-exceeded"]);
}

/// The trial with the most workers has the longest pod names.
#[test]
fn the_name_must_fit_with_the_largest_swept_number_of_workers() {
    let sweep = "training.optimizer.learningRate: [0.001, 0.003]";
    let swept = |length: usize, workers: &str| {
        let text = with(CNN, "name: mnist-cnn", &format!("name: {}", "a".repeat(length)));
        // 2 and 11 divide it
        let text = with(&text, "batchSize: 64", "batchSize: 66");
        let text = with(&text, sweep, &format!("workers.count: {workers}"));
        with(&text, "cpuHours: 4", "cpuHours: 100")
    };
    for workers in ["[2, 11]", "[11, 2]"] {
        let found = findings(&swept(39, workers));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!((found[0].line, found[0].column, found[0].code), (5, 9, "name-too-long"), "{found:#?}");
        let message = "metadata.name has 39 characters, but at most 38 fit with 11 workers";
        assert_eq!(found[0].message, message);
        assert!(parse("e.yaml", &swept(38, workers)).is_ok());
    }
    assert!(parse("e.yaml", &swept(39, "[2, 1]")).is_ok(), "39 fit with 2 workers");
}

#[test]
fn a_sweep_over_its_limit_is_refused() {
    let seeds = (0..600).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", ");
    let text = with(CNN, "  sweep:\n", &format!("  sweep:\n    training.seed: [{seeds}]\n"));
    let found = findings(&text);
    assert_eq!((found[0].line, found[0].column, found[0].code), (11, 5, "sweep-too-large"), "{found:#?}");
    assert!(found[0].message.contains("1200 trials, but at most 1000"));
    let text = with(&text, "cpuHours: 4", "cpuHours: 1200");
    assert!(parse_with("e.yaml", &text, &Limits { max_trials: 1200 }).is_ok());
    let found = parse_with("e.yaml", CNN, &Limits { max_trials: 1 }).expect_err("two trials are over a limit of one");
    assert_eq!(found[0].code, "sweep-too-large");
}

#[test]
fn the_budget_counts_swept_workers() {
    let text = with(CNN, "training.optimizer.learningRate: [0.001, 0.003]", "workers.count: [2, 4, 8]");
    assert!(parse("e.yaml", &with(&text, "cpuHours: 4", "cpuHours: 7")).is_ok());
    let found = findings(&with(&text, "cpuHours: 4", "cpuHours: 6.999"));
    assert!(found[0].message.contains("its 3 trials may use 7 CPU-hours: 14 workers in all"), "{found:#?}");
}

#[test]
fn the_root_must_be_a_map() {
    let found = findings("- a\n");
    assert_eq!((found[0].line, found[0].column, found[0].code), (1, 1, "wrong-type"));
}

#[test]
fn findings_are_shown_with_their_position() {
    let found = findings(&with(CNN, "epochs: 3", "epochs: 0"));
    assert_eq!(found[0].to_string(), "e.yaml:9:22: spec.training.epochs is 0");
    let json = serde_json::to_value(&found[0]).expect("a finding is JSON");
    assert_eq!(json["file"], "e.yaml");
    assert_eq!(json["column"], 22);
}

#[test]
fn columns_count_characters() {
    let text = with(CNN, "{name: adam,", "{name: \"äöü\",");
    let finding = &findings(&with(&text, "seed: 7", "seed: x"))[1];
    assert_eq!((finding.line, finding.column), (9, 93));
}
