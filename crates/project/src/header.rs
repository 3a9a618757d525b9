//! What the files of a project begin with: `apiVersion` and `metadata`. Reading them refuses a file of another version.

use serde::Deserialize;

/// The version of the files that this program reads.
#[derive(Clone, Debug, Deserialize)]
pub enum ApiVersion {
    /// `slipway.dev/v1alpha1`
    #[serde(rename = "slipway.dev/v1alpha1")]
    V1Alpha1,
}

/// The name of what a file declares, for its reader: the file's folder decides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    #[expect(dead_code, reason = "names the file for its reader")]
    name: String,
}
