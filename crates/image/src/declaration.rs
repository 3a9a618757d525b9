//! The declaration of an image: `apps/<name>/image.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image: what it is made of and how it starts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What the file declares.
    pub kind: Kind,
    /// Its name.
    pub metadata: Metadata,
    /// What it is made of.
    pub spec: Spec,
}

/// The version of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[serde(rename = "slipway.dev/v1alpha1")]
    V1Alpha1,
}

/// What the file declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// An image.
    Image,
}

/// The image's name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The same as the folder's: lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub name: String,
}

/// What an image is made of, bottom first, and how it starts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The first layer.
    pub base: Base,
    /// A layer with the libraries of libtorch that the binaries are linked with, at /opt/libtorch/lib.
    #[serde(default)]
    pub libtorch: bool,
    /// A layer with Python packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<Python>,
    /// The last layer: what changes most.
    #[serde(default)]
    pub files: Vec<File>,
    /// Who the program runs as; it is written to /etc/passwd and /etc/group.
    #[serde(default)]
    pub user: User,
    /// The program and its first arguments.
    #[schemars(length(min = 1))]
    pub entrypoint: Vec<String>,
    /// Arguments that whoever runs the image may replace.
    #[serde(default)]
    pub args: Vec<String>,
    /// The environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder that the program starts in.
    #[serde(default = "root_folder")]
    pub workdir: String,
    /// Ports that the program listens on.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// More labels. org.opencontainers.image.title, source, revision, version, licenses and created are set without asking.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn root_folder() -> String {
    "/".to_owned()
}

/// What the image starts from: Debian packages, or another image by digest.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Base {
    /// Debian packages.
    Debian(Debian),
    /// Another image, by digest: `registry/name@sha256:…`.
    Oci(String),
}

/// Debian packages with what they depend on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Debian {
    /// The release by code name, such as `bookworm`.
    #[schemars(regex(pattern = r"^[a-z]+$"))]
    pub suite: String,
    /// The packages asked for; what they depend on is found when the lock is made.
    pub packages: Vec<String>,
    /// Packages that others depend on and this image does without: what only maintainer scripts need, which never run here.
    #[serde(default)]
    pub without: Vec<String>,
}

/// Python packages from a requirements file with hashes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Python {
    /// The version of the base's Python, such as `3.11`.
    #[schemars(regex(pattern = r"^3\.[0-9]+$"))]
    pub version: String,
    /// A requirements file with a hash for each package, beside the declaration.
    pub requirements: String,
}

/// One thing that is copied into the last layer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// A program of this workspace, by the name of its binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// A file or folder, relative to the repository's top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Names below a folder that stay out, such as `tests`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Where it goes: an absolute path in the image.
    #[schemars(regex(pattern = r"^/[^/]"))]
    pub to: String,
}

/// Who the program runs as.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// Never 0.
    #[schemars(range(min = 1))]
    pub uid: u32,
    /// Never 0.
    #[schemars(range(min = 1))]
    pub gid: u32,
    /// Its name in /etc/passwd.
    pub name: String,
}

impl Default for User {
    fn default() -> Self {
        Self { uid: 65532, gid: 65532, name: "nonroot".to_owned() }
    }
}
