//! Leases: the only objects that clients write. Two that write at once cannot both succeed, since each says which version it has read.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::identity;
use super::object::{Content, Key, Object};
use super::reading::written;
use super::refusal::{Answer, Refusal};
use super::resource::Resource;
use super::store::Store;

/// A Lease as a client sends it. What a Lease does not have is passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    metadata: Metadata,
    #[serde(default)]
    spec: Option<Spec>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_duration_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquire_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_transitions: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_holder: Option<String>,
}

/// How a patch is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patch {
    /// RFC 7386. A strategic one is the same for a Lease, which has no lists.
    Merge,
    /// Server-side apply: also makes what is not there. Whose fields are whose is not kept; a version decides if one is given.
    Apply,
}

/// Makes a Lease.
pub(super) fn create(store: &Store, namespace: &str, body: &Bytes) -> Answer {
    let lease = read(json(body)?)?;
    if lease.metadata.resource_version.as_ref().is_some_and(|version| !version.is_empty()) {
        return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let name = lease.metadata.name.clone().unwrap_or_default();
    let key = Key::new(Resource::Leases, namespace, &name);
    check(&lease, &key)?;
    let made = store.update(&key, |before| match before {
        Some(_) => Err(Refusal::exists(Resource::Leases, &name)),
        None => Ok(content(&key, lease, None)),
    })?;
    Ok((StatusCode::CREATED, written(&made)).into_response())
}

/// Replaces a Lease, if it is still what the client has read.
pub(super) fn update(store: &Store, key: &Key, body: &Bytes) -> Answer {
    let lease = read(json(body)?)?;
    if lease.metadata.resource_version.as_ref().is_none_or(String::is_empty) {
        return Err(Refusal::invalid("metadata.resourceVersion: Invalid value: must be specified for an update"));
    }
    check(&lease, key)?;
    let made = store.update(key, |before| {
        let before = before.ok_or_else(|| Refusal::no_object(Resource::Leases, &key.name))?;
        replaced(key, lease, before)
    })?;
    Ok(written(&made))
}

/// Changes some fields of a Lease, if it is still what the client has read, provided that the patch says what that was.
pub(super) fn patch(store: &Arc<Store>, key: &Key, manager: Option<&str>, headers: &HeaderMap, body: &Bytes) -> Answer {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, patch) = match content_type.split(';').next().unwrap_or_default().trim() {
        "application/merge-patch+json" | "application/strategic-merge-patch+json" => (Patch::Merge, json(body)?),
        "application/apply-patch+yaml" => (Patch::Apply, yaml(body)?),
        other => {
            return Err(Refusal::unsupported(format!(
                "patches of the type {other:?} are not served here: send application/merge-patch+json or application/apply-patch+yaml"
            )));
        }
    };
    if kind == Patch::Apply && manager.is_none_or(str::is_empty) {
        return Err(Refusal::invalid("fieldManager: Required value: is required for apply patch"));
    }
    let mut is_new = false;
    let made = store.update(key, |before| match before {
        Some(before) => {
            let mut value = before.value();
            value["metadata"]["resourceVersion"] = before.version().to_string().into();
            merge(&mut value, patch);
            let lease = read(value)?;
            check(&lease, key)?;
            replaced(key, lease, before)
        }
        None if kind == Patch::Apply => {
            is_new = true;
            let lease = read(patch)?;
            check(&lease, key)?;
            Ok(content(key, lease, None))
        }
        None => Err(Refusal::no_object(Resource::Leases, &key.name)),
    })?;
    let code = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((code, written(&made)).into_response())
}

/// A Lease in place of the one that is there.
fn replaced(key: &Key, lease: Lease, before: &Object) -> Answer<Content> {
    let (version, uid) = (before.version().to_string(), before.metadata().uid);
    let is_read = |said: &Option<String>, is: &str| said.as_deref().is_none_or(|said| said.is_empty() || said == is);
    if !is_read(&lease.metadata.resource_version, &version) || !is_read(&lease.metadata.uid, &uid) {
        return Err(Refusal::conflict(Resource::Leases, &key.name));
    }
    Ok(content(key, lease, Some(before)))
}

fn json(body: &Bytes) -> Answer<Value> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))
}

fn yaml(body: &Bytes) -> Answer<Value> {
    let wrong = |error: &dyn std::fmt::Display| Refusal::bad_request(format!("the body is not YAML: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| wrong(&error))?;
    serde_saphyr::from_str(text).map_err(|error| wrong(&error))
}

fn read(value: Value) -> Answer<Lease> {
    let lease: Lease = serde_json::from_value(value)
        .map_err(|error| Refusal::bad_request(format!("the body is not a Lease: {error}")))?;
    let is = |said: &Option<String>, is: &str| said.as_ref().is_none_or(|said| said == is);
    if !is(&lease.kind, Resource::Leases.kind()) || !is(&lease.api_version, &Resource::Leases.api_version()) {
        return Err(Refusal::bad_request("the body is not a Lease of coordination.k8s.io/v1"));
    }
    Ok(lease)
}

/// Whether it can be the object at this place.
fn check(lease: &Lease, key: &Key) -> Answer<()> {
    let Metadata { name, namespace, .. } = &lease.metadata;
    let fits = |said: &Option<String>, is: &str| said.as_ref().is_none_or(|said| said == is);
    if !fits(name, &key.name) || !fits(namespace, &key.namespace) {
        return Err(Refusal::bad_request("the name or the namespace of the object is not that of the URL"));
    }
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let is_word = |text: &str| !text.is_empty() && text.len() <= 253 && text.chars().all(is_name);
    if !is_word(&key.name) || !is_word(&key.namespace) {
        return Err(Refusal::invalid(
            "metadata.name: Invalid value: lower-case letters, digits, `-` and `.` make a name",
        ));
    }
    let spec = lease.spec.as_ref();
    if spec.and_then(|spec| spec.lease_duration_seconds).is_some_and(|seconds| seconds <= 0) {
        return Err(Refusal::invalid("spec.leaseDurationSeconds: Invalid value: must be greater than 0"));
    }
    for (field, time) in [
        ("acquireTime", spec.and_then(|spec| spec.acquire_time.as_ref())),
        ("renewTime", spec.and_then(|spec| spec.renew_time.as_ref())),
    ] {
        if time.is_some_and(|time| OffsetDateTime::parse(time, &Rfc3339).is_err()) {
            return Err(Refusal::bad_request(format!("spec.{field} is not a time as RFC 3339 writes it")));
        }
    }
    Ok(())
}

/// A Lease as it is stored, with the id and the time of the one before it.
fn content(key: &Key, lease: Lease, before: Option<&Object>) -> Content {
    let now = OffsetDateTime::now_utc();
    let before = before.map(Object::value);
    let kept = |field: &str| before.as_ref().map(|before| before["metadata"][field].clone());
    let new_uid = || identity::uid(&["Lease", &key.namespace, &key.name, &now.unix_timestamp_nanos().to_string()]);
    let mut metadata = Map::new();
    metadata.insert("uid".to_owned(), kept("uid").unwrap_or_else(|| new_uid().into()));
    let created = kept("creationTimestamp").unwrap_or_else(|| identity::time(now).into());
    metadata.insert("creationTimestamp".to_owned(), created);
    for (field, pairs) in [("labels", lease.metadata.labels), ("annotations", lease.metadata.annotations)] {
        if let Some(pairs) = pairs.filter(|pairs| !pairs.is_empty()) {
            metadata.insert(field.to_owned(), pairs.into_iter().collect());
        }
    }
    let mut rest = Map::new();
    rest.insert("spec".to_owned(), serde_json::to_value(lease.spec.unwrap_or_default()).unwrap_or_default());
    Content { key: key.clone(), metadata, rest }
}

/// RFC 7386: what is `null` is removed, maps are merged, anything else is replaced.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_merge_removes_what_is_null() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1, 2]});
        merge(&mut target, json!({"a": {"b": null, "e": {"f": null, "g": 3}}, "d": [3]}));
        assert_eq!(target, json!({"a": {"c": 2, "e": {"g": 3}}, "d": [3]}));
    }
}
