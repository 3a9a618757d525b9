//! What is served here, for clients that ask first: versions, groups, and the kinds of each group.

use axum::Json;
use serde_json::{Value, json};

use super::resource::Resource;

/// `/version`: the release of Kubernetes whose objects these are.
pub(super) async fn version() -> Json<Value> {
    Json(json!({
        "major": "1",
        "minor": "34",
        "gitVersion": concat!("v1.34.0+slipway-", env!("CARGO_PKG_VERSION")),
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }))
}

/// `/api`: the versions of the group without a name.
pub(super) async fn core() -> Json<Value> {
    Json(json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }))
}

/// `/apis`: all other groups.
pub(super) async fn groups() -> Json<Value> {
    let named = Resource::ALL.into_iter().filter(|resource| !resource.group().is_empty());
    let groups: Vec<Value> = named.map(group).collect();
    Json(json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
}

/// `/apis/<group>`, of a kind of that group. No two kinds here have one group and two versions.
pub(super) fn group_alone(resource: Resource) -> Json<Value> {
    let mut shown = json!({ "kind": "APIGroup", "apiVersion": "v1" });
    if let (Some(shown), Value::Object(group)) = (shown.as_object_mut(), group(resource)) {
        shown.extend(group);
    }
    Json(shown)
}

fn group(resource: Resource) -> Value {
    let version = json!({ "groupVersion": resource.api_version(), "version": resource.version() });
    json!({ "name": resource.group(), "versions": [version], "preferredVersion": version })
}

/// `/apis/<group>/<version>` and `/api/v1`: the kinds of a group.
pub(super) fn kinds(api_version: &str) -> Json<Value> {
    let of_group = Resource::ALL.into_iter().filter(|resource| resource.api_version() == api_version);
    let entries: Vec<Value> = of_group.flat_map(Resource::entries).collect();
    Json(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": entries,
    }))
}
