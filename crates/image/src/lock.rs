//! The lock: what a declaration resolved to, exactly. `apps/<name>/image.lock`, JSON, committed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::declaration::{Base, Image};
use crate::digest::sha256_hex;
use crate::error::{Error, Result};
use crate::parse::Declared;
use crate::platform::Platform;

/// What a declaration resolved to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lock {
    /// The format: 1.
    pub version: u32,
    /// SHA-256 of what the lock was made from: the base, the Python version and the requirements file.
    pub inputs: String,
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
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The archive that has it.
    pub archive: Archive,
    /// Its path in that archive.
    pub path: String,
    /// Of the .deb.
    pub sha256: String,
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
    /// Its name, also on the snapshot mirror.
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
    /// Its name, normalised.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The file's name.
    pub file: String,
    /// Of the file.
    pub sha256: String,
}

/// The version of the lock's format.
pub(crate) const VERSION: u32 = 1;

/// SHA-256 of all that a lock depends on: [`Lock::inputs`].
///
/// # Errors
/// When the requirements file cannot be read.
pub fn inputs(declared: &Declared) -> Result<String> {
    let spec = &declared.image.spec;
    let requirements = match declared.requirements_path() {
        Some(path) => {
            // the same on a checkout with other line ends
            let text = std::fs::read_to_string(&path).map_err(Error::file("reading", &path))?;
            sha256_hex(text.replace('\r', "").as_bytes())
        }
        None => String::new(),
    };
    let python = spec.python.as_ref().map(|python| &python.version);
    let all = serde_json::json!([VERSION, base_inputs(&declared.image), python, requirements]);
    Ok(sha256_hex(all.to_string().as_bytes()))
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

/// Reads the lock of an image and checks that it is of its declaration and has the platform.
///
/// # Errors
/// When it is not there, cannot be read, or is out of date: each says to lock anew.
pub(crate) fn read(declared: &Declared, platform: Platform) -> Result<Locked> {
    let path = declared.lock_path();
    let wrong = |reason: String| Error::Lock { path: path.clone(), image: declared.name().to_owned(), reason };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(wrong("is not there yet".to_owned())),
        Err(error) => return Err(Error::file("reading", &path)(error)),
    };
    let lock: Lock = serde_json::from_str(&text).map_err(|error| wrong(format!("cannot be understood ({error})")))?;
    if lock.version != VERSION {
        return Err(wrong(format!("has format {}, and this slipway writes {VERSION}", lock.version)));
    }
    if lock.inputs != inputs(declared)? {
        return Err(wrong("is out of date: the base or the requirements changed since it was made".to_owned()));
    }
    lock.platforms.get(&platform).cloned().ok_or_else(|| wrong(format!("has nothing for {platform}")))
}

impl Lock {
    /// The file's text.
    ///
    /// # Errors
    /// Never in practice: the types serialise.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::malformed("the lock", error))?;
        Ok(text + "\n")
    }
}

/// The platforms that an image's lock has; none when it is not there or out of date.
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
