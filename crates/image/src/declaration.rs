//! The declaration of an image: `apps/<name>/image.yaml`, or `trainers/<name>/image.yaml` for a training program.

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
    /// The content of the last layers: programs, and above them files of the repository, which change most.
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
    /// What is left out of the packages.
    #[serde(default, skip_serializing_if = "Without::is_empty")]
    pub without: Without,
}

/// What is left out of Python packages, such as the parts that only a GPU uses. In each list `*` stands for any characters, and a
/// pattern that begins with `!` keeps what an earlier one left out.
///
/// A library that is gone, and that a remaining one links to, is replaced by an empty one. It lets the remaining one load; a call of
/// one of its functions ends the process with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Without {
    /// Packages that are not installed, such as `nvidia-*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Files of packages, by their paths in the wheels, such as `torch/include/**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Sections of libraries whose content becomes zeros, such as `.nv_fatbin`, in which NVIDIA's compiler puts the code for GPUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<String>,
}

impl Without {
    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.files.is_empty() && self.sections.is_empty()
    }
}

/// A program, file or folder that is copied into one of the last layers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// A program of this workspace, by the name of its binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// A file or folder, relative to the top of the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Names of files and folders below a folder that are left out, such as `tests` or `*.lock`. Compiled Python files always are.
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
