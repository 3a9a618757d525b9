//! The changes of an Application's `source.kustomize` to a kustomization.

use std::path::Path;

use serde_json::{Map, Value, json};
use slipway_source::documents;

use crate::{Error, Result};

/// The names that a kustomization's file may have.
pub(crate) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Puts an Application's `source.kustomize` into the kustomization of a folder, as Argo CD does before it builds.
pub(crate) fn change(folder: &Path, changes: &Value) -> Result<()> {
    let file = NAMES.iter().map(|name| folder.join(name)).find(|file| file.is_file());
    let file = file.ok_or_else(|| Error::Upstream(format!("{} has no kustomization", folder.display())))?;
    let failed = |error: &dyn std::fmt::Display| Error::Upstream(format!("{}: {error}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|error| failed(&error))?;
    let documents = documents(&text).map_err(|error| failed(&error))?;
    let mut kustomization = documents.first().map(|node| node.to_json()).unwrap_or_else(|| json!({}));
    let target = kustomization.as_object_mut().ok_or_else(|| failed(&"not a map"))?;
    merge(target, changes).map_err(Error::Upstream)?;
    // JSON is YAML
    std::fs::write(&file, kustomization.to_string()).map_err(|error| failed(&error))
}

/// Applies the changes that Argo CD supports and that are used here; any other is an error, so that none is lost.
fn merge(target: &mut Map<String, Value>, changes: &Value) -> Result<(), String> {
    for (key, value) in changes.as_object().into_iter().flatten() {
        match key.as_str() {
            "namespace" | "namePrefix" | "nameSuffix" => {
                target.insert(key.clone(), value.clone());
            }
            "patches" | "components" => {
                let list = target.entry(key).or_insert_with(|| json!([]));
                if let (Some(list), Some(more)) = (list.as_array_mut(), value.as_array()) {
                    list.extend(more.iter().cloned());
                }
            }
            "commonAnnotations" | "commonLabels" => {
                let map = target.entry(key).or_insert_with(|| json!({}));
                if let (Some(map), Some(more)) = (map.as_object_mut(), value.as_object()) {
                    map.extend(more.clone());
                }
            }
            "images" => {
                let list = target.entry(key).or_insert_with(|| json!([]));
                for text in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let image = image(text);
                    if let Some(list) = list.as_array_mut() {
                        list.retain(|other| other.get("name") != image.get("name"));
                        list.push(image);
                    }
                }
            }
            "replicas" => {
                let list = target.entry(key).or_insert_with(|| json!([]));
                for replica in value.as_array().into_iter().flatten() {
                    if let Some(list) = list.as_array_mut() {
                        list.retain(|other| other.get("name") != replica.get("name"));
                        list.push(replica.clone());
                    }
                }
            }
            other => return Err(format!("source.kustomize.{other} cannot be rendered here; use patches for it")),
        }
    }
    Ok(())
}

/// `name=other/name:tag@digest` as an entry of `images`.
fn image(text: &str) -> Value {
    let (name, new) = text.split_once('=').unwrap_or(("", text));
    let (rest, digest) = new.split_once('@').map_or((new, None), |(rest, digest)| (rest, Some(digest)));
    let (new_name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let mut image = json!({ "name": if name.is_empty() { new_name } else { name } });
    if !name.is_empty() {
        image["newName"] = json!(new_name);
    }
    if let Some(digest) = digest {
        image["digest"] = json!(digest);
    } else if let Some(tag) = tag {
        image["newTag"] = json!(tag);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_go_into_the_kustomization() {
        let mut target =
            json!({"resources": ["a"], "patches": [{"patch": "one"}], "images": [{"name": "x", "newTag": "0"}]});
        let changes = json!({"namespace": "n", "patches": [{"patch": "two"}], "images": ["x:1", "y=z/y@sha256:0"], "replicas": [{"name": "r", "count": 2}]});
        merge(target.as_object_mut().unwrap(), &changes).unwrap();
        let expected = json!({
            "resources": ["a"], "namespace": "n", "patches": [{"patch": "one"}, {"patch": "two"}],
            "images": [{"name": "x", "newTag": "1"}, {"name": "y", "newName": "z/y", "digest": "sha256:0"}],
            "replicas": [{"name": "r", "count": 2}],
        });
        assert_eq!(target, expected);
        assert!(merge(target.as_object_mut().unwrap(), &json!({"helmOptions": {}})).is_err());
    }
}
