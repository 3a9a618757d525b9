//! The file by which the manager, kubectl and every other client find the API and may ask it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::{Error, Result, files};

/// The name of its cluster, its user and its context.
const NAME: &str = "slipway";

/// Writes `kubeconfig` into the state folder, for its owner alone.
pub(super) fn write(state: &Path, url: &str, certificate: &str, token: &str) -> Result<PathBuf> {
    let path = state.join("kubeconfig");
    // JSON is YAML too
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{ "name": NAME, "cluster": { "server": url, "certificate-authority-data": STANDARD.encode(certificate) } }],
        "users": [{ "name": NAME, "user": { "token": token } }],
        "contexts": [{ "name": NAME, "context": { "cluster": NAME, "user": NAME, "namespace": "training" } }],
    });
    let text = serde_json::to_string_pretty(&content)
        .map_err(|error| Error::Malformed { path: path.clone(), reason: error.to_string() })?;
    files::write_private(&path, text.as_bytes())?;
    Ok(path)
}
