//! Reading TrainJobs, edited ones included.

use rstest::rstest;
use slipway_experiment::{read_job, render};

use crate::text::{CNN, dataset, experiment, provenance, with};

const FILE: &str = "experiments/mnist-cnn.yaml";

fn rendered() -> String {
    let experiment = experiment(CNN);
    render(&experiment, &experiment.trials(&dataset())[0], FILE, &provenance())
}

#[test]
fn everything_that_a_run_needs() {
    let job = read_job("job.yaml", &rendered()).unwrap();
    let trial = &experiment(CNN).trials(&dataset())[0];
    assert_eq!(
        (job.name.as_str(), job.namespace.as_str(), job.runtime.as_str()),
        (trial.name.as_str(), "training", "slipway-torch")
    );
    assert_eq!((job.num_nodes, job.num_proc_per_node, job.active_deadline_seconds), (2, 1, 1800));
    assert_eq!((job.cpu_millis, job.memory_bytes), (1000, 512 << 20));
    assert_eq!((job.command.as_slice(), job.args.len()), (["slipway-trainer".to_owned()].as_slice(), 0));
    assert_eq!(job.env_var("OMP_NUM_THREADS"), Some("1"));
    assert_eq!(job.env_var("SLIPWAY_EXPERIMENT_FILE"), Some(FILE));
    assert_eq!(job.env_var("SLIPWAY_EXPERIMENT_BLOB"), provenance().blob.as_deref());
    assert_eq!((job.experiment(), job.experiment_file()), (Some("mnist-cnn"), Some(FILE)));
    assert_eq!(job.provenance(), provenance());
    assert_eq!(job.trial().unwrap().as_ref(), Some(trial));
}

#[rstest]
#[case("numNodes: 2", "numNode: 2", 17, 5, "unknown-field")]
#[case("numNodes: 2", "numNodes: two", 17, 15, "wrong-type")]
#[case("kind: TrainJob", "kind: PyTorchJob", 3, 7, "wrong-kind")]
#[case("v1alpha1", "v1", 2, 13, "wrong-api-version")]
#[case("command: [slipway-trainer]", "command: []", 16, 14, "out-of-range")]
#[case("value: \"1\"", "value: 1", 20, 40, "wrong-type")]
#[case("name: OMP_NUM_THREADS", "name: PET_NNODES", 20, 9, "reserved-env")]
#[case("name: OMP_NUM_THREADS", "name: SLIPWAY_TRIAL", 21, 9, "wrong-value")]
#[case("memory: 512Mi", "memory: 2gb", 24, 53, "wrong-unit")]
#[case("kind: ClusterTrainingRuntime", "kind: TrainingRuntime", 13, 54, "wrong-value")]
#[case("  activeDeadlineSeconds: 1800\n", "", 12, 3, "missing-field")]
#[case("  trainer:\n", "  suspend: true\n  trainer:\n", 14, 3, "unknown-field")]
fn an_edited_job_is_refused(
    #[case] old: &str,
    #[case] new: &str,
    #[case] line: usize,
    #[case] column: usize,
    #[case] code: &str,
) {
    let finding = read_job("job.yaml", &with(&rendered(), old, new)).unwrap_err();
    assert_eq!((finding.line, finding.column, finding.code), (line, column, code), "{finding:#?}");
}

#[test]
fn an_edited_trial_is_refused() {
    let job = read_job("job.yaml", &with(&rendered(), "\"epochs\":3", "\"epochs\":0")).unwrap();
    assert!(job.trial().is_err());
}
