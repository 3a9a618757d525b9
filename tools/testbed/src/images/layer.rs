//! One layer: an uncompressed tar. It never leaves this machine, so compression would only cost time.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

/// The user and the group of a file in an image; their numbers are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner(pub(super) u64);

/// The superuser.
pub(super) const ROOT: Owner = Owner(0);

/// A layer that is being written. Entries have a fixed time, so the same content is the same layer.
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

    /// Adds a file of this machine, owned by root.
    pub(super) fn copy(&mut self, path: &str, mode: u32, from: &Path) -> io::Result<()> {
        let file = File::open(from)?;
        let mut header = header(EntryType::Regular, mode, ROOT, file.metadata()?.len());
        self.tar.append_data(&mut header, path.trim_start_matches('/'), file)
    }

    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, ROOT, 0);
        self.tar.append_link(&mut header, path.trim_start_matches('/'), target)
    }

    /// Adds the entries of another tar whose path `is_included` accepts.
    pub(super) fn merge(&mut self, tar: impl Read, is_included: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in tar::Archive::new(tar).entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let name = path.to_string_lossy();
            let name = name.trim_start_matches("./").trim_end_matches('/').to_owned();
            if name.is_empty() || !is_included(&name) {
                continue;
            }
            let mut header = entry.header().clone();
            header.set_mtime(0);
            match entry.link_name()? {
                Some(target) => {
                    let target = target.into_owned();
                    // the target of a hard link is a path of this tar; that of a symbolic link is any text
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
