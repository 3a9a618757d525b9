//! What the files of a project begin with: `apiVersion` and `metadata`. Reading them refuses a file of another version.

use serde::Deserialize;
use slipway_source::{Finding, position_of};

/// The version of the files that this program reads.
#[derive(Clone, Debug, Deserialize)]
pub enum ApiVersion {
    /// `slipway.dev/v1alpha1`
    #[serde(rename = "slipway.dev/v1alpha1")]
    V1Alpha1,
}

/// The name of the environment that a file belongs to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    name: String,
}

impl Metadata {
    /// A finding if the file of an environment, with this text, has the name of another one: a copy in which it was not changed.
    #[must_use]
    pub fn misnamed(&self, path: &str, text: &str, environment: &str) -> Option<Finding> {
        if self.name == environment {
            return None;
        }
        let message = format!("metadata.name is `{}`, but this is a file of {environment}", self.name);
        let help = format!("write `name: {environment}`, as the folder says");
        Some(Finding::at(path, position_of(text, "metadata.name"), "misnamed", message).with_help(help))
    }
}
