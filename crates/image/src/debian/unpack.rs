//! Unpacks a `.deb` into a tree. <https://manpages.debian.org/bookworm/dpkg-dev/deb.5>

use std::fs::File;
use std::io::Read;
use std::path::Path;

use slipway_oci::Platform;

use crate::debian::deb822;
use crate::error::{Error, Result};
use crate::lock::Package;
use crate::tree::{Kind, Tree};

/// Folders that no program of an image reads. Licences stay: `usr/share/doc/<package>/copyright`.
const LEFT_OUT: [&str; 12] = [
    "usr/share/bash-completion/",
    "usr/share/bug/",
    "usr/share/doc-base/",
    "usr/share/gdb/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/menu/",
    "usr/share/pixmaps/",
    "usr/share/applications/",
    "usr/share/gcc/",
];

/// The links that Debian's merged /usr has in the root folder.
pub(crate) fn merged_usr(platform: Platform) -> &'static [&'static str] {
    match platform {
        Platform::Amd64 => &["bin", "lib", "lib64", "sbin"],
        Platform::Arm64 => &["bin", "lib", "sbin"],
    }
}

/// Unpacks a package and writes its control file to /var/lib/dpkg/status.d, where image scanners look for it.
///
/// # Errors
/// When the file is not a package, or not the locked one.
pub(crate) fn unpack(deb: &Path, package: &Package, platform: Platform, tree: &mut Tree) -> Result<()> {
    let what = format!("{} {}", package.name, package.version);
    let broken = |error: std::io::Error| Error::malformed(&what, error);
    let mut archive = ar::Archive::new(File::open(deb).map_err(Error::file("reading", deb))?);
    let mut data_seen = false;
    while let Some(member) = archive.next_entry() {
        let member = member.map_err(broken)?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        if name.starts_with("control.tar") {
            let control = control(&what, &mut tar::Archive::new(decompress(&what, &name, member)?))?;
            check(package, platform, &control)?;
            let path = format!("var/lib/dpkg/status.d/{}", package.name);
            tree.stream(&path, &mut control.as_bytes(), false, &what)?;
        } else if name.starts_with("data.tar") {
            data_seen = true;
            data(&what, &mut tar::Archive::new(decompress(&what, &name, member)?), platform, tree)?;
        }
    }
    if data_seen { Ok(()) } else { Err(Error::malformed(what, "is not a Debian package: it has no data.tar")) }
}

fn decompress<'a>(what: &str, name: &str, member: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    Ok(match name.rsplit('.').next() {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(member)),
        Some("zst") => {
            Box::new(zstd::stream::read::Decoder::new(member).map_err(|error| Error::malformed(what, error))?)
        }
        Some("gz") => Box::new(flate2::read::GzDecoder::new(member)),
        Some("tar") => Box::new(member),
        _ => return Err(Error::malformed(what, format!("has {name}, whose compression is not supported"))),
    })
}

fn control(what: &str, archive: &mut tar::Archive<impl Read>) -> Result<String> {
    let broken = |error: std::io::Error| Error::malformed(what, error);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if entry.path().map_err(broken)?.file_name().is_some_and(|name| name == "control") {
            let mut text = String::new();
            entry.read_to_string(&mut text).map_err(broken)?;
            return Ok(text.trim_end().to_owned() + "\n");
        }
    }
    Err(Error::malformed(what, "has no control file"))
}

fn check(package: &Package, platform: Platform, control: &str) -> Result<()> {
    let fields: Vec<_> = deb822::paragraphs(control).flatten().collect();
    let is = |name| deb822::field(&fields, name).unwrap_or_default();
    let same = is("Package") == package.name && is("Version") == package.version;
    if same && ["all", platform.architecture()].contains(&is("Architecture")) {
        return Ok(());
    }
    let found = format!("{} {} for {}", is("Package"), is("Version"), is("Architecture"));
    Err(Error::malformed(format!("{} {}", package.name, package.version), format!("the file is {found}: lock again")))
}

fn data(what: &str, archive: &mut tar::Archive<impl Read>, platform: Platform, tree: &mut Tree) -> Result<()> {
    let broken = |error: std::io::Error| Error::malformed(what, error);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let Some(path) = merged(&entry.path().map_err(broken)?.to_string_lossy(), platform) else { continue };
        if left_out(&path) {
            continue;
        }
        match entry.header().entry_type() {
            tar::EntryType::Directory => tree.folder(&path, what)?,
            tar::EntryType::Regular => {
                let executable = entry.header().mode().map_err(broken)? & 0o111 != 0;
                tree.stream(&path, &mut entry, executable, what)?;
            }
            tar::EntryType::Symlink => {
                tree.link(&path, &target(&entry, &path, what)?, what)?;
            }
            tar::EntryType::Link => {
                let to = target(&entry, &path, what)?;
                let file = merged(&to, platform).and_then(|to| tree.get(&to).cloned());
                let Some(Kind::File { content, executable }) = file.map(|node| node.kind) else {
                    return Err(Error::malformed(what, format!("{path} is a hard link to {to}, which is not a file")));
                };
                tree.file(&path, content, executable, what)?;
            }
            other => {
                return Err(Error::malformed(what, format!("{path} is a {other:?}, which is not allowed in an image")));
            }
        }
    }
    Ok(())
}

/// What a link points to.
fn target(entry: &tar::Entry<'_, impl Read>, path: &str, what: &str) -> Result<String> {
    let target = entry.link_name().map_err(|error| Error::malformed(what, error))?;
    let target = target.ok_or_else(|| Error::malformed(what, format!("{path} is a link to nothing")))?;
    Ok(target.to_string_lossy().into_owned())
}

/// The path below the root without `./`, with /bin, /lib and /sbin inside /usr, as in every release since bookworm. `None` for the root.
fn merged(path: &str, platform: Platform) -> Option<String> {
    let path = path.trim_start_matches("./").trim_matches('/');
    let first = path.split('/').next().filter(|first| !first.is_empty())?;
    let moved = merged_usr(platform).contains(&first);
    Some(if moved { format!("usr/{path}") } else { path.to_owned() })
}

fn left_out(path: &str) -> bool {
    let inside = |folder: &str| path.starts_with(folder) || path == folder.trim_end_matches('/');
    if LEFT_OUT.iter().any(|folder| inside(folder)) {
        return true;
    }
    let Some(rest) = path.strip_prefix("usr/share/doc/") else { return false };
    // the folder itself (or the link that stands for it) and the licence
    rest.split_once('/').is_some_and(|(_, inside)| inside != "copyright")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_package_and_of_the_image() {
        let amd64 = |path| merged(path, Platform::Amd64);
        assert_eq!(amd64("./lib/x86_64-linux-gnu/libc.so.6").unwrap(), "usr/lib/x86_64-linux-gnu/libc.so.6");
        assert_eq!(amd64("./lib64/ld-linux-x86-64.so.2").unwrap(), "usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(amd64("./etc/ssl/").unwrap(), "etc/ssl");
        assert_eq!(amd64("./"), None);
        assert!(left_out("usr/share/man/man1/x.1.gz") && left_out("usr/share/doc/x/changelog.gz"));
        assert!(!left_out("usr/share/doc/x/copyright") && !left_out("usr/share/doc/x") && !left_out("usr/lib/x"));
    }
}
