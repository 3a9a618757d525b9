//! The documents of an image: configuration, manifest, index. <https://github.com/opencontainers/image-spec>
//!
//! Written as JSON with its members in one order, because oci-spec's types keep labels in hash maps, whose order changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::build::PlatformImage;
use crate::declaration::Spec;
use crate::digest::sha256_hex;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::parse::Declared;
use crate::platform::Platform;
use crate::revision::Revision;

/// The media type of an image's manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index over manifests.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an image's configuration.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A small document of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: &'static str, document: &Value) -> Result<Self> {
        let bytes = serde_json::to_vec(document).map_err(|error| Error::malformed("a document of the image", error))?;
        Ok(Self { media_type, bytes })
    }

    /// SHA-256 in hex.
    #[must_use]
    pub fn hex(&self) -> String {
        sha256_hex(&self.bytes)
    }

    /// `sha256:…`
    #[must_use]
    pub fn digest(&self) -> String {
        format!("sha256:{}", self.hex())
    }

    /// How other documents name it.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

/// How the image starts. `inherited` is the environment of the image below, `NAME=value` each.
pub(crate) fn config(
    declared: &Declared,
    platform: Platform,
    layers: &[Layer],
    inherited: &[String],
    revision: &Revision,
) -> Result<Blob> {
    let spec = &declared.image.spec;
    let created = revision.created();
    let history: Vec<Value> = layers
        .iter()
        .map(|layer| json!({ "created": created, "created_by": format!("slipway: {}", layer.name) }))
        .collect();
    let diff_ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", layer.diff_id)).collect();
    Blob::new(
        CONFIG,
        &json!({
            "created": created,
            "architecture": platform.architecture(),
            "os": "linux",
            "config": run_config(declared, spec, inherited, revision)?,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        }),
    )
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

/// A text of `[workspace.package]`.
fn in_package(workspace: &str, name: &str) -> Option<String> {
    let mut lines = workspace.lines().skip_while(|line| line.trim() != "[workspace.package]").skip(1);
    let line = lines.by_ref().take_while(|line| !line.starts_with('[')).find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim())
    })?;
    Some(line.strip_prefix('"')?.split('"').next()?.to_owned())
}

pub(crate) fn manifest(config: &Blob, layers: &[Layer]) -> Result<Blob> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| json!({ "mediaType": layer.media_type, "digest": format!("sha256:{}", layer.digest), "size": layer.size }))
        .collect();
    Blob::new(
        MANIFEST,
        &json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": layers }),
    )
}

pub(crate) fn index(images: &[PlatformImage]) -> Result<Blob> {
    let manifests: Vec<Value> = images.iter().map(|image| for_platform(&image.manifest, image.platform)).collect();
    Blob::new(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }))
}

/// A descriptor that says for which platform the manifest is.
pub(crate) fn for_platform(manifest: &Blob, platform: Platform) -> Value {
    let mut descriptor = manifest.descriptor();
    descriptor["platform"] = json!({ "architecture": platform.architecture(), "os": "linux" });
    descriptor
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
