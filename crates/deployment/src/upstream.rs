//! An Application's objects with those of its upstream sources, built as Argo CD's repo-server does: it checks out the repository at
//! the pinned revision, applies the source's changes to its kustomization, and builds it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use slipway_digest::Digest;
use slipway_gitops::{Environment, Object, Source, built};
use slipway_source::documents;

use crate::kustomize::Kustomize;
use crate::{Error, Result};

/// The names that a kustomization's file may have.
const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Every object of an Application, with those of its upstream sources.
///
/// # Errors
/// When the Application does not exist, or an upstream source cannot be fetched, changed or built.
pub fn render(environment: &Environment, name: &str, kustomize: &Kustomize) -> Result<Vec<Object>> {
    let Some(deployed) = environment.application(name) else {
        return Err(Error::NoApplication { environment: environment.name.clone(), name: name.to_owned() });
    };
    let mut objects = deployed.objects.clone();
    for source in &deployed.application.sources {
        if source.repository == environment.repository() {
            continue;
        }
        let Some(path) = &source.path else {
            return Err(Error::Upstream(format!(
                "Application {name} has a source without a path ({}): only kustomize sources can be rendered here",
                source.repository
            )));
        };
        let text = build(source, path, kustomize)?;
        let namespace = &deployed.application.namespace;
        let more = built(&text, namespace, path)
            .map_err(|error| Error::Upstream(format!("what kustomize built from {path}: {error}")))?;
        objects.extend(more);
    }
    Ok(objects)
}

fn build(source: &Source, path: &str, kustomize: &Kustomize) -> Result<String> {
    let checkout = checkout(source, path, kustomize.cache())?;
    // the cached checkout stays unchanged
    let folder = tempfile::tempdir().map_err(Error::file(&std::env::temp_dir()))?;
    let top = top(path);
    copy(&checkout.join(top), &folder.path().join(top))?;
    if let Some(changes) = &source.kustomize {
        change(&folder.path().join(path), changes)?;
    }
    kustomize.run(folder.path(), path)?.map_err(|reason| {
        let origin = format!("{} at {}", source.repository, source.revision);
        Error::Upstream(format!("kustomize cannot build {path} of {origin}: {}", reason.trim()))
    })
}

/// The first folder of a path. Manifests refer to their neighbours, so no more of the repository is needed.
fn top(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// The repository at a revision (a branch, a tag or a commit), from the cache or by the user's git with its proxies and credentials.
fn checkout(source: &Source, path: &str, cache: &Path) -> Result<PathBuf> {
    let (url, revision, top) = (&source.repository, &source.revision, top(path));
    let name = Digest::of(format!("{url}\n{revision}\n{top}")).hex();
    let folder = cache.join("upstream").join(&name[..32]);
    if folder.is_dir() {
        if is_fixed(revision) {
            return Ok(folder);
        }
        // a branch moves: what was fetched before may be out of date
        std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    let failed = Error::file(&folder);
    let parent = folder.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(&failed)?;
    // moved there when it is complete, so that no process sees a part of it
    let part = tempfile::tempdir_in(parent).map_err(&failed)?;
    slipway_git::check_out(url, revision, top, part.path())?;
    if !part.path().join(path).is_dir() {
        return Err(Error::Upstream(format!("{url} has no folder {path} at {revision}")));
    }
    let part = part.keep();
    match std::fs::rename(&part, &folder) {
        // another process was faster, and its checkout is the same
        Err(_) if folder.is_dir() => std::fs::remove_dir_all(&part).map_err(&failed)?,
        other => other.map_err(&failed)?,
    }
    Ok(folder)
}

/// Whether a revision stays what it is: a whole commit hash, or the tag of a release such as `v1.2.3`.
fn is_fixed(revision: &str) -> bool {
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    let numbers = revision.strip_prefix('v').unwrap_or(revision).split('.').take(3);
    let is_release = numbers.clone().count() == 3
        && numbers.take(2).all(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()));
    is_commit || is_release
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let failed = Error::file(from);
    std::fs::create_dir_all(to).map_err(&failed)?;
    for entry in std::fs::read_dir(from).map_err(&failed)? {
        let entry = entry.map_err(&failed)?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).map_err(&failed)?;
        }
    }
    Ok(())
}

/// Puts an Application's `source.kustomize` into the kustomization of a folder, as Argo CD does before it builds.
fn change(folder: &Path, changes: &Value) -> Result<()> {
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
    fn a_commit_and_a_release_are_kept_and_a_branch_is_not() {
        for fixed in ["8162c7c4a48f3ee0e91b1a3eb90616cf319a4b1a", "v2.3.0", "1.6.1", "v0.12.0-rc.1"] {
            assert!(is_fixed(fixed), "{fixed}");
        }
        for moving in ["main", "HEAD", "release-1.2", "v1", "1.x", "8162c7c", "v1.x.0"] {
            assert!(!is_fixed(moving), "{moving}");
        }
    }

    #[test]
    fn changes_go_into_the_kustomization() {
        let mut target =
            json!({"resources": ["a"], "patches": [{"patch": "one"}], "images": [{"name": "x", "newTag": "0"}]});
        let changes = json!({"namespace": "n", "patches": [{"patch": "two"}], "images": ["x:1", "y=z/y@sha256:0"]});
        merge(target.as_object_mut().unwrap(), &changes).unwrap();
        let expected = json!({
            "resources": ["a"], "namespace": "n", "patches": [{"patch": "one"}, {"patch": "two"}],
            "images": [{"name": "x", "newTag": "1"}, {"name": "y", "newName": "z/y", "digest": "sha256:0"}],
        });
        assert_eq!(target, expected);
        assert!(merge(target.as_object_mut().unwrap(), &json!({"helmOptions": {}})).is_err());
    }
}
