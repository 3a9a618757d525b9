//! Lists what refers to an image where a registry does not do so by itself: in an index with a tag that is made of the image's digest.
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::collections::BTreeMap;

use oci_client::Reference;
use serde_json::{Value, json};
use slipway_digest::Digest;
use slipway_oci::{Descriptor, Document, Layout, Manifest, media_type};

use crate::client::{Registry, Session};
use crate::{Error, Result};

/// Adds the layout's referrers, which the registry has, to the lists of what they refer to.
pub(crate) async fn list(registry: &Registry, to: &Reference, layout: &Layout) -> Result<()> {
    let mut by_subject: BTreeMap<Digest, Vec<Descriptor>> = BTreeMap::new();
    for referrer in layout.referrers() {
        let Manifest { artifact_type, subject, annotations, .. } =
            layout.blobs().document(referrer).map_err(Error::Layout)?;
        let Some(subject) = subject else { continue };
        let entry = Descriptor { artifact_type, annotations, platform: None, ..referrer.clone() };
        by_subject.entry(subject.digest).or_default().push(entry);
    }
    for (subject, mut entries) in by_subject {
        let image = to.clone_with_digest(subject.to_string());
        let what = format!("the list of what refers to {subject}");
        let ask = async |session: &Session| session.client.pull_referrers(&image, None).await;
        let listed = registry.retry(&what, ask).await?;
        entries.retain(|entry| listed.manifests.iter().all(|other| other.digest != entry.digest.to_string()));
        if entries.is_empty() {
            continue;
        }
        // the entries of others stay
        let old = listed.manifests.iter().map(|other| json!(other));
        let all: Vec<Value> = old.chain(entries.iter().map(|entry| json!(entry))).collect();
        let index = json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": all });
        let index = Document::new(media_type::INDEX, &index).bytes;
        let tag = format!("sha256-{}", subject.hex());
        let tag = Reference::with_tag(to.registry().to_owned(), to.repository().to_owned(), tag);
        let send = async |session: &Session| {
            let kind = http::HeaderValue::from_static(media_type::INDEX);
            session.client.push_manifest_raw(&tag, index.clone(), kind).await.map(|_| ())
        };
        registry.retry(&what, send).await?;
    }
    Ok(())
}
