//! One layer: an uncompressed tar. It never leaves this machine, and taking it in is then only a copy.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Who owns a file in an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner(pub(super) u64);

/// The superuser.
pub(super) const ROOT: Owner = Owner(0);

/// A layer being written: entries have fixed times, so that the same content is the same layer.
pub(super) struct Layer<'a> {
    tar: Builder<&'a mut dyn Write>,
}

impl<'a> Layer<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        Self { tar: Builder::new(to) }
    }

    pub(super) fn folder(&mut self, path: &str, mode: u32, owner: Owner) -> io::Result<()> {
        let mut header = header(EntryType::Directory, mode, owner, 0);
        self.tar.append_data(&mut header, format!("{}/", path.trim_matches('/')), io::empty())
    }

    pub(super) fn file(&mut self, path: &str, mode: u32, owner: Owner, content: &[u8]) -> io::Result<()> {
        let mut header = header(EntryType::Regular, mode, owner, content.len() as u64);
        self.tar.append_data(&mut header, path.trim_start_matches('/'), content)
    }

    /// Takes a file from this machine.
    pub(super) fn copy(&mut self, path: &str, mode: u32, from: &Path) -> io::Result<()> {
        let file = File::open(from)?;
        let mut header = header(EntryType::Regular, mode, ROOT, file.metadata()?.len());
        self.tar.append_data(&mut header, path.trim_start_matches('/'), file)
    }

    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, ROOT, 0);
        self.tar.append_link(&mut header, path.trim_start_matches('/'), target)
    }

    /// Takes those entries of another tar whose path `wanted` says yes to.
    pub(super) fn merge(&mut self, tar: impl Read, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let name = path.to_string_lossy();
            let name = name.trim_start_matches("./").trim_end_matches('/').to_owned();
            if name.is_empty() || !wanted(&name) {
                continue;
            }
            let mut header = entry.header().clone();
            header.set_mtime(0);
            match entry.link_name()? {
                Some(target) => {
                    let target = target.into_owned();
                    // a hard link names a path of this tar, a symbolic one is text
                    let target = if header.entry_type().is_hard_link() {
                        target.strip_prefix(".").map(Path::to_owned).unwrap_or(target)
                    } else {
                        target
                    };
                    self.tar.append_link(&mut header, &name, target)?;
                }
                None => self.tar.append_data(&mut header, &name, &mut entry)?,
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.tar.finish()
    }
}

fn header(kind: EntryType, mode: u32, owner: Owner, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner.0);
    header.set_gid(owner.0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// Passes bytes on and knows their digest and count.
pub(super) struct Hashing<W> {
    to: W,
    digest: Sha256,
    count: u64,
}

impl<W: Write> Hashing<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, digest: Sha256::new(), count: 0 }
    }

    /// What was written to, the digest in hexadecimal, and the number of bytes.
    pub(super) fn finish(self) -> (W, String, u64) {
        (self.to, crate::inputs::hex(&self.digest.finalize()), self.count)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
