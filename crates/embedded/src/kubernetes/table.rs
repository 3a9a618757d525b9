//! Objects as rows of a table, which kubectl prints: the columns that a cluster has for each kind.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::resource::Resource;

/// The names of the columns, whose first is that of the object and whose last is its age.
fn columns(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::TrainJobs => &["Name", "State", "Progress", "Age"],
        Resource::JobSets => &["Name", "TerminalState", "Restarts", "Suspended", "Age"],
        Resource::Pods => &["Name", "Ready", "Status", "Restarts", "Age"],
        Resource::Events => &["Last Seen", "Type", "Reason", "Object", "Message"],
        Resource::Leases => &["Name", "Holder", "Age"],
    }
}

/// What describes the columns.
pub(super) fn definitions(resource: Resource) -> Value {
    let one = |name: &&str| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({ "name": name, "type": "string", "format": format, "description": "", "priority": 0 })
    };
    columns(resource).iter().map(one).collect()
}

/// The row of an object.
pub(super) fn row(resource: Resource, object: &Value, now: OffsetDateTime) -> Value {
    let text = |pointer: &str| {
        let value = object.pointer(pointer);
        value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default()
    };
    let age = |pointer: &str| {
        let since = OffsetDateTime::parse(&text(pointer), &Rfc3339).map(|then| (now - then).whole_seconds());
        since.map_or_else(|_| "<unknown>".to_owned(), duration)
    };
    let (name, old) = (text("/metadata/name"), age("/metadata/creationTimestamp"));
    let cells = match resource {
        Resource::TrainJobs => {
            let percent = text("/status/trainerStatus/progressPercentage");
            let progress = if percent.is_empty() { percent } else { format!("{percent}%") };
            vec![name, state(object), progress, old]
        }
        Resource::JobSets => {
            vec![name, text("/status/terminalState"), text("/status/restarts"), text("/spec/suspend"), old]
        }
        Resource::Pods => {
            let ready = u8::from(object.pointer("/status/containerStatuses/0/ready") == Some(&Value::Bool(true)));
            let restarts = text("/status/containerStatuses/0/restartCount");
            vec![name, format!("{ready}/1"), pod_status(object), restarts, old]
        }
        Resource::Events => {
            let about = text("/involvedObject/kind").to_lowercase() + "/" + &text("/involvedObject/name");
            vec![age("/lastTimestamp"), text("/type"), text("/reason"), about, text("/message")]
        }
        Resource::Leases => vec![name, text("/spec/holderIdentity"), old],
    };
    let metadata =
        json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"] });
    json!({ "cells": cells, "object": metadata })
}

/// The last condition of a TrainJob that holds, otherwise whether it runs.
fn state(object: &Value) -> String {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let holds = conditions.rfind(|one| one["status"] == "True");
    holds.and_then(|one| one["type"].as_str()).unwrap_or("Running").to_owned()
}

fn pod_status(object: &Value) -> String {
    if !object["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    let state = &object["status"]["containerStatuses"][0]["state"];
    let reason = ["waiting", "terminated"].into_iter().find_map(|kind| state[kind]["reason"].as_str());
    reason.or(object["status"]["phase"].as_str()).unwrap_or_default().to_owned()
}

/// Seconds as a cluster writes an age.
fn duration(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (seconds, hours) {
        (..0, _) => "<invalid>".to_owned(),
        (..120, _) => format!("{seconds}s"),
        (..600, _) => format!("{minutes}m{}s", seconds % 60),
        (_, ..3) => format!("{minutes}m"),
        (_, ..8) => format!("{hours}h{}m", minutes % 60),
        (_, ..48) => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        for resource in Resource::ALL {
            let row = row(resource, &json!({}), OffsetDateTime::UNIX_EPOCH);
            assert_eq!(row["cells"].as_array().unwrap().len(), columns(resource).len(), "{resource:?}");
        }
        let object = json!({
            "metadata": {"name": "a", "creationTimestamp": "2026-11-24T09:00:00Z"},
            "status": {"conditions": [{"type": "Suspended", "status": "False"}], "trainerStatus": {"progressPercentage": 7}},
        });
        let now = OffsetDateTime::parse("2026-11-24T09:03:05Z", &Rfc3339).unwrap();
        assert_eq!(row(Resource::TrainJobs, &object, now)["cells"], json!(["a", "Running", "7%", "3m5s"]));
    }

    #[test]
    fn ages_are_short() {
        let shown = [5, 119, 185, 900, 4 * 3600 + 60, 20 * 3600, 3 * 86_400, -1].map(duration);
        assert_eq!(shown, ["5s", "119s", "3m5s", "15m", "4h1m", "20h", "3d", "<invalid>"]);
    }
}
