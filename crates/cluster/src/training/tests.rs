//! What the objects of a TrainJob mean. The messages are those of Kubernetes 1.33 to 1.35, Kubeflow Trainer 2.3, JobSet 0.10 and Kueue 0.14.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Event, Pod};
use rstest::rstest;
use serde_json::{Value, json};

use super::{State, TrainJob, Training, Warning, WorkerPod};

const JOB: &str = "digits-0a1b2c3d";

fn job(spec: &Value, status: &Value) -> TrainJob {
    let mut object = json!({
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {
            "name": JOB, "namespace": "training", "uid": "1", "resourceVersion": "7", "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {"slipway.dev/experiment": "digits"}, "managedFields": [{"manager": "argocd", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "activeDeadlineSeconds": 1800, "runtimeRef": {"name": "slipway-torch"},
            "trainer": {"image": "registry.example.org/trainer:1", "numNodes": 2, "env": [{"name": "A", "value": "1"}]},
        },
        "status": status,
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn pod(rank: u32, status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": format!("{JOB}-node-0-{rank}-x7k2p"), "creationTimestamp": format!("2026-01-02T03:05:0{rank}Z"),
            "labels": {"jobset.sigs.k8s.io/jobset-name": JOB, "batch.kubernetes.io/job-completion-index": rank.to_string()},
        },
        "spec": {"nodeName": "node-a", "containers": [{"name": "node"}]},
        "status": status,
    }))
    .unwrap()
}

fn container(phase: &str, state: &Value) -> Value {
    json!({"phase": phase, "containerStatuses": [
        {"name": "node", "image": "registry.example.org/trainer:1", "imageID": "", "ready": false, "restartCount": 0, "state": state}
    ]})
}

fn running() -> Value {
    container("Running", &json!({"running": {"startedAt": "2026-01-02T03:05:30Z"}}))
}

fn waits(reason: &str, message: &str) -> Value {
    container("Pending", &json!({"waiting": {"reason": reason, "message": message}}))
}

fn ended(code: i32, reason: &str, message: &str) -> Value {
    let state = json!({"exitCode": code, "reason": reason, "message": message, "startedAt": "2026-01-02T03:05:30Z"});
    container("Failed", &json!({ "terminated": state }))
}

fn unscheduled(message: &str) -> Value {
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message});
    json!({"phase": "Pending", "conditions": [condition]})
}

fn warning(kind: &str, about: &str, reason: &str, message: &str) -> Value {
    json!({
        "metadata": {"name": format!("{about}.{reason}")}, "type": "Warning", "reason": reason, "message": message,
        "involvedObject": {"kind": kind, "name": about}, "lastTimestamp": "2026-01-02T03:06:00Z",
    })
}

fn failed(reason: &str, message: &str) -> Value {
    let time = "2026-01-02T04:04:05Z";
    json!({"conditions": [
        {"type": "Suspended", "status": "False", "reason": "Resumed", "message": "TrainJob is resumed", "lastTransitionTime": time},
        {"type": "Failed", "status": "True", "reason": reason, "message": message, "lastTransitionTime": time},
    ]})
}

fn training(job: &TrainJob, pods: &[Value], warnings: &[Value]) -> Training {
    let pods: Vec<WorkerPod> = (0..).zip(pods).filter_map(|(rank, status)| WorkerPod::of(&pod(rank, status))).collect();
    let warnings: Vec<Warning> = warnings.iter().filter_map(|one| Warning::of(event(one))).collect();
    Training::of(job, None, &pods.iter().collect::<Vec<_>>(), &warnings.iter().collect::<Vec<_>>())
}

fn event(event: &Value) -> Event {
    serde_json::from_value(event.clone()).unwrap()
}

/// Why a job without a status, with these pods and warnings, waits.
fn hindrance(pods: &[Value], warnings: &[Value]) -> (String, String) {
    let training = training(&job(&json!({}), &json!({})), pods, warnings);
    assert_eq!(training.state, State::Waiting);
    training.hindrance.map(|one| (one.reason, one.advice)).unwrap_or_default()
}

fn child() -> String {
    format!("{JOB}-node-0")
}

#[rstest]
#[case::quota(
    "Error creating: pods \"digits-0a1b2c3d-node-0-0-x7k2p\" is forbidden: exceeded quota: compute, requested: requests.cpu=1, used: requests.cpu=4, limited: requests.cpu=4",
    "the namespace's quota compute, requested: requests.cpu=1, used: requests.cpu=4, limited: requests.cpu=4",
    "It starts when other jobs have ended."
)]
#[case::service_account(
    "Error creating: pods \"digits-0a1b2c3d-node-0-0-\" is forbidden: error looking up service account training/trainer: serviceaccount \"trainer\" not found",
    "its service account is missing: error looking up service account training/trainer: serviceaccount \"trainer\" not found",
    "trainer-runtime brings it"
)]
#[case::pod_security(
    "Error creating: pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": runAsNonRoot != true (pod or container \"node\" must set securityContext.runAsNonRoot=true)",
    "the namespace does not allow its pods: they violate \"restricted:latest\": runAsNonRoot",
    "base/trainer-runtime"
)]
#[case::limit(
    "Error creating: pods \"x\" is forbidden: [maximum cpu usage per Container is 2, but limit is 4, maximum memory usage per Container is 1Gi, but limit is 8Gi]",
    "a limit of the namespace forbids it: [maximum cpu usage per Container is 2",
    "LimitRange"
)]
#[case::webhook(
    "Error creating: admission webhook \"policy.example.org\" denied the request: images must be signed",
    "the webhook \"policy.example.org\" refuses it: images must be signed",
    "Change what it refuses"
)]
#[case::webhook_away(
    "Error creating: Internal error occurred: failed calling webhook \"policy.example.org\": failed to call webhook: Post \"https://policy.svc\": connection refused",
    "a webhook of the cluster does not answer: Error creating",
    "tried again by itself"
)]
#[case::priority(
    "Error creating: pods \"x\" is forbidden: no PriorityClass with name high was found",
    "no PriorityClass with name high was found",
    "priority class"
)]
fn a_pod_that_cannot_be_made_says_why(#[case] message: &str, #[case] reason: &str, #[case] advice: &str) {
    let warnings = [warning("Job", &child(), "FailedCreate", message)];
    for pods in [&[][..], &[running()]] {
        let found = hindrance(pods, &warnings);
        assert!(found.0.starts_with(reason) && found.1.contains(advice), "{found:?}");
    }
    // it was made in the end
    assert_eq!(training(&job(&json!({}), &json!({})), &[running(), running()], &warnings).hindrance, None);
}

#[rstest]
#[case::of_a_train_job(
    "TrainJob",
    JOB,
    "TrainJobResourcesCreationFailed",
    "admission webhook \"vjobset.kb.io\" denied the request: spec.x: Invalid value",
    "the webhook \"vjobset.kb.io\" refuses it: spec.x"
)]
#[case::of_a_job_set("JobSet", JOB, "JobCreationFailed", "jobs.batch is forbidden: no", "JobCreationFailed: no")]
fn what_a_controller_could_not_make_is_said(
    #[case] kind: &str,
    #[case] about: &str,
    #[case] reason: &str,
    #[case] message: &str,
    #[case] expected: &str,
) {
    let found = hindrance(&[], &[warning(kind, about, reason, message)]);
    assert!(found.0.starts_with(expected), "{found:?}");
    // how an attempt ended is no reason why the next one does not begin
    let ended = warning("Job", &child(), "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    assert_eq!(hindrance(&[], &[ended]), <_>::default());
}

#[rstest]
#[case::missing(
    waits("ErrImagePull", "rpc error: code = NotFound desc = failed to pull and unpack image \"r/t:1\": not found"),
    "its image registry.example.org/trainer:1 cannot be pulled: rpc error",
    "Push it"
)]
#[case::not_allowed(
    waits(
        "ImagePullBackOff",
        "Back-off pulling image \"r/t:1\": ErrImagePull: pull access denied, insufficient_scope: authorization failed"
    ),
    "its image registry.example.org/trainer:1 cannot be pulled: Back-off",
    "may not pull it"
)]
#[case::unreachable(
    waits("ErrImagePull", "dial tcp: lookup registry.example.org: no such host"),
    "its image",
    "cannot reach the registry"
)]
#[case::invalid(
    waits("InvalidImageName", "couldn't parse image name"),
    "`registry.example.org/trainer:1` is not a name",
    "Correct the image"
)]
#[case::secret(
    waits("CreateContainerConfigError", "secret \"trainer-s3\" not found"),
    "something that its container needs is missing: secret \"trainer-s3\" not found",
    "Secret"
)]
#[case::program(
    waits("RunContainerError", "exec: \"slipway-launch\": executable file not found in $PATH"),
    "its program cannot be started: exec",
    "holds the program"
)]
#[case::cpu(
    unscheduled(
        "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    ),
    "no node can take it: 0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient cpu",
    "ask for less"
)]
#[case::gpu(
    unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
    "no node can take it: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu",
    "ask for less"
)]
#[case::selector(
    unscheduled("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
    "no node can take it",
    "labels"
)]
#[case::taint(
    unscheduled("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}."),
    "no node can take it",
    "taint"
)]
#[case::volume(
    unscheduled("0/1 nodes are available: persistentvolumeclaim \"cache\" not found."),
    "no node can take it",
    "PersistentVolumeClaims"
)]
#[case::unbound(
    unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
    "no node can take it",
    "PersistentVolumeClaims"
)]
fn a_pod_that_waits_says_why(#[case] status: Value, #[case] reason: &str, #[case] advice: &str) {
    // the other worker runs, and waits for this one
    let found = hindrance(&[running(), status], &[]);
    assert!(found.0.starts_with(reason) && found.1.contains(advice), "{found:?}");
    assert!(!found.0.contains("preemption"), "{found:?}");
}

#[test]
fn warnings_say_what_a_pod_leaves_out() {
    let name = format!("{JOB}-node-0-0-x7k2p");
    let pull = warning("Pod", &name, "Failed", "Failed to pull image \"r/t:1\": manifest unknown");
    let found = hindrance(&[waits("ImagePullBackOff", "Back-off pulling image \"r/t:1\"")], &[pull]);
    assert!(found.0.ends_with("cannot be pulled: manifest unknown") && found.1.starts_with("Push it"), "{found:?}");
    let mount = "MountVolume.SetUp failed for volume \"keys\" : secret \"keys\" not found";
    let mount = warning("Pod", &name, "FailedMount", mount);
    let found = hindrance(&[waits("ContainerCreating", ""), running()], &[mount]);
    assert!(found.0.starts_with("one of its volumes is not there: MountVolume"), "{found:?}");
    // a warning about a pod of an attempt before
    let old = warning("Pod", &format!("{JOB}-node-0-0-aaaaa"), "FailedMount", "gone");
    assert_eq!(hindrance(&[waits("ContainerCreating", "")], &[old]), <_>::default());
}

#[rstest]
#[case::by_hand("TrainJob is suspended", &[], "it is suspended", "by hand")]
#[case::on_one_machine("waiting for free CPUs", &[], "waiting for free CPUs", "other jobs")]
#[case::kueue("TrainJob is suspended", &[warning("Workload", "trainjob-digits-0a1b2c3d-5f2a1", "Pending", "couldn't assign flavors to pod set node: insufficient unused quota for cpu in flavor default, 2 more needed")],
    "its queue has no room yet: couldn't assign flavors", "other jobs")]
fn a_job_that_is_held_back_says_by_what(
    #[case] message: &str,
    #[case] warnings: &[Value],
    #[case] reason: &str,
    #[case] advice: &str,
) {
    let status =
        json!({"conditions": [{"type": "Suspended", "status": "True", "reason": "Suspended", "message": message}]});
    for job in [job(&json!({}), &status), job(&json!({"suspend": true}), &status)] {
        let hindrance = training(&job, &[], warnings).hindrance.unwrap();
        assert!(hindrance.reason.starts_with(reason) && hindrance.advice.contains(advice), "{hindrance:?}");
    }
}

#[rstest]
#[case::data(&[ended(3, "Error", "{\"timestamp\":\"t\",\"level\":\"ERROR\",\"event\":\"failed\",\"message\":\"the dataset mnist has another digest\",\"target\":\"slipway_trainer\"}\n"), ended(8, "Error", "rank 0 was lost")],
    None, "the trial, its data or its program is not valid: the dataset mnist has another digest. Correct it")]
#[case::peer_last(&[ended(8, "Error", "lost"), ended(6, "Error", "MLflow is down")], None, "MLflow or the dataset store does not answer, or refuses: MLflow is down")]
#[case::gate(&[ended(7, "Error", "accuracy is NaN")], None, "the metric that the gate asks for is missing or not a number: accuracy is NaN")]
#[case::log(&[ended(1, "Error", "Traceback:\n  File x\nValueError: bad\n\n")], None, "a worker failed: ValueError: bad")]
#[case::silent(&[ended(1, "Error", "")], None, "a worker failed: exit code 1")]
#[case::memory(&[ended(8, "Error", "rank 1 was lost"), ended(137, "OOMKilled", "")], Some("a worker ran out of memory"), "")]
#[case::evicted(&[json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})], Some("a worker was taken off its node: The node was low"), "")]
#[case::start(&[ended(128, "StartError", "exec: \"x\": not found")], Some("its program cannot be started"), "")]
#[case::nothing_left(&[], None, "jobset failed due to one or more job failures")]
fn a_job_that_failed_says_why(#[case] pods: &[Value], #[case] hindrance: Option<&str>, #[case] message: &str) {
    let status = failed("FailedJobs", "jobset failed due to one or more job failures");
    let found = training(&job(&json!({}), &status), pods, &[]);
    assert_eq!(found.state, State::Failed);
    assert_eq!(found.ended.map(|time| time.to_string()).as_deref(), Some("2026-01-02T04:04:05Z"));
    let reason = found.hindrance.as_ref().map(|one| one.reason.as_str());
    assert_eq!(reason.is_some(), hindrance.is_some(), "{found:?}");
    assert!(reason.unwrap_or_default().starts_with(hindrance.unwrap_or_default()), "{found:?}");
    assert!(found.message.starts_with(message), "{found:?}");
}

#[rstest]
#[case::store(&ended(6, "Error", "the dataset store does not answer"), "its last attempt failed: MLflow or the dataset store does not answer, or refuses: the dataset store", "a few times")]
#[case::killed(&ended(137, "Error", ""), "its last attempt failed: a worker was killed: exit code 137", "spec.workers.memory")]
#[case::memory(&ended(137, "OOMKilled", ""), "its last attempt failed: a worker ran out of memory", "spec.workers.memory")]
fn a_job_that_waits_for_its_next_attempt_says_how_the_last_one_ended(
    #[case] status: &Value,
    #[case] reason: &str,
    #[case] advice: &str,
) {
    let job = job(&json!({}), &json!({}));
    // the other worker has not started
    let failed = training(&job, &[status.clone(), waits("ContainerCreating", "")], &[]);
    let hindrance = failed.hindrance.clone().unwrap();
    assert!(hindrance.reason.starts_with(reason) && hindrance.advice.contains(advice), "{hindrance:?}");
    // its pods are gone, and the next ones are on their way, or not made yet
    for pods in [vec![waits("ContainerCreating", ""), waits("ContainerCreating", "")], vec![]] {
        let next = training(&job, &pods, &[]);
        assert_eq!(next.hindrance, None);
        assert_eq!(next.after(&failed).hindrance, Some(hindrance.clone()));
    }
    // it runs, and fails again without having said why
    let runs = training(&job, &[running(), running()], &[]).after(&failed);
    assert_eq!((runs.state, &runs.hindrance), (State::Running, &None));
    assert_eq!(training(&job, &[], &[]).after(&runs).hindrance, Some(hindrance));
    // what holds back the next one is newer
    let held = training(&job, &[unscheduled("0/1 nodes are available: 1 Insufficient cpu."), running()], &[]);
    assert!(held.after(&failed).hindrance.unwrap().reason.starts_with("no node"));
    // another job of the same name
    let mut other = training(&job, &[], &[]);
    other.created = None;
    assert_eq!(other.after(&failed).hindrance, None);
}

#[test]
fn a_job_that_ran_out_of_time_says_how_much_it_had() {
    let status = failed("DeadlineExceeded", "TrainJob exceeded its active deadline");
    let found = training(&job(&json!({}), &status), &[ended(143, "Error", "stopped")], &[]).hindrance.unwrap();
    assert_eq!(found.reason, "it ran longer than its deadline of 1800 s");
    assert!(found.advice.contains("spec.budget.deadline"), "{found:?}");
}

#[test]
fn a_training_runs_once_all_of_its_workers_have_started() {
    let reported = json!({"trainerStatus": {
        "progressPercentage": 40, "estimatedRemainingSeconds": 90, "lastUpdatedTime": "2026-01-02T03:07:00Z",
        "metrics": [{"name": "loss", "value": "0.25"}, {"name": "note", "value": "x"}],
    }});
    let job = job(&json!({}), &reported);
    let one = training(&job, &[running(), waits("ContainerCreating", "")], &[]);
    assert_eq!((one.state, one.hindrance, one.progress), (State::Waiting, None, None));
    let both = training(&job, &[running(), running()], &[]);
    assert_eq!((both.state, both.wanted, both.workers.len()), (State::Running, 2, 2));
    let progress = both.progress.unwrap();
    assert_eq!((progress.percent, progress.remaining_seconds), (40, Some(90)));
    assert_eq!(both.metrics, [("loss".to_owned(), 0.25)].into());
    assert_eq!(both.started.map(|time| time.to_string()).as_deref(), Some("2026-01-02T03:05:30Z"));
    assert_eq!(both.created.map(|time| time.to_string()).as_deref(), Some("2026-01-02T03:04:05Z"));
    assert_eq!(both.experiment.as_deref(), Some("digits"));
    assert_eq!(
        (both.workers[1].rank, both.workers[1].node.as_str(), both.workers[1].phase.as_str()),
        (1, "node-a", "Running")
    );
    assert_eq!(training(&job, &[], &[]).state, State::Waiting);
}

#[test]
fn a_finished_job_stays_finished_without_its_pods() {
    let status = json!({"conditions": [{"type": "Complete", "status": "True", "reason": "AllJobsCompleted", "message": "",
        "lastTransitionTime": "2026-01-02T04:04:05Z"}]});
    let found = training(&job(&json!({}), &status), &[], &[]);
    assert_eq!((found.state, found.hindrance.is_none()), (State::Finished, true));
}

#[test]
fn of_two_pods_of_a_rank_the_newer_one_counts() {
    let job = job(&json!({"trainer": {"numNodes": 1}}), &json!({}));
    let mut old = pod(0, &ended(137, "OOMKilled", ""));
    old.metadata.name = Some("old".to_owned());
    old.metadata.creation_timestamp = None;
    let mut going = pod(0, &running());
    going.metadata.deletion_timestamp = going.metadata.creation_timestamp.clone();
    let new = pod(0, &waits("ContainerCreating", ""));
    let pods: Vec<WorkerPod> = [&old, &new, &going].into_iter().filter_map(WorkerPod::of).collect();
    let set = serde_json::from_value(json!({"metadata": {"name": JOB}, "status": {"restarts": 2}})).unwrap();
    let found = Training::of(&job, Some(&set), &pods.iter().collect::<Vec<_>>(), &[]);
    assert_eq!((found.state, found.workers.len()), (State::Waiting, 1));
    assert_eq!((found.workers[0].phase.as_str(), found.workers[0].restarts), ("Pending", 2));
}

#[test]
fn a_warning_belongs_to_the_job_with_the_longest_name_that_fits() {
    let jobs: BTreeSet<String> = ["a-1", "a-1-b", "c"].map(str::to_owned).into();
    let of = |kind: &str, about: &str| {
        let warning = Warning::of(event(&warning(kind, about, "X", ""))).unwrap();
        warning.job(&jobs).map(str::to_owned)
    };
    assert_eq!(of("TrainJob", "a-1").as_deref(), Some("a-1"));
    assert_eq!(of("Pod", "a-1-node-0-0-x7k2p").as_deref(), Some("a-1"));
    assert_eq!(of("Job", "a-1-b-node-0").as_deref(), Some("a-1-b"));
    assert_eq!(of("Workload", "trainjob-c-5f2a1").as_deref(), Some("c"));
    assert_eq!(of("Pod", "a-10-node-0"), None);
    assert_eq!(of("Pod", "other"), None);
}

#[test]
fn what_no_train_job_has_is_nothing() {
    let alone: Pod = serde_json::from_value(json!({"metadata": {"name": "x"}})).unwrap();
    assert_eq!(WorkerPod::of(&alone), None);
    let normal = json!({"metadata": {"name": "x"}, "type": "Normal", "involvedObject": {}});
    assert_eq!(Warning::of(event(&normal)), None);
}
