//! The events that start workflows, with what the workflows read of them.

use serde_json::{Value, json};
use slipway_github_tests::accounts::REPOSITORY;

/// The event for a pull request as the API shows it. `action` is `requested` or `completed`; `by` is what started `checks`.
pub(crate) fn workflow_run(pull: &Value, action: &str, by: &str) -> Value {
    let head = &pull["head"];
    let is_fork = head["repo"]["full_name"] != REPOSITORY;
    // GitHub names no pull request of a fork
    let pulls = if is_fork { json!([]) } else { json!([{ "number": pull["number"] }]) };
    json!({
        "action": action,
        "workflow_run": {
            "event": by, "head_branch": head["ref"], "head_sha": head["sha"], "pull_requests": pulls,
            "head_repository": { "full_name": head["repo"]["full_name"], "owner": { "login": head["user"]["login"] } },
        },
        "repository": { "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": pull["user"]["login"] },
    })
}

/// The event of a push to a branch or of a tag.
pub(crate) fn push(reference: &str) -> Value {
    json!({
        "ref": reference,
        "repository": { "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": "ann" },
    })
}

/// The event of a push to the branch of a pull request.
pub(crate) fn pull_request(pull: &Value) -> Value {
    json!({
        "action": "synchronize", "number": pull["number"], "pull_request": pull,
        "repository": { "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": pull["user"]["login"] },
    })
}

/// The event of a merge queue that asks whether a commit may become main. `base` is main, or what is before it in the queue.
pub(crate) fn merge_group(base: &str, commit: &str, reference: &str) -> Value {
    json!({
        "action": "checks_requested",
        "merge_group": { "base_ref": "refs/heads/main", "base_sha": base, "head_ref": reference, "head_sha": commit },
        "repository": { "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": "ann" },
    })
}

/// The event of a time of day.
pub(crate) fn schedule() -> Value {
    json!({
        "schedule": "41 4 * * 1",
        "repository": { "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": "ann" },
    })
}

/// The event of a workflow that was started with these inputs.
pub(crate) fn dispatch(inputs: &Value) -> Value {
    json!({
        "inputs": inputs,
        "repository": { "full_name": REPOSITORY, "default_branch": "main" },
        "sender": { "login": "github-actions[bot]" },
    })
}
