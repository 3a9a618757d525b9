//! Why something that a TrainJob needs could not be made, from the warning about it.

use super::hindrance::{Hindrance, one_line};
use super::warning::Warning;

/// What a warning about a TrainJob, its JobSet, its Jobs or a pod of theirs means.
pub(super) fn of_warning(warning: &Warning) -> Hindrance {
    explained(&warning.reason, &warning.message)
}

/// What it means that the API server refused an object.
pub(crate) fn of_refusal(message: &str) -> Hindrance {
    explained("the cluster refuses it", &one_line(message))
}

fn explained(reason: &str, message: &str) -> Hindrance {
    // `Error creating: pods "…" is forbidden: …` names a pod that does not exist
    let said = message.split_once(" is forbidden: ").map_or(message, |(_, rest)| rest);
    if let Some((_, quota)) = message.split_once("exceeded quota: ") {
        return Hindrance::new(
            format!("the namespace's quota {quota}"),
            "It starts when other jobs have ended. If it asks for more than the quota allows at all, ask for less in spec.workers, or raise the quota.",
        );
    }
    if let Some((_, rest)) = message.split_once("violates PodSecurity ") {
        return Hindrance::new(
            format!("the namespace does not allow its pods: they violate {rest}"),
            "Correct what the runtime asks for: base/trainer-runtime.",
        );
    }
    if let Some((_, rest)) = message.split_once("admission webhook ")
        && let Some((webhook, why)) = rest.split_once(" denied the request: ")
    {
        return Hindrance::new(
            format!("the webhook {webhook} refuses it: {why}"),
            "Change what it refuses, in the experiment or in the runtime.",
        );
    }
    if message.contains("failed calling webhook") {
        return Hindrance::new(
            format!("a webhook of the cluster does not answer: {said}"),
            "It is tried again by itself; look whether the webhook's pods are healthy.",
        );
    }
    if message.contains("serviceaccount") && message.contains("not found") {
        return Hindrance::new(
            format!("its service account is missing: {said}"),
            "The component trainer-runtime brings it: `slipway status --cluster` shows whether it is synced.",
        );
    }
    if message.contains("no PriorityClass") {
        return Hindrance::new(said, "Create the priority class, or correct the runtime.");
    }
    let is_limit = ["maximum ", "minimum "].iter().any(|bound| said.trim_start_matches('[').starts_with(bound));
    if is_limit {
        return Hindrance::new(
            format!("a limit of the namespace forbids it: {said}"),
            "Ask for as much as the LimitRange allows in spec.workers, or change the LimitRange.",
        );
    }
    match reason {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => Hindrance::new(
            format!("one of its volumes is not there: {said}"),
            "A Secret, a ConfigMap or a PersistentVolumeClaim is missing, or its storage does not answer.",
        ),
        "FailedCreatePodSandBox" => {
            Hindrance::new(format!("its node cannot start pods: {said}"), "Look at the node and its network plugin.")
        }
        reason => Hindrance::new(format!("{reason}: {said}"), ""),
    }
}
