//! From what was fetched to a plain file or a folder: compressed files are unpacked, files are taken out of archives.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use slipway_source::suggestion;

use crate::archive::{Archive, Bounded, Form, Limits, unreadable};
use crate::copy::{Failed, copy};
use crate::fetch::Located;
use crate::{Error, Result};

/// Where archives and compressed files are unpacked.
#[derive(Debug, Clone, Copy)]
pub struct Unpacking<'a> {
    /// How large they may become.
    pub limits: Limits,
    /// A folder for whatever is unpacked.
    pub folder: &'a Path,
}

/// A plain file, and its name for messages.
#[derive(Debug, Clone)]
pub struct Plain {
    /// The field that declares it.
    pub field: String,
    /// Where it is from.
    pub name: String,
    /// Where it is on this machine.
    pub path: PathBuf,
}

/// What a file is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Archive(Form),
    Gzip,
    Page,
    Other,
}

/// The declared file itself: taken out of its archive, and without compression.
///
/// # Errors
/// [`Error::Problem`] if it is not there or not whole; if it cannot be written.
pub fn file(unpacking: &Unpacking<'_>, located: &Located) -> Result<Plain> {
    let Located { field, name, path, .. } = located;
    if path.is_dir() {
        return match &located.inside {
            Some(inside) if path.join(inside).is_file() => {
                unpacked(unpacking, field, format!("{name}/{inside}"), path.join(inside))
            }
            Some(inside) => Err(absent(located, inside, &[])),
            None => Err(Error::problem(field, "wrong-value", format!("{name} is a folder"), "name a file")),
        };
    }
    let archive = match (kind(path, field, name)?, &located.inside) {
        (Kind::Archive(form), _) => Archive { field, name, path, form, limits: unpacking.limits },
        (_, Some(inside)) => {
            let message = format!("{name} is not an archive, so {inside} is not in it");
            return Err(Error::problem(
                field,
                "wrong-value",
                message,
                "leave `inside` out; archives are .zip, .tar and .tar.gz",
            ));
        }
        (_, None) => return unpacked(unpacking, field, name.clone(), path.clone()),
    };
    let mut names = Vec::new();
    let to = fresh(unpacking)?;
    match &located.inside {
        Some(inside) if archive.extract(inside, &to, &mut names)? => {
            unpacked(unpacking, field, format!("{name}/{inside}"), to)
        }
        Some(inside) => Err(absent(located, inside, &names)),
        None => {
            archive.extract("", &to, &mut names)?;
            let message = format!("{name} is an archive, and nothing says which of its files is meant");
            Err(Error::problem(
                field,
                "missing-field",
                message,
                format!("write {{from: …, inside: …}}; {}", listed(&names)),
            ))
        }
    }
}

/// The declared folder: one on this machine, or an unpacked archive.
///
/// # Errors
/// [`Error::Problem`] if it is not there or not whole; if it cannot be written.
pub fn folder(unpacking: &Unpacking<'_>, located: &Located) -> Result<PathBuf> {
    let Located { field, name, path, .. } = located;
    let root = if path.is_dir() {
        path.clone()
    } else {
        let Kind::Archive(form) = kind(path, field, name)? else {
            let message = format!("{name} is neither a folder nor an archive");
            return Err(Error::problem(field, "wrong-value", message, "archives are .zip, .tar and .tar.gz"));
        };
        let to = fresh(unpacking)?;
        std::fs::create_dir(&to).map_err(|error| Error::file("create", &to, &error))?;
        Archive { field, name, path, form, limits: unpacking.limits }.unpack(&to)?;
        to
    };
    let Some(inside) = &located.inside else { return Ok(root) };
    let folder = root.join(inside);
    if folder.is_dir() {
        return Ok(folder);
    }
    let names: Vec<String> = std::fs::read_dir(&root)
        .map_err(|error| Error::file("read", &root, &error))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    Err(absent(located, inside, &names))
}

fn absent(located: &Located, inside: &str, names: &[String]) -> Error {
    let field = format!("{}.inside", located.field);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let message = format!("{} has no {inside}", located.name);
    Error::problem(&field, "not-found", message, suggestion(inside, "it has", &names))
}

fn listed(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    suggestion("", "it has", &names)
}

/// Removes the compression of a single file.
fn unpacked(unpacking: &Unpacking<'_>, field: &str, name: String, path: PathBuf) -> Result<Plain> {
    if kind(&path, field, &name)? != Kind::Gzip {
        return Ok(Plain { field: field.to_owned(), name, path });
    }
    let to = fresh(unpacking)?;
    let compressed = File::open(&path).map_err(|error| Error::file("read", &path, &error))?;
    let mut file = File::create_new(&to).map_err(|error| Error::file("write", &to, &error))?;
    let mut left = unpacking.limits.bytes;
    let mut content = Bounded { inner: MultiGzDecoder::new(BufReader::new(compressed)), left: &mut left };
    match copy(&mut content, &mut file) {
        Ok(()) => Ok(Plain { field: field.to_owned(), name, path: to }),
        Err(Failed::Reading(error)) => Err(unreadable(field, &name, "gzip file", &error, unpacking.limits)),
        Err(Failed::Writing(error)) => Err(Error::file("write", &to, &error)),
    }
}

/// A path that does not exist yet.
fn fresh(unpacking: &Unpacking<'_>) -> Result<PathBuf> {
    let unreadable = |error| Error::file("read", unpacking.folder, &error);
    let count = std::fs::read_dir(unpacking.folder).map_err(unreadable)?.count();
    Ok(unpacking.folder.join(count.to_string()))
}

/// What a file is. A page of a browser is never what was meant.
fn kind(path: &Path, field: &str, name: &str) -> Result<Kind> {
    let unreadable = |error| Error::file("read", path, &error);
    let start = |reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        reader.take(512).read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = start(&mut File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    let is_tar = |bytes: &[u8]| bytes.get(257..262) == Some(b"ustar");
    let text = String::from_utf8_lossy(&bytes).trim_start_matches('\u{feff}').trim_start().to_lowercase();
    let kind = if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        Kind::Archive(Form::Zip)
    } else if is_tar(&bytes) {
        Kind::Archive(Form::Tar)
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut inner = MultiGzDecoder::new(File::open(path).map_err(unreadable)?);
        // whether it is complete is seen when it is unpacked
        if start(&mut inner).is_ok_and(|bytes| is_tar(&bytes)) { Kind::Archive(Form::TarGz) } else { Kind::Gzip }
    } else if text.starts_with("<!doctype html") || text.starts_with("<html") {
        Kind::Page
    } else {
        Kind::Other
    };
    if kind == Kind::Page {
        let message = format!("{name} is a web page, not the file itself");
        let help = "give the address that the page's download button leads to, or download the file yourself and give its path";
        return Err(Error::problem(field, "web-page", message, help));
    }
    Ok(kind)
}
