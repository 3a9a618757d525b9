//! Rendered TrainJobs as snapshots. After an intended change: `INSTA_UPDATE=always cargo test --release -p slipway-experiment`.

use slipway_experiment::{Provenance, read_job, render};

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

/// Jobs that ran already keep their bytes: the worker's part of a TrainJob cannot change.
#[test]
fn a_file_that_names_its_commit_stays_as_it_is() {
    let experiment = experiment(CNN);
    let trial = &experiment.trials(&dataset())[0];
    let before = Provenance { commit: Some("0123456789".repeat(4)), blob: None, ..provenance() };
    let job = render(&experiment, trial, "experiments/mnist-cnn.yaml", &before);
    insta::assert_snapshot!("names_its_commit", job);
    let read = read_job("job.yaml", &job).unwrap();
    assert_eq!(render(&experiment, trial, read.experiment_file().unwrap(), &read.provenance()), job);
}

#[test]
fn without_blob_gate_and_dropout() {
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
        &Provenance { image, blob: None, commit: None, program_tree: None }
    ));
}

/// YAML 1.1, which Kubernetes reads, has more words for true and false than YAML 1.2.
#[test]
fn a_name_that_yaml_may_read_as_something_else_is_quoted() {
    for name in ["no", "y", "n", "yes", "on", "off", "true", "false", "null", "inf", "nan"] {
        // a file may quote its name, and has to if YAML 1.2 would not read it as a text
        let experiment = experiment(&with(CNN, "name: mnist-cnn", &format!("name: \"{name}\"")));
        let trial = &experiment.trials(&dataset())[0];
        let job = render(&experiment, trial, "experiments/mnist-cnn.yaml", &provenance());
        assert!(job.contains(&format!("labels: {{slipway.dev/experiment: \"{name}\"}}\n")), "{job}");
        let read = slipway_source::documents(&job).unwrap().remove(0).to_json();
        assert_eq!(read["metadata"]["labels"]["slipway.dev/experiment"], name, "{job}");
        assert_eq!(read["metadata"]["name"], trial.name.as_str(), "{job}");
    }
}
