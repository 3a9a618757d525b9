//! The archive's index: `InRelease`, checked against Debian's keys, and the `Packages` files that it names by hash.

use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use slipway_digest::Digest;
use slipway_oci::Platform;

use crate::debian::{deb822, version};
use crate::error::{Error, Result};
use crate::fetch::{Size, get};
use crate::lock::Archive;

/// Debian's have a quarter of a megabyte.
const LARGEST_RELEASE: Size = Size::AtMost(16 << 20);

/// A package that the archive has.
#[derive(Clone, Debug)]
pub(crate) struct Available {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) archive: Archive,
    pub(crate) path: String,
    pub(crate) sha256: Digest,
    pub(crate) size: u64,
    /// The relations of Depends and Pre-Depends, each a list of alternatives.
    pub(crate) depends: Vec<Vec<String>>,
    provides: Vec<String>,
}

/// The newest version of every package of a suite.
#[derive(Debug, Default)]
pub(crate) struct Index {
    packages: BTreeMap<String, Available>,
}

impl Index {
    /// Downloads the index of a release, of its updates and of its security updates.
    pub(crate) fn download(suite: &str, platform: Platform) -> Result<Self> {
        let mut index = Self::default();
        let suites = [
            (Archive::Debian, suite.to_owned()),
            (Archive::Debian, format!("{suite}-updates")),
            (Archive::DebianSecurity, format!("{suite}-security")),
        ];
        for (archive, suite) in suites {
            let base = format!("{}/dists/{suite}", archive.mirror());
            let release = format!("{base}/InRelease");
            let release = verified(&release, &get(&release, LARGEST_RELEASE)?)?;
            let name = format!("main/binary-{}/Packages.xz", platform.architecture());
            let (digest, size) = listed(&release, &name).ok_or_else(|| {
                Error::Package(format!("{base}/InRelease does not list {name}: choose another suite"))
            })?;
            // the size in InRelease bounds the download; a file of another size has another digest
            let packed = get(&format!("{base}/{name}"), Size::AtMost(size))?;
            if Digest::of(&packed) != digest {
                return Err(Error::Archive(format!(
                    "{base}/{name} is not the one that InRelease names; the mirror may be updating: try again in a few minutes"
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

    /// Adds the packages of a `Packages` file that are newer than those of the same name in the index.
    pub(crate) fn add(&mut self, archive: Archive, text: &str) -> Result<()> {
        for fields in deb822::paragraphs(text) {
            let package = available(archive, &fields)?;
            let older = |present: &Available| version::compare(&present.version, &package.version).is_lt();
            if self.packages.get(&package.name).is_none_or(older) {
                self.packages.insert(package.name.clone(), package);
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Available> {
        self.packages.get(name)
    }

    /// The first package, by name, that provides a virtual package.
    pub(crate) fn provider(&self, name: &str) -> Option<&Available> {
        self.packages.values().find(|package| package.provides.iter().any(|provided| provided == name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.packages.keys().map(String::as_str)
    }
}

fn available(archive: Archive, fields: &[(&str, String)]) -> Result<Available> {
    const FILE: &str = "a Packages file of the mirror";
    let required = |name: &str| {
        let missing = || Error::malformed(FILE, format!("a paragraph has no {name}"));
        deb822::field(fields, name).map(str::to_owned).ok_or_else(missing)
    };
    let list = |name: &str| deb822::field(fields, name).unwrap_or_default().to_owned();
    let depends = [list("Pre-Depends"), list("Depends")];
    let groups = depends.iter().flat_map(|list| list.split(',')).filter(|group| !group.trim().is_empty());
    Ok(Available {
        name: required("Package")?,
        version: required("Version")?,
        archive,
        path: required("Filename")?,
        sha256: Digest::from_hex(&required("SHA256")?).map_err(|error| Error::malformed(FILE, error))?,
        size: required("Size")?.parse().map_err(|error| Error::malformed(FILE, error))?,
        depends: groups.map(|group| group.split('|').map(bare).collect()).collect(),
        provides: list("Provides").split(',').map(bare).collect(),
    })
}

/// `libc6:any (>= 2.3) [amd64]` → `libc6`
fn bare(relation: &str) -> String {
    let name = relation.trim().split([' ', '(', '[']).next().unwrap_or_default();
    name.split(':').next().unwrap_or_default().to_owned()
}

/// Digest and size that a release lists for a file; `None` if it does not list the file.
fn listed(release: &str, name: &str) -> Option<(Digest, u64)> {
    let paragraph = deb822::paragraphs(release).find(|fields| deb822::field(fields, "SHA256").is_some())?;
    deb822::field(&paragraph, "SHA256")?.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (sha256, size, path) = (words.next()?, words.next()?, words.next()?);
        (path == name).then(|| Some((Digest::from_hex(sha256).ok()?, size.parse().ok()?)))?
    })
}

const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// The text of a signed release, after its signature was checked against Debian's keys.
fn verified(url: &str, signed: &[u8]) -> Result<String> {
    let given = std::env::var_os("SLIPWAY_DEBIAN_KEYRING").map(PathBuf::from);
    let keyring = given.or_else(|| KEYRINGS.iter().map(PathBuf::from).find(|path| path.is_file()));
    let gpgv = |reason: String| Error::Program { program: "gpgv".to_owned(), reason };
    let keyring = keyring.ok_or_else(|| {
        gpgv(format!(
            "the signature of {url} cannot be checked without Debian's keys: apt-get install debian-archive-keyring, \
             or set SLIPWAY_DEBIAN_KEYRING to the keyring"
        ))
    })?;
    // a file instead of a pipe: gpgv may write before it has read everything
    let temporary = || Error::file("writing", "a temporary file");
    let mut input = tempfile::tempfile().map_err(temporary())?;
    input.write_all(signed).and_then(|()| input.rewind()).map_err(temporary())?;
    let done = Command::new("gpgv")
        .arg("--keyring")
        .arg(&keyring)
        .args(["--output", "-"])
        .stdin(Stdio::from(input))
        .output()
        .map_err(|error| {
            gpgv(format!(
                "{error}; it checks the mirror's signature when a lock is made: apt-get install gpgv, or brew install gnupg"
            ))
        })?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        return Err(Error::Archive(format!(
            "{url} is not signed by Debian's keys; nothing was locked. gpgv says:\n{}",
            errors.trim()
        )));
    }
    String::from_utf8(done.stdout).map_err(|error| Error::malformed(url, error))
}
