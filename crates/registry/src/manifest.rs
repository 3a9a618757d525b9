//! Manifests and indexes in a registry: fetched and sent, and compared with their digests both ways.

use oci_client::Reference;
use slipway_digest::Digest;
use slipway_oci::media_type;

use crate::client::{Registry, Session};
use crate::{Error, Result};

/// The bytes of the manifest with this digest.
pub(crate) async fn fetch(registry: &Registry, from: &Reference, expected: &Digest) -> Result<Vec<u8>> {
    let from = from.clone_with_digest(expected.to_string());
    let what = format!("the manifest {from}");
    let ask =
        async |session: &Session| session.client.pull_manifest_raw(&from, &session.auth, &media_type::MANIFESTS).await;
    let (bytes, _) = registry.retry(&what, ask).await?;
    let found = Digest::of(&bytes);
    if found == *expected {
        return Ok(bytes.to_vec());
    }
    let (registry, expected, found) = (registry.host.clone(), *expected, found.to_string());
    Err(Error::OtherDigest { registry, what, expected, found })
}

/// Sends a manifest, and compares it with what the registry has now.
pub(crate) async fn send(registry: &Registry, to: &Reference, kind: &'static str, bytes: &[u8]) -> Result<()> {
    let (expected, what) = (Digest::of(bytes), format!("the manifest {to}"));
    let send = async |session: &Session| {
        let kind = http::HeaderValue::from_static(kind);
        session.client.push_manifest_raw(to, bytes.to_vec(), kind).await.map(|_| ())
    };
    registry.retry(&what, send).await?;
    let ask = async |session: &Session| session.client.pull_manifest_raw(to, &session.auth, &[kind]).await;
    let (answer, header) = registry.retry(&what, ask).await?;
    let body = Digest::of(&answer);
    let found = if body == expected { header } else { body.to_string() };
    if found == expected.to_string() {
        return Ok(());
    }
    Err(Error::OtherDigest { registry: registry.host.clone(), what, expected, found })
}

/// The media type that a manifest says it has. If it does not say, a list of manifests makes it an index.
pub(crate) fn media_type_of(bytes: &[u8]) -> serde_json::Result<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }

    let Kind { media_type, manifests } = serde_json::from_slice(bytes)?;
    let guess = if manifests.is_some() { media_type::INDEX } else { media_type::MANIFEST };
    Ok(media_type.unwrap_or_else(|| guess.to_owned()))
}
