//! Packs a tree into a layer: sorted, without times, owned by root, compressed the same everywhere.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tar::{EntryType, Header};

use crate::cache::Cache;
use crate::digest::{Hashing, sha256_hex};
use crate::error::{Error, Result};
use crate::tree::{Kind, Node, Tree};

/// zstd's level; 3 is three times as fast and a tenth larger. Part of every layer's key.
const LEVEL: i32 = 9;
/// With one worker or more, zstd's output does not depend on how many there are; without any it is another.
const WORKERS: u32 = 2;
/// Changes when the same inputs pack to other bytes, so that layers of an older slipway are not taken.
const FORMAT: u32 = 1;

/// A finished layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What it holds, in a word.
    pub name: String,
    /// SHA-256 of the compressed layer, in hex.
    pub digest: String,
    /// SHA-256 of the tar inside, in hex.
    pub diff_id: String,
    /// Compressed bytes.
    pub size: u64,
    /// How it is compressed.
    pub media_type: String,
}

/// The media type of every layer that is made here.
const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

impl Layer {
    /// Whether the cache has its bytes, unchanged.
    pub(crate) fn is_whole(&self, cache: &Cache) -> bool {
        let blob = self.blob(cache);
        blob.is_file() && cache.hash_of(&blob).is_ok_and(|hash| hash == self.digest)
    }

    /// Where the cache keeps its compressed bytes.
    #[must_use]
    pub fn blob(&self, cache: &Cache) -> PathBuf {
        cache.root().join("layers").join("blobs").join(&self.digest)
    }
}

/// The layer of these inputs: from the cache when it was made before and `fresh` is not asked for, else made now.
pub(crate) fn make(
    cache: &Cache,
    name: &str,
    inputs: &serde_json::Value,
    fresh: bool,
    fill: impl FnOnce(&mut Tree) -> Result<()>,
) -> Result<Layer> {
    let key = sha256_hex(serde_json::json!([FORMAT, LEVEL, name, inputs]).to_string().as_bytes());
    let (keys, blobs) = (cache.folder("layers/keys")?, cache.folder("layers/blobs")?);
    let known = keys.join(&key);
    if !fresh && let Some(layer) = remembered(&known) {
        // layouts share these files: whoever damages one there damages it here
        if layer.is_whole(cache) {
            return Ok(layer);
        }
    }
    let mut tree = Tree::new(&blobs)?;
    fill(&mut tree)?;
    let part = cache.part(&blobs)?;
    let full = || Error::file("writing", &blobs);
    let sink = Hashing::new(BufWriter::new(part));
    let mut encoder = zstd::stream::write::Encoder::new(sink, LEVEL).map_err(full())?;
    encoder.multithread(WORKERS).map_err(full())?;
    let mut tar = tar::Builder::new(Hashing::new(encoder));
    for (path, node) in tree.nodes() {
        entry(&tree, path, node, &mut tar)?;
    }
    let (encoder, diff_id, _) = tar.into_inner().map_err(full())?.finish();
    let (sink, digest, size) = encoder.finish().map_err(full())?.finish();
    let part = sink.into_inner().map_err(|error| full()(error.into_error()))?;
    let layer = Layer { name: name.to_owned(), digest, diff_id, size, media_type: MEDIA_TYPE.to_owned() };
    part.persist(layer.blob(cache)).map_err(|error| full()(error.error))?;
    let mut note = cache.part(&keys)?;
    let text = serde_json::to_vec(&layer).map_err(|error| Error::malformed("a layer", error))?;
    note.write_all(&text).map_err(Error::file("writing", &known))?;
    note.persist(&known).map_err(|error| Error::file("writing", &known)(error.error))?;
    Ok(layer)
}

fn remembered(path: &std::path::Path) -> Option<Layer> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

fn entry(tree: &Tree, path: &str, node: &Node, tar: &mut tar::Builder<impl Write>) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(u64::from(node.owner.0));
    header.set_gid(u64::from(node.owner.1));
    header.set_mode(node.mode);
    header.set_size(0);
    let full = || Error::file("packing", path);
    match &node.kind {
        Kind::Folder => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, format!("{path}/"), std::io::empty()).map_err(full())
        }
        Kind::Link(to) => {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, path, to).map_err(full())
        }
        Kind::File { content, .. } => {
            let (reader, size) = tree.open(content)?;
            header.set_entry_type(EntryType::Regular);
            header.set_size(size);
            tar.append_data(&mut header, path, reader).map_err(full())
        }
    }
}
