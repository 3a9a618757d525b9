//! The events that start `report`: a run of `checks` for a pull request's head, a push to main, and `again` for one pull request.

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

/// The event of a push to main.
pub(crate) fn push() -> Value {
    json!({
        "ref": "refs/heads/main",
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
