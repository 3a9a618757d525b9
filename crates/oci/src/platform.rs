//! The platforms that images are built for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Linux on one of two architectures. Its text is `linux/amd64` or `linux/arm64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Platform {
    /// x86-64.
    #[serde(rename = "linux/amd64")]
    Amd64,
    /// 64-bit ARM.
    #[serde(rename = "linux/arm64")]
    Arm64,
}

/// A text that is not a [`Platform`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown platform `{0}`; known: linux/amd64, linux/arm64")]
pub struct UnknownPlatform(String);

impl Platform {
    /// Both platforms.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The platform of images that run on this machine; on a Mac with Apple silicon that is linux/arm64.
    #[must_use]
    pub fn of_this_machine() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// The operating system, as OCI names it.
    #[must_use]
    pub fn os(self) -> &'static str {
        "linux"
    }

    /// The architecture, as OCI, Debian and Go name it.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The architecture, as the Linux kernel names it.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os(), self.architecture())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.to_string() == text)
            .ok_or_else(|| UnknownPlatform(text.chars().take(100).collect()))
    }
}
