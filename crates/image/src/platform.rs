//! The platforms that images are made for, and what each of them is called elsewhere.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A platform: Linux on one of two architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Platform {
    /// x86-64.
    #[serde(rename = "linux/amd64")]
    Amd64,
    /// 64-bit ARM.
    #[serde(rename = "linux/arm64")]
    Arm64,
}

impl Platform {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// The one that this program was compiled for; a Mac with Apple silicon gets linux/arm64.
    #[must_use]
    pub fn of_this_machine() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 }
    }

    /// OCI's and Debian's name of the architecture; they agree on these two.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The kernel's name of the architecture, as in the tags of Python wheels.
    #[must_use]
    pub fn machine(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// cargo's target.
    #[must_use]
    pub fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// `e_machine` of its ELF files.
    pub(crate) fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }

    /// The links that Debian's merged /usr has in the root folder.
    pub(crate) fn merged_usr(self) -> &'static [&'static str] {
        match self {
            Self::Amd64 => &["bin", "lib", "lib64", "sbin"],
            Self::Arm64 => &["bin", "lib", "sbin"],
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture())
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.to_string() == text)
            .ok_or_else(|| format!("{text:?} is not a platform of these images: linux/amd64 or linux/arm64"))
    }
}
