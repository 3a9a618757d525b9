//! Archives: `.tar`, `.tar.gz` and `.zip`, as strangers make them. No path leads out of the folder that they are unpacked into, and their
//! size is bounded.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::copy::{Failed, copy};
use crate::{Error, Result};

/// How large an archive may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files in it.
    pub files: u64,
    /// Bytes of all its files together; also of a single compressed file.
    pub bytes: u64,
}

impl Default for Limits {
    /// Ten million files, 1 TiB.
    fn default() -> Self {
        Self { files: 10_000_000, bytes: 1 << 40 }
    }
}

/// The form of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Tar,
    TarGz,
    Zip,
}

/// An archive on this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Archive<'a> {
    /// The field that declares it.
    pub(crate) field: &'a str,
    /// What it is called in messages.
    pub(crate) name: &'a str,
    pub(crate) path: &'a Path,
    pub(crate) form: Form,
    pub(crate) limits: Limits,
}

impl Archive<'_> {
    /// Unpacks everything into an empty folder.
    pub(crate) fn unpack(&self, folder: &Path) -> Result<()> {
        self.each(&mut |name, content| self.write(name, content, &folder.join(name)))
    }

    /// Unpacks one file. `false` if it is not there; then `names` has the first names that are.
    pub(crate) fn extract(&self, wanted: &str, to: &Path, names: &mut Vec<String>) -> Result<bool> {
        let mut found = false;
        self.each(&mut |name, content| {
            if name == wanted {
                found = true;
                return self.write(name, content, to);
            }
            if names.len() < 1000 {
                names.push(name.to_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn write(&self, name: &str, content: &mut dyn Read, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| self.cannot_write(name, parent, &error))?;
        }
        let mut file = File::create_new(path).map_err(|error| self.cannot_write(name, path, &error))?;
        copy(content, &mut file).map_err(|failed| match failed {
            Failed::Reading(error) => self.broken(&error),
            Failed::Writing(error) => Error::file("write", path, &error),
        })
    }

    fn cannot_write(&self, name: &str, path: &Path, error: &std::io::Error) -> Error {
        use std::io::ErrorKind::{AlreadyExists, NotADirectory};
        if matches!(error.kind(), AlreadyExists | NotADirectory) {
            return self.refuse(format!("has {name} twice"), "make it again with each file once");
        }
        Error::file("write", path, error)
    }

    /// Calls `take` with the path and the content of each file. Folders are left out; anything else is refused.
    fn each(&self, take: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
        let file = File::open(self.path).map_err(|error| Error::file("read", self.path, &error))?;
        let mut budget = Budget { files: self.limits.files, bytes: self.limits.bytes };
        match self.form {
            Form::Tar => self.each_of_tar(BufReader::new(file), &mut budget, take),
            Form::TarGz => self.each_of_tar(MultiGzDecoder::new(BufReader::new(file)), &mut budget, take),
            Form::Zip => self.each_of_zip(file, &mut budget, take),
        }
    }

    fn each_of_tar(
        &self,
        reader: impl Read,
        budget: &mut Budget,
        take: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries().map_err(|error| self.broken(&error))? {
            let entry = entry.map_err(|error| self.broken(&error))?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let kind = entry.header().entry_type();
            if kind.is_pax_global_extensions() {
                continue;
            }
            let Some(name) = self.safe(&name)? else { continue };
            if kind.is_dir() {
                continue;
            }
            if !kind.is_file() {
                return Err(self.link(&name));
            }
            self.count(budget)?;
            take(&name, &mut Bounded { inner: entry, left: &mut budget.bytes })?;
        }
        Ok(())
    }

    fn each_of_zip(
        &self,
        file: File,
        budget: &mut Budget,
        take: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
    ) -> Result<()> {
        const LINK: u32 = 0o12_0000;
        const KIND: u32 = 0o17_0000;
        let broken = |error: zip::result::ZipError| self.broken(&std::io::Error::other(error));
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(broken)?;
            // as some programs of Windows write them
            let name = entry.name().replace('\\', "/");
            let Some(name) = self.safe(&name)? else { continue };
            if entry.is_dir() {
                continue;
            }
            if entry.unix_mode().is_some_and(|mode| mode & KIND == LINK) {
                return Err(self.link(&name));
            }
            self.count(budget)?;
            take(&name, &mut Bounded { inner: entry, left: &mut budget.bytes })?;
        }
        Ok(())
    }

    /// The path within the folder; `None` for the folder itself.
    fn safe(&self, name: &str) -> Result<Option<String>> {
        let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if name.starts_with('/') || parts.contains(&"..") || name.contains('\0') {
            let message = format!("has the path {name:?}, which leads out of the folder that it is unpacked into");
            return Err(self.refuse(message, "do not trust it; if it is yours, make it again from within the folder"));
        }
        Ok((!parts.is_empty()).then(|| parts.join("/")))
    }

    fn link(&self, name: &str) -> Error {
        self.refuse(format!("has {name}, which is a link or a device, not a file"), "make it again with files alone")
    }

    fn count(&self, budget: &mut Budget) -> Result<()> {
        match budget.files.checked_sub(1) {
            Some(left) => budget.files = left,
            None => {
                let message = format!("has more than {} files", self.limits.files);
                return Err(self.refuse(message, "take fewer, or pack them as a table"));
            }
        }
        Ok(())
    }

    fn refuse(&self, what: String, help: &str) -> Error {
        Error::problem(self.field, "unsafe-archive", format!("{} {what}", self.name), help)
    }

    fn broken(&self, error: &std::io::Error) -> Error {
        unreadable(self.field, self.name, "archive", error, self.limits)
    }
}

/// Content that cannot be unpacked.
pub(crate) fn unreadable(field: &str, name: &str, what: &str, error: &std::io::Error, limits: Limits) -> Error {
    if error.kind() == std::io::ErrorKind::FileTooLarge {
        let message = format!("{name} unpacks to more than {} bytes", limits.bytes);
        return Error::problem(
            field,
            "unsafe-archive",
            message,
            "do not trust it; if it is yours, give the files themselves",
        );
    }
    let message = format!("{name} is not a complete {what}: {error}");
    Error::problem(field, "truncated", message, "download it again, and compare its size with the original's")
}

/// What may still be unpacked.
struct Budget {
    files: u64,
    bytes: u64,
}

/// Fails after a number of bytes.
pub(crate) struct Bounded<'a, R> {
    pub(crate) inner: R,
    pub(crate) left: &'a mut u64,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        *self.left = self.left.checked_sub(count as u64).ok_or(std::io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}
