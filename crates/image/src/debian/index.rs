//! The archive's index: `InRelease`, checked against Debian's keys, and the `Packages` files that it names by hash.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::debian::{deb822, version};
use crate::digest::sha256_hex;
use crate::error::{Error, Result};
use crate::fetch::get;
use crate::lock::Archive;
use crate::platform::Platform;

/// A package that the archive has.
#[derive(Clone, Debug)]
pub(crate) struct Available {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) archive: Archive,
    pub(crate) path: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    /// Depends and Pre-Depends: each a list of alternatives.
    pub(crate) depends: Vec<Vec<String>>,
    provides: Vec<String>,
}

/// The newest version of every package of a suite.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packages: BTreeMap<String, Available>,
}

impl Index {
    /// Downloads the index of a release: itself, its updates and its security updates.
    pub(crate) fn download(suite: &str, platform: Platform) -> Result<Self> {
        let mut index = Self::default();
        let suites = [
            (Archive::Debian, suite.to_owned()),
            (Archive::Debian, format!("{suite}-updates")),
            (Archive::DebianSecurity, format!("{suite}-security")),
        ];
        for (archive, suite) in suites {
            let base = format!("{}/dists/{suite}", archive.mirror());
            let release = verified(&format!("{base}/InRelease"), &get(&format!("{base}/InRelease"))?)?;
            let name = format!("main/binary-{}/Packages.xz", platform.architecture());
            let wanted = listed(&release, &name).ok_or_else(|| {
                Error::Archive(format!("{base}/InRelease does not list {name}: choose another suite"))
            })?;
            let packed = get(&format!("{base}/{name}"))?;
            let found = sha256_hex(&packed);
            if found != wanted.0 || packed.len() as u64 != wanted.1 {
                return Err(Error::Archive(format!(
                    "{base}/{name} is not the one that InRelease names (a mirror in the middle of its update?): try again in some minutes"
                )));
            }
            let mut text = String::new();
            liblzma::read::XzDecoder::new(packed.as_slice())
                .read_to_string(&mut text)
                .map_err(|error| Error::malformed(format!("{base}/{name}"), error))?;
            index.add(archive, &text)?;
        }
        Ok(index)
    }

    /// Adds the packages of a `Packages` file that are newer than those known.
    pub(crate) fn add(&mut self, archive: Archive, text: &str) -> Result<()> {
        for fields in deb822::paragraphs(text) {
            let package = available(archive, &fields)?;
            let older = |known: &Available| version::compare(&known.version, &package.version).is_lt();
            if self.packages.get(&package.name).is_none_or(older) {
                self.packages.insert(package.name.clone(), package);
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Available> {
        self.packages.get(name)
    }

    /// The first package by name that provides a virtual one.
    pub(crate) fn provider(&self, name: &str) -> Option<&Available> {
        self.packages.values().find(|package| package.provides.iter().any(|provided| provided == name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }
}

fn available(archive: Archive, fields: &[(&str, String)]) -> Result<Available> {
    let must = |name: &str| {
        let missing = || Error::malformed("a Packages file of the mirror", format!("a paragraph without {name}"));
        deb822::field(fields, name).map(str::to_owned).ok_or_else(missing)
    };
    let list = |name: &str| deb822::field(fields, name).unwrap_or_default().to_owned();
    let depends = [list("Pre-Depends"), list("Depends")];
    let groups = depends.iter().flat_map(|list| list.split(',')).filter(|group| !group.trim().is_empty());
    Ok(Available {
        name: must("Package")?,
        version: must("Version")?,
        archive,
        path: must("Filename")?,
        sha256: must("SHA256")?,
        size: must("Size")?.parse().map_err(|error| Error::malformed("a Packages file of the mirror", error))?,
        depends: groups.map(|group| group.split('|').map(bare).collect()).collect(),
        provides: list("Provides").split(',').map(bare).collect(),
    })
}

/// `libc6:any (>= 2.3) [amd64]` → `libc6`
fn bare(relation: &str) -> String {
    let name = relation.trim().split([' ', '(', '[']).next().unwrap_or_default();
    name.split(':').next().unwrap_or_default().to_owned()
}

/// SHA-256 and size that a release lists for a file.
fn listed(release: &str, name: &str) -> Option<(String, u64)> {
    let paragraph = deb822::paragraphs(release).find(|fields| deb822::field(fields, "SHA256").is_some())?;
    deb822::field(&paragraph, "SHA256")?.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (sha256, size, path) = (words.next()?, words.next()?, words.next()?);
        (path == name).then(|| Some((sha256.to_owned(), size.parse().ok()?)))?
    })
}

const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// The text of a signed release, after its signature was checked with Debian's keys.
fn verified(url: &str, signed: &[u8]) -> Result<String> {
    let given = std::env::var_os("SLIPWAY_DEBIAN_KEYRING").map(std::path::PathBuf::from);
    let keyring = given.or_else(|| KEYRINGS.iter().map(Into::into).find(|path: &std::path::PathBuf| path.is_file()));
    let keyring = keyring.ok_or_else(|| {
        Error::Archive(format!(
            "the signature of {url} cannot be checked without Debian's keys: apt-get install debian-archive-keyring, \
             or name the keyring in SLIPWAY_DEBIAN_KEYRING"
        ))
    })?;
    let mut child = Command::new("gpgv")
        .arg("--keyring")
        .arg(Path::new(&keyring))
        .args(["--output", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::Program {
            program: "gpgv".to_owned(),
            reason: format!("{error}; it checks the mirror's signature when a lock is made: apt-get install gpgv, or brew install gnupg"),
        })?;
    let mut stdin = child.stdin.take();
    let bytes = signed.to_vec();
    let feeding = std::thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&bytes)));
    let done = child.wait_with_output().map_err(|error| Error::malformed("gpgv", error))?;
    let _ = feeding.join();
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(Error::Archive(format!(
            "{url} is not signed by Debian's keys; nothing was locked. gpgv says:\n{}",
            said.trim()
        )));
    }
    String::from_utf8(done.stdout).map_err(|error| Error::malformed(url, error))
}
