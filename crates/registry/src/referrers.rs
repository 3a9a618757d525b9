//! What refers to an image, where a registry does not list it by itself: an index under a tag that is made of the image's digest.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::collections::BTreeMap;

use oci_client::Reference;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Registry;
use crate::layout::{Descriptor, INDEX};
use crate::{Error, Layout, Result};

/// The parts of a referring manifest that its entry repeats.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referring {
    subject: Descriptor,
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Sees to it that the registry lists the layout's referrers, which it has already, under what they refer to.
pub(crate) async fn list(registry: &Registry, to: &Reference, layout: &Layout) -> Result<()> {
    let mut by_subject: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for referrer in layout.referrers() {
        let manifest: Referring = serde_json::from_slice(&layout.read(referrer)?)
            .map_err(|error| Error::Layout { path: referrer.digest.clone().into(), reason: error.to_string() })?;
        let mut entry = json!({ "mediaType": referrer.media_type, "digest": referrer.digest, "size": referrer.size });
        entry["artifactType"] = manifest.artifact_type.into();
        if !manifest.annotations.is_empty() {
            entry["annotations"] = json!(manifest.annotations);
        }
        by_subject.entry(manifest.subject.digest).or_default().push(entry);
    }
    for (subject, entries) in by_subject {
        let image = to.clone_with_digest(subject.clone());
        let what = format!("what refers to {subject}");
        let listed = registry.patiently(&what, async || registry.client.pull_referrers(&image, None).await).await?;
        let missing = |entry: &&Value| !listed.manifests.iter().any(|one| entry["digest"] == one.digest.as_str());
        let new: Vec<Value> = entries.iter().filter(missing).cloned().collect();
        if new.is_empty() {
            continue;
        }
        // others' entries stay
        let mut all = json!(listed.manifests).as_array().cloned().unwrap_or_default();
        all.extend(new);
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": all }).to_string().into_bytes();
        let tag = Reference::with_tag(to.registry().to_owned(), to.repository().to_owned(), subject.replace(':', "-"));
        let send = async || {
            let kind = http::HeaderValue::from_static(INDEX);
            registry.client.push_manifest_raw(&tag, index.clone(), kind).await.map(|_| ())
        };
        registry.patiently(&what, send).await?;
    }
    Ok(())
}
