//! The declaration of an image: `apps/<name>/image.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image: what it is made of, and how it starts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Image {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// The kind of declaration.
    pub kind: Kind,
    /// The image's name.
    pub metadata: Metadata,
    /// What the image is made of.
    pub spec: Spec,
}

/// The version of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The first one.
    #[serde(rename = "slipway.dev/v1alpha1")]
    V1Alpha1,
}

/// The kind of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// An image.
    Image,
}

/// The image's name.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The same as the name of the folder: lower-case letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))]
    pub name: String,
}

/// What an image is made of, bottom first, and how it starts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The first layer.
    pub base: Base,
    /// Whether there is a layer with the libraries of libtorch that the binaries link to, at /opt/libtorch/lib.
    #[serde(default)]
    pub libtorch: bool,
    /// A layer with Python packages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python: Option<Python>,
    /// The content of the last layer: what changes most.
    #[serde(default)]
    pub files: Vec<File>,
    /// The user that the program runs as; it is written to /etc/passwd and /etc/group.
    #[serde(default)]
    pub user: User,
    /// The program and its first arguments.
    #[schemars(length(min = 1))]
    pub entrypoint: Vec<String>,
    /// Further arguments, which can be replaced when the image is run.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The folder that the program starts in.
    #[serde(default = "root_folder")]
    pub workdir: String,
    /// Ports that the program listens on.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Further labels. org.opencontainers.image.title, source, revision, version, licenses and created are always set.
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

/// Debian packages and everything that they depend on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Debian {
    /// The release by code name, such as `bookworm`.
    #[schemars(regex(pattern = r"^[a-z]+$"))]
    pub suite: String,
    /// The packages; what they depend on is resolved when the lock is made.
    pub packages: Vec<String>,
    /// Packages that others depend on, but that this image leaves out: only maintainer scripts need them, and those never run.
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

/// A program, file or folder that is copied into the last layer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// A program of this workspace, by the name of its binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// A file or folder, relative to the top of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Names below a folder that are left out, such as `tests`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// The absolute path in the image.
    #[schemars(regex(pattern = r"^/[^/]"))]
    pub to: String,
}

/// The user that the program runs as.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// The user's number; never 0.
    #[schemars(range(min = 1))]
    pub uid: u32,
    /// The group's number; never 0.
    #[schemars(range(min = 1))]
    pub gid: u32,
    /// The user's name in /etc/passwd.
    pub name: String,
}

impl Default for User {
    fn default() -> Self {
        Self { uid: 65532, gid: 65532, name: "nonroot".to_owned() }
    }
}
