//! The event that starts `report`: a run of `checks` for a pull request's head.

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
