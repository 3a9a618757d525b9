//! From what was fetched to a plain file or a folder: compressed files are unpacked, files are taken out of archives.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use slipway_source::suggestion;

use crate::archive::{Archive, Bounded, Form, unreadable};
use crate::copy::{Failed, copy};
use crate::fetch::Fetched;
use crate::make::Work;
use crate::{Error, Result};

/// A plain file, and its name for messages.
#[derive(Debug, Clone)]
pub(crate) struct Plain {
    pub(crate) field: String,
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// What a file is by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Archive(Form),
    Gzip,
    Page,
    Other,
}

/// The declared file itself.
pub(crate) fn file(work: &Work<'_>, fetched: &Fetched) -> Result<Plain> {
    let Fetched { field, name, path, .. } = fetched;
    if path.is_dir() {
        return match &fetched.inside {
            Some(inside) if path.join(inside).is_file() => {
                unpacked(work, field, format!("{name}/{inside}"), path.join(inside))
            }
            Some(inside) => Err(absent(fetched, inside, &[])),
            None => Err(Error::problem(field, "wrong-value", format!("{name} is a folder"), "name a file")),
        };
    }
    let archive = match (kind(path, field, name)?, &fetched.inside) {
        (Kind::Archive(form), _) => Archive { field, name, path, form, limits: work.limits },
        (_, Some(inside)) => {
            let message = format!("{name} is not an archive, so {inside} is not in it");
            return Err(Error::problem(
                field,
                "wrong-value",
                message,
                "leave `inside` out; archives are .zip, .tar and .tar.gz",
            ));
        }
        (_, None) => return unpacked(work, field, name.clone(), path.clone()),
    };
    let mut names = Vec::new();
    let to = fresh(work)?;
    match &fetched.inside {
        Some(inside) if archive.extract(inside, &to, &mut names)? => {
            unpacked(work, field, format!("{name}/{inside}"), to)
        }
        Some(inside) => Err(absent(fetched, inside, &names)),
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
pub(crate) fn folder(work: &Work<'_>, fetched: &Fetched) -> Result<PathBuf> {
    let Fetched { field, name, path, .. } = fetched;
    let root = if path.is_dir() {
        path.clone()
    } else {
        let Kind::Archive(form) = kind(path, field, name)? else {
            let message = format!("{name} is neither a folder nor an archive");
            return Err(Error::problem(field, "wrong-value", message, "archives are .zip, .tar and .tar.gz"));
        };
        let to = fresh(work)?;
        std::fs::create_dir(&to).map_err(|error| Error::file("create", &to, &error))?;
        Archive { field, name, path, form, limits: work.limits }.unpack(&to)?;
        to
    };
    let Some(inside) = &fetched.inside else { return Ok(root) };
    let folder = root.join(inside);
    if folder.is_dir() {
        return Ok(folder);
    }
    let names: Vec<String> = std::fs::read_dir(&root)
        .map_err(|error| Error::file("read", &root, &error))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    Err(absent(fetched, inside, &names))
}

fn absent(fetched: &Fetched, inside: &str, names: &[String]) -> Error {
    let field = format!("{}.inside", fetched.field);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let message = format!("{} has no {inside}", fetched.name);
    Error::problem(&field, "not-found", message, suggestion(inside, "it has", &names))
}

fn listed(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    suggestion("", "it has", &names)
}

/// Removes the compression of a single file.
fn unpacked(work: &Work<'_>, field: &str, name: String, path: PathBuf) -> Result<Plain> {
    if kind(&path, field, &name)? != Kind::Gzip {
        return Ok(Plain { field: field.to_owned(), name, path });
    }
    let to = fresh(work)?;
    let compressed = File::open(&path).map_err(|error| Error::file("read", &path, &error))?;
    let mut file = File::create_new(&to).map_err(|error| Error::file("write", &to, &error))?;
    let mut left = work.limits.bytes;
    let mut content = Bounded { inner: MultiGzDecoder::new(BufReader::new(compressed)), left: &mut left };
    match copy(&mut content, &mut file) {
        Ok(()) => Ok(Plain { field: field.to_owned(), name, path: to }),
        Err(Failed::Reading(error)) => Err(unreadable(field, &name, "gzip file", &error, work.limits)),
        Err(Failed::Writing(error)) => Err(Error::file("write", &to, &error)),
    }
}

/// A path that does not exist yet.
fn fresh(work: &Work<'_>) -> Result<PathBuf> {
    let unreadable = |error| Error::file("read", work.folder, &error);
    let count = std::fs::read_dir(work.folder).map_err(unreadable)?.count();
    Ok(work.folder.join(count.to_string()))
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
