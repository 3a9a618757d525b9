//! Why a pod does not run, or does not do what it should. Pure.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::ResourceExt as _;
use serde::Serialize;

/// What is wrong with a pod, or with one of its containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodTrouble {
    /// The pod's name.
    pub pod: String,
    /// The container's name; empty if the pod as a whole has the trouble.
    pub container: String,
    /// A word, such as `ImagePullBackOff` or `OOMKilled`.
    pub reason: String,
    /// More, where Kubernetes says more.
    pub message: String,
    /// The last lines that the container printed.
    pub log: Vec<String>,
    /// Whether the log to read is that of the run before.
    #[serde(skip)]
    pub(crate) previous: bool,
}

impl PodTrouble {
    fn of_pod(pod: &Pod, reason: Option<&String>, message: Option<&String>) -> Self {
        Self {
            pod: pod.name_any(),
            container: String::new(),
            reason: reason.cloned().unwrap_or_default(),
            message: message.cloned().unwrap_or_default(),
            log: Vec::new(),
            previous: false,
        }
    }
}

/// Everything that is wrong with a pod.
pub(crate) fn troubles(pod: &Pod) -> Vec<PodTrouble> {
    let Some(status) = pod.status.as_ref().filter(|_| pod.metadata.deletion_timestamp.is_none()) else {
        return Vec::new();
    };
    if status.phase.as_deref() == Some("Succeeded") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let conditions = status.conditions.iter().flatten();
    for unscheduled in conditions.filter(|one| one.type_ == "PodScheduled" && one.status == "False").take(1) {
        found.push(PodTrouble::of_pod(pod, unscheduled.reason.as_ref(), unscheduled.message.as_ref()));
    }
    let init = status.init_container_statuses.iter().flatten().map(|status| (status, true));
    let main = status.container_statuses.iter().flatten().map(|status| (status, false));
    found.extend(init.chain(main).filter_map(|(status, init)| container(pod, status, init)));
    if found.is_empty() && status.phase.as_deref() == Some("Failed") {
        // evicted or preempted as a whole
        found.push(PodTrouble::of_pod(pod, status.reason.as_ref(), status.message.as_ref()));
    }
    found
}

fn container(pod: &Pod, status: &ContainerStatus, init: bool) -> Option<PodTrouble> {
    let trouble = |reason: &str, message: String, previous| PodTrouble {
        container: status.name.clone(),
        previous,
        ..PodTrouble::of_pod(pod, Some(&reason.to_owned()), Some(&message))
    };
    let state = status.state.as_ref()?;
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref());
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        // about to start
        if matches!(reason, "ContainerCreating" | "PodInitializing" | "") {
            return None;
        }
        let mut message = waiting.message.clone().unwrap_or_default();
        if let Some(ended) = last {
            message = format!("{message}; it ended with {}", ending(ended));
        }
        return Some(trouble(reason, message, reason == "CrashLoopBackOff"));
    }
    if let Some(ended) = &state.terminated {
        let reason = ended.reason.as_deref().unwrap_or_default();
        return (ended.exit_code != 0).then(|| trouble(reason, ending(ended), false));
    }
    if !status.ready && !init && state.running.is_some() {
        let message = match last {
            Some(ended) => {
                format!("restarted {} times; the last run ended with {}", status.restart_count, ending(ended))
            }
            None => "it runs, but its readiness probe does not succeed".to_owned(),
        };
        return Some(trouble("NotReady", message, false));
    }
    None
}

/// `exit code 137 (OOMKilled)`
fn ending(ended: &ContainerStateTerminated) -> String {
    let reason = ended.reason.as_deref().filter(|reason| !reason.is_empty() && *reason != "Error");
    let message = ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("exit code {}{reason}{message}", ended.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    fn one(state: Value, last: Value, ready: bool) -> Pod {
        pod(json!({"phase": "Running", "containerStatuses": [
            {"name": "c", "ready": ready, "restartCount": 3, "state": state, "lastState": last}
        ]}))
    }

    #[rstest]
    #[case(one(json!({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}), json!({}), false), "ImagePullBackOff", "not found")]
    #[case(one(json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}),
        json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}), false), "CrashLoopBackOff", "exit code 137 (OOMKilled)")]
    #[case(one(json!({"terminated": {"exitCode": 1, "reason": "Error", "message": "digest differs\n"}}), json!({}), false), "Error", "exit code 1: digest differs")]
    #[case(one(json!({"running": {}}), json!({}), false), "NotReady", "readiness probe")]
    #[case(pod(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "Insufficient memory"}]})), "Unschedulable", "Insufficient memory")]
    #[case(pod(json!({"phase": "Failed", "reason": "Evicted", "message": "disk pressure"})), "Evicted", "disk pressure")]
    fn what_is_wrong_has_a_word_and_a_reason(#[case] pod: Pod, #[case] reason: &str, #[case] message: &str) {
        let found = troubles(&pod);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].reason, reason);
        assert!(found[0].message.contains(message), "{found:?}");
        assert_eq!(found[0].previous, reason == "CrashLoopBackOff");
    }

    #[test]
    fn what_is_well_or_on_its_way_is_no_trouble() {
        for pod in [
            one(json!({"running": {}}), json!({}), true),
            one(json!({"waiting": {"reason": "ContainerCreating"}}), json!({}), false),
            one(json!({"terminated": {"exitCode": 0}}), json!({}), false),
            pod(json!({"phase": "Succeeded"})),
        ] {
            assert_eq!(troubles(&pod), []);
        }
    }
}
