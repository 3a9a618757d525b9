//! The files of one layer before they are packed: normalised, sorted, each with the source that it came from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The source of a file that stands in for a library that was left out.
const STAND_IN: &str = "slipway's stand-in for a library that was left out";

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// In a file on disk.
    Disk(PathBuf),
    /// In the temporary file of the tree.
    Spooled { offset: u64, size: u64 },
}

/// A folder, a file or a link.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Folder,
    File { content: Content, executable: bool },
    Link(String),
}

/// One path of a layer.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Permissions, already normalised.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: (u32, u32),
    /// The source, for messages.
    from: String,
}

/// The files of one layer, by path without a leading slash.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
    spool: File,
    spooled: u64,
}

impl Tree {
    /// An empty tree. Files of more than 4 KiB are kept in an unnamed file in this folder.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let spool = tempfile::tempfile_in(folder).map_err(Error::file("writing in", folder))?;
        Ok(Self { nodes: BTreeMap::new(), spool, spooled: 0 })
    }

    /// Adds a file. Of its permissions, only execution is kept.
    pub(crate) fn file(&mut self, path: &str, content: Content, executable: bool, from: &str) -> Result<()> {
        let mode = if executable { 0o755 } else { 0o644 };
        self.insert(path, Node { kind: Kind::File { content, executable }, mode, owner: (0, 0), from: from.to_owned() })
    }

    /// Adds a file from a stream, such as a member of an archive.
    pub(crate) fn stream(&mut self, path: &str, from: &mut impl Read, executable: bool, source: &str) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map_err(|error| Error::malformed(source, error))?;
        let size = bytes.len() as u64;
        let content = if size <= 1 << 12 {
            Content::Bytes(bytes)
        } else {
            let failed = Error::file("writing", "a temporary file of the cache");
            self.spool.write_all_at(&bytes, self.spooled).map_err(failed)?;
            self.spooled += size;
            Content::Spooled { offset: self.spooled - size, size }
        };
        self.file(path, content, executable, source)
    }

    /// Adds a library that no source brought.
    pub(crate) fn stand_in(&mut self, path: &str, library: Vec<u8>) -> Result<()> {
        self.file(path, Content::Bytes(library), true, STAND_IN)
    }

    /// The paths of the libraries that no source brought.
    pub(crate) fn stand_ins(&self) -> Vec<String> {
        self.nodes().filter(|(_, node)| node.from == STAND_IN).map(|(path, _)| path.to_owned()).collect()
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, to: &str, from: &str) -> Result<()> {
        self.insert(path, Node { kind: Kind::Link(to.to_owned()), mode: 0o777, owner: (0, 0), from: from.to_owned() })
    }

    /// Adds a folder that belongs to root and that anybody may read.
    pub(crate) fn folder(&mut self, path: &str, from: &str) -> Result<()> {
        self.owned_folder(path, 0o755, (0, 0), from)
    }

    /// Adds a folder.
    pub(crate) fn owned_folder(&mut self, path: &str, mode: u32, owner: (u32, u32), from: &str) -> Result<()> {
        self.insert(path, Node { kind: Kind::Folder, mode, owner, from: from.to_owned() })
    }

    /// Adds a folder with these permissions, or changes those of the existing one.
    pub(crate) fn set_mode(&mut self, path: &str, mode: u32) -> Result<()> {
        self.folder(path, "slipway")?;
        if let Some(node) = self.nodes.get_mut(path) {
            node.mode = mode;
        }
        Ok(())
    }

    fn insert(&mut self, path: &str, node: Node) -> Result<()> {
        let path = path.trim_matches('/').to_owned();
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") || path.contains('\0') {
            return Err(Error::malformed(
                &node.from,
                format!("has the path {path:?}, which is not allowed in an image"),
            ));
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            match self.nodes.get(parent).map(|node| &node.kind) {
                Some(Kind::Folder) => {}
                None => self.folder(parent, &node.from)?,
                Some(_) => return Err(self.conflict(parent, &node.from)),
            }
        }
        let Some(present) = self.nodes.get(&path) else {
            self.nodes.insert(path, node);
            return Ok(());
        };
        let same = match (&present.kind, &node.kind) {
            (Kind::Folder, Kind::Folder) => true,
            (Kind::Link(one), Kind::Link(other)) => one == other,
            (Kind::File { content: one, .. }, Kind::File { content: other, .. }) => {
                self.bytes(one)? == self.bytes(other)?
            }
            _ => false,
        };
        if same { Ok(()) } else { Err(self.conflict(&path, &node.from)) }
    }

    fn conflict(&self, path: &str, second: &str) -> Error {
        let first = self.nodes.get(path).map(|node| node.from.clone()).unwrap_or_default();
        Error::Conflict { path: format!("/{path}"), first, second: second.to_owned() }
    }

    /// Every path in order; a folder comes before its content.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The node at a path.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// A reader of a file's bytes, and their number.
    pub(crate) fn open<'a>(&'a self, content: &'a Content) -> Result<(Box<dyn Read + 'a>, u64)> {
        Ok(match content {
            Content::Bytes(bytes) => (Box::new(bytes.as_slice()), bytes.len() as u64),
            Content::Disk(path) => {
                let file = File::open(path).map_err(Error::file("reading", path))?;
                let size = file.metadata().map_err(Error::file("reading", path))?.len();
                (Box::new(file.take(size)), size)
            }
            Content::Spooled { offset, size } => {
                (Box::new(Spooled { file: &self.spool, offset: *offset, left: *size }), *size)
            }
        })
    }

    /// A file's bytes; `None` if the path is not a file.
    pub(crate) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let Some(Node { kind: Kind::File { content, .. }, .. }) = self.nodes.get(path) else { return Ok(None) };
        self.bytes(content).map(Some)
    }

    /// Writes everything below a folder that is empty. Long runs of zeros take no space on the disk.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        for (path, node) in self.nodes() {
            let to = folder.join(path);
            match &node.kind {
                Kind::Folder => std::fs::create_dir_all(&to).map_err(Error::file("making", &to))?,
                Kind::Link(target) => {
                    std::os::unix::fs::symlink(target, &to).map_err(Error::file("making", &to))?;
                }
                Kind::File { content, .. } => {
                    let (reader, size) = self.open(content)?;
                    let file = File::options().write(true).create_new(true).mode(node.mode).open(&to);
                    let file = file.map_err(Error::file("writing", &to))?;
                    copy(reader, size, &file).map_err(Error::file("writing", &to))?;
                }
            }
        }
        Ok(())
    }

    fn bytes(&self, content: &Content) -> Result<Vec<u8>> {
        let (mut reader, size) = self.open(content)?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        reader.read_to_end(&mut bytes).map_err(Error::file("reading", "a file of the layer"))?;
        Ok(bytes)
    }
}

/// Copies into an empty file, and leaves a hole where there are only zeros.
fn copy(mut reader: impl Read, size: u64, file: &File) -> std::io::Result<()> {
    const BLOCK: usize = 1 << 16;
    let mut block = Vec::with_capacity(BLOCK);
    let mut at = 0;
    loop {
        block.clear();
        let read = reader.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        if read == 0 {
            return file.set_len(size);
        }
        if block.iter().any(|byte| *byte != 0) {
            file.write_all_at(&block, at)?;
        }
        at += read as u64;
    }
}

/// A part of the temporary file.
struct Spooled<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Spooled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
