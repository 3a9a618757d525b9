//! Rendered TrainJobs as snapshots. After an intended change: `INSTA_UPDATE=always cargo test --release -p slipway-experiment`.

use slipway_experiment::{Provenance, render};

use crate::text::{CNN, MLP, dataset, experiment, provenance, with};

#[test]
fn each_trial_of_a_sweep() {
    let experiment = experiment(CNN);
    let jobs: Vec<String> = experiment
        .trials(&dataset())
        .iter()
        .map(|trial| render(&experiment, trial, "experiments/mnist-cnn.yaml", &provenance()))
        .collect();
    insta::assert_snapshot!("sweep_first", jobs[0]);
    insta::assert_snapshot!("sweep_second", jobs[1]);
}

#[test]
fn without_commit_gate_and_dropout() {
    let text =
        with(&with(MLP, "  register: {model: mnist, require: {accuracy: \">= 0.94\"}}\n", ""), ", dropout: 0.25", "");
    let experiment = experiment(
        &with(&text, "cpu: \"1\", memory: 512Mi", "cpu: 1500m, memory: 1.5Gi").replace("cpuHours: 2", "cpuHours: 3"),
    );
    let image = format!("registry.example/slipway/trainer@sha256:{}", "c".repeat(64));
    let trial = &experiment.trials(&dataset())[0];
    insta::assert_snapshot!(render(
        &experiment,
        trial,
        "experiments/a folder/null: #.yaml",
        &Provenance { image, commit: None }
    ));
}
