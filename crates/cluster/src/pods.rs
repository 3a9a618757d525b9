//! Why a pod does not run, or does not do what it should. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::fields::{condition, items, name, number, text};

/// What is wrong with a pod, or with one of its containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PodTrouble {
    /// The pod.
    pub pod: String,
    /// The container; empty when it is the pod itself.
    pub container: String,
    /// A word, such as `ImagePullBackOff` or `OOMKilled`.
    pub reason: String,
    /// More, where Kubernetes says more.
    pub message: String,
    /// The end of what the container printed.
    pub log: Vec<String>,
    /// Whether what it printed is that of the run before.
    #[serde(skip)]
    pub(crate) previous: bool,
}

impl PodTrouble {
    fn of_pod(pod: &Value, reason: &str, message: &str) -> Self {
        Self {
            pod: name(pod).to_owned(),
            container: String::new(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            log: Vec::new(),
            previous: false,
        }
    }
}

/// Everything that is wrong with a pod.
pub(crate) fn troubles(pod: &Value) -> Vec<PodTrouble> {
    if !text(pod, "/metadata/deletionTimestamp").is_empty() || text(pod, "/status/phase") == "Succeeded" {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|one| text(one, "/status") == "False") {
        found.push(PodTrouble::of_pod(pod, text(scheduled, "/reason"), text(scheduled, "/message")));
    }
    for list in ["/status/initContainerStatuses", "/status/containerStatuses"] {
        for status in items(pod, list) {
            found.extend(container(pod, status, list.contains("init")));
        }
    }
    if found.is_empty() && text(pod, "/status/phase") == "Failed" {
        // evicted or preempted as a whole
        found.push(PodTrouble::of_pod(pod, text(pod, "/status/reason"), text(pod, "/status/message")));
    }
    found
}

fn container(pod: &Value, status: &Value, init: bool) -> Option<PodTrouble> {
    let trouble = |reason: &str, message: String, previous| PodTrouble {
        container: text(status, "/name").to_owned(),
        previous,
        ..PodTrouble::of_pod(pod, reason, &message)
    };
    let restarts = number(status, "/restartCount").unwrap_or(0);
    if let Some(waiting) = status.pointer("/state/waiting") {
        let reason = text(waiting, "/reason");
        // on its way
        if matches!(reason, "ContainerCreating" | "PodInitializing" | "") {
            return None;
        }
        let mut message = text(waiting, "/message").to_owned();
        if let Some(ended) = status.pointer("/lastState/terminated") {
            message = format!("{message}; it ended with {}", ending(ended));
        }
        return Some(trouble(reason, message, reason == "CrashLoopBackOff"));
    }
    if let Some(ended) = status.pointer("/state/terminated") {
        let done = number(ended, "/exitCode") == Some(0);
        return (!done).then(|| trouble(text(ended, "/reason"), ending(ended), false));
    }
    let ready = status.get("ready").and_then(Value::as_bool).unwrap_or(false);
    if !ready && !init && status.pointer("/state/running").is_some() {
        let message = match status.pointer("/lastState/terminated") {
            Some(ended) => format!("restarted {restarts} times; the last one ended with {}", ending(ended)),
            None => "it runs, and its readiness probe does not succeed".to_owned(),
        };
        return Some(trouble("NotReady", message, false));
    }
    None
}

/// `exit code 137 (OOMKilled)`
fn ending(ended: &Value) -> String {
    let (code, reason, message) = (number(ended, "/exitCode"), text(ended, "/reason"), text(ended, "/message"));
    let code = code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit code {code}"));
    let reason = if reason.is_empty() || reason == "Error" { String::new() } else { format!(" ({reason})") };
    let message = if message.is_empty() { String::new() } else { format!(": {}", message.trim()) };
    format!("{code}{reason}{message}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn pod(status: Value) -> Value {
        json!({"metadata": {"name": "p"}, "status": status})
    }

    fn one(state: Value, last: Value, ready: bool) -> Value {
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
    fn what_is_wrong_has_a_word_and_a_reason(#[case] pod: Value, #[case] reason: &str, #[case] message: &str) {
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
