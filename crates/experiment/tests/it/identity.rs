//! What is in a trial's name, and what is not.

use std::collections::BTreeSet;

use rstest::rstest;
use slipway_experiment::{DatasetRef, Trial, TrialError};

use crate::text::{CNN, MLP, dataset, experiment, with};

fn names(text: &str) -> Vec<String> {
    experiment(text).trials(&dataset()).into_iter().map(|trial| trial.name).collect()
}

#[rstest]
#[case("dropout: 0.25", "dropout: 0.5")]
#[case(", dropout: 0.25", "")]
#[case("epochs: 10", "epochs: 11")]
#[case("batchSize: 64", "batchSize: 128")]
#[case("adam", "sgd")]
#[case("seed: 7", "seed: 8")]
#[case("count: 2", "count: 1")]
#[case("cpu: \"1\"", "cpu: 500m")]
#[case("memory: 512Mi", "memory: 1Gi")]
#[case("deadline: 30m", "deadline: 29m")]
#[case("model: mnist,", "model: digits,")]
#[case(">= 0.94", ">= 0.95")]
#[case("  budget", "  rerun: 2\n  budget")]
#[case("dataset: mnist-10k", "dataset: mnist-20k")]
fn another_content_is_another_job(#[case] old: &str, #[case] new: &str) {
    let other = experiment(&with(MLP, old, new));
    let named = DatasetRef { name: other.spec.dataset.clone(), ..dataset() };
    assert_ne!(other.trials(&named)[0].name, names(MLP)[0]);
}

#[rstest]
#[case("cpuHours: 2", "cpuHours: 200")]
#[case("cpu: \"1\"", "cpu: 1000m")]
#[case("memory: 512Mi", "memory: 0.5Gi")]
#[case("deadline: 30m", "deadline: 1800s")]
#[case(">= 0.94", ">=0.940")]
#[case("0.001", "1e-3")]
#[case("  budget", "  rerun: 1\n  budget")]
#[case("  budget", "  environments: [local, staging]\n  budget")]
#[case("  register", "  promote: never\n  register")]
#[case("  register", "  promote: {merge: [local]}\n  register")]
#[case("{architecture: mlp, dropout: 0.25}", "{dropout: 0.250, architecture: \"mlp\"} # the same")]
fn the_same_content_is_the_same_job(#[case] old: &str, #[case] new: &str) {
    assert_eq!(names(&with(MLP, old, new)), names(MLP));
}

#[test]
fn other_data_is_another_job() {
    let other = DatasetRef { digest: format!("sha256:{}", "f".repeat(64)), ..dataset() };
    assert_ne!(experiment(MLP).trials(&other)[0].name, names(MLP)[0]);
}

#[test]
fn a_sweep_with_one_value_more_keeps_its_other_jobs() {
    let before: BTreeSet<_> = names(CNN).into_iter().collect();
    let after: BTreeSet<_> = names(&with(CNN, "[0.001, 0.003]", "[0.003, 0.002, 0.001]")).into_iter().collect();
    assert!(after.is_superset(&before) && after.len() == 3);
}

#[test]
fn the_grid_is_every_combination_in_order() {
    let text = with(CNN, "  sweep:\n", "  sweep:\n    training.seed: [5, 4]\n    model.architecture: [mlp, cnn]\n");
    let trials = experiment(&with(&text, "cpuHours: 4", "cpuHours: 8")).trials(&dataset());
    let points: Vec<String> = trials
        .iter()
        .map(|trial| {
            let (model, training) = trial.work.built_in().expect("of the built-in trainer");
            format!("{} {} {}", model.architecture, training.optimizer.learning_rate, training.seed)
        })
        .collect();
    let expected = [
        "mlp 0.001 5",
        "mlp 0.001 4",
        "mlp 0.003 5",
        "mlp 0.003 4",
        "cnn 0.001 5",
        "cnn 0.001 4",
        "cnn 0.003 5",
        "cnn 0.003 4",
    ];
    assert_eq!(points, expected);
    assert_eq!(trials[0].parameters.len(), 3);
    assert_eq!(trials[0].parameters["training.seed"], 5);
}

#[test]
fn costs_are_bounded_by_the_deadline() {
    let experiment = experiment(CNN);
    let trials = experiment.trials(&dataset());
    assert_eq!(experiment.trial_cpu_hours(&trials[0]).to_string(), "1");
    assert_eq!(experiment.cpu_hours().to_string(), "2");
}

#[test]
fn a_trial_reads_back_from_its_json() {
    for trial in experiment(CNN).trials(&dataset()) {
        assert_eq!(Trial::from_json(&trial.to_json()).expect("a rendered trial"), trial);
    }
}

#[rstest]
#[case("\"workers\":2", "\"workers\":0", "workers is 0")]
#[case("\"workers\":2", "\"workers\":3", "training.batchSize is 64")]
#[case("\"epochs\":3", "\"epochs\":0", "training.epochs is 0")]
#[case("\"epochs\":3", "\"epochs\":-1", "invalid value")]
#[case("0.25", "1.5", "model.dropout is 1.5")]
#[case("\"learningRate\":0.001", "\"learningRate\":-1", "learningRate is -1")]
#[case("sha256:", "sha1:", "dataset.digest is sha1:")]
#[case("\"seed\":7", "\"seed\":7,\"sed\":8", "unknown field `sed`")]
#[case("\"cnn\"", "\"vgg\"", "unknown variant `vgg`")]
#[case(">= 0.95", "about 1", "is not a bound")]
fn a_damaged_trial_is_refused(#[case] old: &str, #[case] new: &str, #[case] message: &str) {
    let json = experiment(CNN).trials(&dataset())[0].to_json();
    let error: TrialError = Trial::from_json(&with(&json, old, new)).expect_err("the trial should be refused");
    assert!(error.to_string().contains(message), "{error}");
}
