//! The lock: the exact packages that a declaration resolved to. `image.lock` beside the declaration, JSON, committed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slipway_digest::Digest;
use slipway_oci::Platform;

use crate::declaration::{Base, Image};
use crate::error::{Error, Result};
use crate::parse::Declared;

/// What a declaration resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// The format: 1.
    pub version: u32,
    /// Of what the lock was made from: the base, the Python version, the requirements file and the packages that are left out.
    #[serde(with = "slipway_digest::bare")]
    pub inputs: Digest,
    /// What goes into the image of each platform.
    pub platforms: BTreeMap<Platform, Locked>,
}

/// What goes into the image of one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Locked {
    /// Debian packages, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debian: Vec<Package>,
    /// Python wheels, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wheels: Vec<Wheel>,
}

/// One Debian package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The archive that has it.
    pub archive: Archive,
    /// The path in that archive.
    pub path: String,
    /// Of the .deb.
    #[serde(with = "slipway_digest::bare")]
    pub sha256: Digest,
    /// Bytes of the .deb.
    pub size: u64,
}

/// Debian's two archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// The main one.
    Debian,
    /// Security updates.
    DebianSecurity,
}

impl Archive {
    /// The archive's name, which is also its folder on the snapshot mirror.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Debian => "debian",
            Self::DebianSecurity => "debian-security",
        }
    }

    /// The environment variable that names another mirror.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Debian => "SLIPWAY_DEBIAN_MIRROR",
            Self::DebianSecurity => "SLIPWAY_DEBIAN_SECURITY_MIRROR",
        }
    }

    /// The mirror without a slash at its end.
    #[must_use]
    pub fn mirror(self) -> String {
        let given = std::env::var(self.variable()).ok().filter(|value| !value.is_empty());
        let mirror = given.unwrap_or_else(|| format!("http://deb.debian.org/{}", self.name()));
        mirror.trim_end_matches('/').to_owned()
    }
}

/// One Python wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// The package's name, normalised.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The file's name.
    pub file: String,
    /// Of the file.
    #[serde(with = "slipway_digest::bare")]
    pub sha256: Digest,
}

/// The version of the lock's format.
pub(crate) const VERSION: u32 = 1;

/// The digest of everything that a lock depends on: [`Lock::inputs`].
///
/// # Errors
/// When the requirements file cannot be read.
pub fn inputs(declared: &Declared) -> Result<Digest> {
    let spec = &declared.image.spec;
    let requirements = match declared.requirements_path() {
        Some(path) => {
            // the same for a checkout with other line ends
            let text = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
            Digest::of(text.replace('\r', "")).hex()
        }
        None => String::new(),
    };
    let python = spec.python.as_ref().map(|python| &python.version);
    let without = spec.python.as_ref().map(|python| python.without.packages.as_slice()).unwrap_or_default();
    let all = if without.is_empty() {
        serde_json::json!([VERSION, base_inputs(&declared.image), python, requirements])
    } else {
        serde_json::json!([VERSION, base_inputs(&declared.image), python, requirements, without])
    };
    Ok(Digest::of(all.to_string()))
}

fn base_inputs(image: &Image) -> serde_json::Value {
    match &image.spec.base {
        Base::Debian(debian) => {
            let sorted = |list: &[String]| {
                let mut list = list.to_vec();
                list.sort();
                list.dedup();
                list
            };
            serde_json::json!([debian.suite, sorted(&debian.packages), sorted(&debian.without)])
        }
        Base::Oci(reference) => serde_json::json!([reference]),
    }
}

/// The entry of an image's lock for a platform, after the lock was compared with the declaration.
///
/// # Errors
/// When the lock is missing, cannot be read, is out of date, or has no entry for the platform. Each message says to lock again.
pub(crate) fn read(declared: &Declared, platform: Platform) -> Result<Locked> {
    let path = declared.lock_path();
    let invalid = |reason: String| Error::Lock { path: path.clone(), image: declared.name().to_owned(), reason };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(invalid("does not exist yet".to_owned()));
        }
        Err(error) => return Err(Error::file("reading", &path)(error)),
    };
    let lock: Lock = serde_json::from_str(&text).map_err(|error| invalid(format!("cannot be read ({error})")))?;
    if lock.version != VERSION {
        return Err(invalid(format!("has format {}; this slipway reads {VERSION}", lock.version)));
    }
    if lock.inputs != inputs(declared)? {
        return Err(invalid("is out of date: the base or the requirements have changed since it was made".to_owned()));
    }
    lock.platforms.get(&platform).cloned().ok_or_else(|| invalid(format!("has no entry for {platform}")))
}

impl Lock {
    /// The file's text.
    ///
    /// # Errors
    /// Does not happen: the types can always be written as JSON.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::malformed("the lock", error))?;
        Ok(text + "\n")
    }
}

/// The platforms that an image's lock has; an empty list if the lock is missing or out of date.
///
/// # Errors
/// When the requirements file cannot be read.
pub fn locked_platforms(declared: &Declared) -> Result<Vec<Platform>> {
    let mut found = Vec::new();
    for platform in Platform::ALL {
        match read(declared, platform) {
            Ok(_) => found.push(platform),
            Err(Error::Lock { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
