//! The documents of an image: configuration, manifest, index. <https://github.com/opencontainers/image-spec/tree/v1.1.1>

use std::collections::BTreeMap;

use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_oci::{Document, Index, Manifest, Platform, media_type};

use crate::built::PlatformImage;
use crate::declaration::Spec;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::parse::Declared;
use crate::revision::Revision;

/// How the image starts. `inherited` is the environment of the base image, each variable as `NAME=value`.
pub(crate) fn config(
    declared: &Declared,
    platform: Platform,
    layers: &[Layer],
    inherited: &[String],
    revision: &Revision,
) -> Result<Document> {
    let spec = &declared.image.spec;
    let created = revision.created();
    let history: Vec<Value> = layers
        .iter()
        .map(|layer| json!({ "created": created, "created_by": format!("slipway: {}", layer.name) }))
        .collect();
    let diff_ids: Vec<Digest> = layers.iter().map(|layer| layer.diff_id).collect();
    let config = json!({
        "created": created,
        "architecture": platform.architecture(),
        "os": platform.os(),
        "config": run_config(declared, spec, inherited, revision)?,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    });
    Ok(Document::new(media_type::CONFIG, &config))
}

fn run_config(declared: &Declared, spec: &Spec, inherited: &[String], revision: &Revision) -> Result<Value> {
    let mut env: BTreeMap<String, String> = inherited
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    env.extend(spec.env.clone());
    env.entry("PATH".to_owned()).or_insert_with(|| "/usr/local/bin:/usr/bin".to_owned());
    env.entry("HOME".to_owned()).or_insert_with(|| format!("/home/{}", spec.user.name));
    let env: Vec<String> = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let ports: BTreeMap<String, Value> = spec.ports.iter().map(|port| (format!("{port}/tcp"), json!({}))).collect();
    let mut config = json!({
        "User": format!("{}:{}", spec.user.uid, spec.user.gid),
        "Env": env,
        "Entrypoint": spec.entrypoint,
        "Cmd": spec.args,
        "WorkingDir": spec.workdir,
        "Labels": labels(declared, revision)?,
        "ExposedPorts": ports,
    });
    if let Value::Object(members) = &mut config {
        members.retain(|_, value| !matches!(value, Value::Array(list) if list.is_empty()));
        members.retain(|_, value| !matches!(value, Value::Object(map) if map.is_empty()));
    }
    Ok(config)
}

fn labels(declared: &Declared, revision: &Revision) -> Result<BTreeMap<String, String>> {
    let path = declared.root.join("Cargo.toml");
    let workspace = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
    let mut labels = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            labels.insert(format!("org.opencontainers.image.{name}"), value);
        }
    };
    set("title", Some(declared.name().to_owned()));
    set("created", Some(revision.created()));
    set("revision", Some(revision.commit.clone()));
    set("version", in_package(&workspace, "version"));
    set("licenses", in_package(&workspace, "license"));
    set("source", in_package(&workspace, "repository"));
    labels.extend(declared.image.spec.labels.clone());
    Ok(labels)
}

/// A value of `[workspace.package]`.
fn in_package(workspace: &str, name: &str) -> Option<String> {
    let mut lines = workspace.lines().skip_while(|line| line.trim() != "[workspace.package]").skip(1);
    let line = lines.by_ref().take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })?;
    Some(line.strip_prefix('"')?.split('"').next()?.to_owned())
}

pub(crate) fn manifest(config: &Document, layers: &[Layer]) -> Document {
    Manifest::new(config.descriptor(), layers.iter().map(Layer::descriptor).collect()).document()
}

pub(crate) fn index(images: &[PlatformImage]) -> Document {
    let manifests = images.iter().map(|image| image.manifest.descriptor().for_platform(image.platform));
    Index::new(manifests.collect()).document()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_says_version_and_licence() {
        let text = "[workspace]\nversion = \"no\"\n[workspace.package]\nversion = \"0.1.0\" # c\nlicense = \"Apache-2.0\"\n[x]\nrepository = \"no\"\n";
        assert_eq!(in_package(text, "version").as_deref(), Some("0.1.0"));
        assert_eq!(in_package(text, "license").as_deref(), Some("Apache-2.0"));
        assert_eq!(in_package(text, "repository"), None);
    }
}
