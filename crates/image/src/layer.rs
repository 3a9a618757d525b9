//! Packs a tree into a layer: sorted, without times, owned by root, compressed the same everywhere.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use slipway_digest::{Digest, Hashing};
use slipway_oci::{Descriptor, media_type};
use tar::{EntryType, Header};

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::tree::{Kind, Node, Tree};

/// zstd's level; 3 is three times as fast and a tenth larger. Part of every layer's key.
const LEVEL: i32 = 9;
/// zstd's output is the same for any number of workers from one upwards, and another without workers.
const WORKERS: u32 = 2;
/// To be raised when the same inputs pack to other bytes, so that layers of an older slipway are not taken from the cache.
const FORMAT: u32 = 1;

/// A finished layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// What the layer holds, in one word.
    pub name: String,
    /// Of the compressed layer.
    #[serde(with = "slipway_digest::bare")]
    pub digest: Digest,
    /// Of the tar inside.
    #[serde(with = "slipway_digest::bare")]
    pub diff_id: Digest,
    /// Compressed bytes.
    pub size: u64,
    /// How it is compressed.
    pub media_type: String,
    /// The paths of its libraries that stand in for others that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<String>,
}

impl Layer {
    /// Whether the cache has its bytes, unchanged.
    pub(crate) fn is_whole(&self, cache: &Cache) -> bool {
        let blob = self.blob(cache);
        blob.is_file() && cache.digest_of(&blob).is_ok_and(|digest| digest == self.digest)
    }

    /// Where the cache keeps its compressed bytes.
    #[must_use]
    pub fn blob(&self, cache: &Cache) -> PathBuf {
        cache.layers().path(&self.digest)
    }

    /// How a manifest names it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(&self.media_type, self.digest, self.size)
    }
}

/// The layer of these inputs. It is taken from the cache if it was made before and `fresh` is not set; otherwise it is made now.
pub(crate) fn make(
    cache: &Cache,
    name: &str,
    inputs: &serde_json::Value,
    fresh: bool,
    fill: impl FnOnce(&mut Tree) -> Result<()>,
) -> Result<Layer> {
    let key = Digest::of(serde_json::json!([FORMAT, LEVEL, name, inputs]).to_string());
    let keys = cache.folder("layers/keys")?;
    let note = keys.join(key.hex());
    if !fresh && let Some(layer) = remembered(&note) {
        // layouts share the file, so damage to a layout is damage to the cache
        if layer.is_whole(cache) {
            return Ok(layer);
        }
    }
    let blobs = cache.layers();
    std::fs::create_dir_all(blobs.folder()).map_err(Error::file("making", blobs.folder()))?;
    let mut tree = Tree::new(blobs.folder())?;
    fill(&mut tree)?;
    let part = blobs.part()?;
    let full = || Error::file("writing", blobs.folder());
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
    blobs.keep(part, &digest)?;
    let layer = Layer {
        name: name.to_owned(),
        digest,
        diff_id,
        size,
        media_type: media_type::LAYER_ZSTD.to_owned(),
        stand_ins: tree.stand_ins(),
    };
    let text = serde_json::to_vec(&layer).map_err(|error| Error::malformed("a layer", error))?;
    let mut part = cache.part(&keys)?;
    part.write_all(&text).map_err(Error::file("writing", &note))?;
    part.persist(&note).map_err(|error| Error::file("writing", &note)(error.error))?;
    Ok(layer)
}

/// `None` if there is no note, or one that cannot be read: the layer is made again then.
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
