use k8s_openapi::api::core::v1::{Event, Pod};

use super::*;
use crate::worker_status::WorkerEnd;

const FILE: &str = "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: a, namespace: training, labels: {slipway.dev/experiment: e}, annotations: {slipway.dev/experiment-file: e.yaml}}
spec:
  runtimeRef: {apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: slipway-torch}
  trainer: {image: i, command: [slipway-trainer], numNodes: 2, resourcesPerNode: {requests: {cpu: 500m}}}
";

fn listed(status: JobStatus) -> Listed {
    Listed { file: FILE.as_bytes().to_vec(), status, removed: None }
}

/// The objects as a client sees them, by kind.
fn shown(listed: &Listed) -> Vec<(Resource, Value)> {
    let object = |content: Content| (content.key.resource, super::super::object::Object::new(content).value());
    objects("a", listed).into_iter().map(object).collect()
}

fn of(all: &[(Resource, Value)], kind: Resource) -> Vec<&Value> {
    all.iter().filter(|(resource, _)| *resource == kind).map(|(_, value)| value).collect()
}

fn typed<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// Type and status of the conditions of an object.
fn conditions(object: &Value) -> Vec<(&str, &str)> {
    let all = object["status"]["conditions"].as_array().unwrap();
    all.iter().map(|one| (one["type"].as_str().unwrap(), one["status"].as_str().unwrap())).collect()
}

#[test]
fn a_job_that_waits_is_suspended_and_has_no_pods() {
    let all = shown(&listed(JobStatus::pending()));
    let train_job = of(&all, Resource::TrainJobs)[0];
    assert_eq!(train_job["spec"]["suspend"], true);
    assert_eq!(train_job["spec"]["trainer"]["numNodes"], 2, "the file is there as it is: {train_job}");
    assert_eq!(train_job["metadata"]["labels"]["slipway.dev/experiment"], "e");
    assert_eq!(train_job["metadata"]["annotations"]["slipway.dev/experiment-file"], "e.yaml");
    assert_eq!(conditions(train_job), [("Suspended", "True")]);
    assert_eq!(train_job["status"]["conditions"][0]["message"], "waiting for free CPUs");
    assert_eq!(train_job["status"]["jobsStatus"][0]["suspended"], 1);
    let job_set = of(&all, Resource::JobSets)[0];
    assert_eq!(job_set["metadata"]["ownerReferences"][0]["uid"], train_job["metadata"]["uid"]);
    assert_eq!((job_set["metadata"]["name"].as_str(), &job_set["spec"]["suspend"]), (Some("a"), &Value::Bool(true)));
    assert_eq!(all.len(), 2);
}

#[test]
fn the_pods_of_a_job_say_how_far_its_workers_are() {
    let mut status = JobStatus::pending().running(2);
    status.worker_started(0);
    let all = shown(&listed(status.clone()));
    assert_eq!(conditions(of(&all, Resource::TrainJobs)[0]), [("Suspended", "False")]);
    let pods = of(&all, Resource::Pods);
    let [first, second]: [Pod; 2] = [typed(pods[0]), typed(pods[1])];
    let labels = second.metadata.labels.unwrap();
    assert_eq!((labels[JOB_SET].as_str(), labels[RANK].as_str()), ("a", "1"));
    let name = first.metadata.name.unwrap();
    assert!(name.starts_with("a-node-0-0-") && name.len() == "a-node-0-0-xxxxx".len(), "{name}");
    let (first, second) = (first.status.unwrap(), second.status.unwrap());
    assert_eq!((first.phase.as_deref(), second.phase.as_deref()), (Some("Running"), Some("Pending")));
    let container =
        |status: &k8s_openapi::api::core::v1::PodStatus| status.container_statuses.clone().unwrap().remove(0);
    assert!(container(&first).ready && container(&first).name == NODE);
    assert_eq!(container(&second).state.unwrap().waiting.unwrap().reason.as_deref(), Some("ContainerCreating"));

    status.worker_ended(0, WorkerEnd { message: "no memory\n".repeat(1000), ..WorkerEnd::of_code(137) });
    let failed = shown(&listed(status.clone().failed("FailedJobs", "worker 0: killed by signal 9")));
    let pod: Pod = typed(of(&failed, Resource::Pods)[0]);
    let ended = container(&pod.status.unwrap()).state.unwrap().terminated.unwrap();
    assert_eq!((ended.exit_code, ended.reason.as_deref()), (137, Some("Error")));
    assert!(ended.message.unwrap().len() <= 2048);
    assert_eq!(conditions(of(&failed, Resource::TrainJobs)[0]), [("Suspended", "False"), ("Failed", "True")]);
    assert_eq!(of(&failed, Resource::JobSets)[0]["status"]["terminalState"], "Failed");
    assert!(of(&failed, Resource::Events).is_empty(), "its workers had started");

    // another attempt has other pods
    let again = JobStatus { restarts: 1, ..status }.running(2);
    let all = shown(&listed(again));
    assert_ne!(of(&all, Resource::Pods)[0]["metadata"]["name"], name);
    assert_eq!(of(&all, Resource::JobSets)[0]["status"]["restarts"], 1);
}

#[test]
fn a_complete_job_is_complete_everywhere() {
    let mut status = JobStatus::pending().running(1);
    status.worker_started(0);
    status.worker_ended(0, WorkerEnd::of_code(0));
    let all = shown(&listed(status.complete()));
    let train_job = of(&all, Resource::TrainJobs)[0];
    assert_eq!(conditions(train_job), [("Suspended", "False"), ("Complete", "True")]);
    assert_eq!(train_job["status"]["jobsStatus"][0]["succeeded"], 1);
    let job_set = of(&all, Resource::JobSets)[0];
    assert_eq!(
        (conditions(job_set), &job_set["status"]["terminalState"]),
        (vec![("Completed", "True")], &"Completed".into())
    );
    assert_eq!(of(&all, Resource::Pods)[0]["status"]["phase"], "Succeeded");
}

#[test]
fn what_goes_wrong_before_the_workers_start_is_a_warning() {
    let unprepared =
        shown(&listed(JobStatus::pending().running(1).failed("FailedJobs", "the packages cannot be installed")));
    let event: Event = typed(of(&unprepared, Resource::Events)[0]);
    assert_eq!(
        (event.type_.as_deref(), event.message.as_deref()),
        (Some("Warning"), Some("the packages cannot be installed"))
    );
    assert_eq!(event.involved_object.kind.as_deref(), Some("Pod"));
    let pod = of(&unprepared, Resource::Pods)[0];
    assert_eq!(event.involved_object.name.as_deref(), pod["metadata"]["name"].as_str());
    assert_eq!((&pod["status"]["phase"], &pod["status"]["reason"]), (&"Failed".into(), &"FailedPreparation".into()));

    let invalid = shown(&listed(JobStatus::pending().failed("InvalidTrainJob", "a.yaml:1:1: what is this")));
    let event: Event = typed(of(&invalid, Resource::Events)[0]);
    assert_eq!(
        (event.involved_object.kind.as_deref(), event.reason.as_deref()),
        (Some("TrainJob"), Some("InvalidTrainJob"))
    );
    assert!(of(&invalid, Resource::Pods).is_empty());
}

#[test]
fn a_removed_job_has_only_the_pods_that_still_run() {
    let mut status = JobStatus::pending().running(1);
    status.worker_started(0);
    let removed = Listed { removed: Some(OffsetDateTime::now_utc()), ..listed(status) };
    let all = shown(&removed);
    assert_eq!(all.len(), 1);
    let pod: Pod = typed(of(&all, Resource::Pods)[0]);
    assert!(pod.metadata.deletion_timestamp.is_some());
}

#[test]
fn a_file_that_cannot_be_read_is_an_object_all_the_same() {
    for file in [&b"\xff"[..], b"[", b"- a", b"metadata: 3\nspec: 4", b"metadata: {namespace: 7}"] {
        let status = JobStatus::pending().failed("InvalidTrainJob", "what is this");
        let all = shown(&Listed { file: file.to_vec(), status, removed: None });
        let train_job = of(&all, Resource::TrainJobs)[0];
        assert_eq!(
            (&train_job["metadata"]["name"], &train_job["metadata"]["namespace"]),
            (&"a".into(), &"training".into())
        );
        assert_eq!(conditions(train_job), [("Failed", "True")]);
    }
}

#[test]
fn a_loop_that_starts_again_shows_the_same_objects() {
    let status = JobStatus::pending().running(1).complete();
    assert_eq!(objects("a", &listed(status.clone())), objects("a", &listed(status)));
    let uid = |listed: &Listed| Job::new("a", listed).uid;
    let (one, other) = (listed(JobStatus::pending()), listed(JobStatus::pending()));
    assert_ne!(uid(&one), uid(&other), "one that was removed and added again is another");
}
