//! Layers and manifests, written into an OCI layout.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

use serde_json::{Value, json};
use slipway_digest::{Digest, Hashing};
use slipway_oci::{Descriptor, Document, LayoutWriter, Manifest, Platform, media_type};

use super::layer::Layer;
use super::{Error, Result};

/// The annotation that holds an image's full reference.
pub(super) const NAME: &str = "io.containerd.image.name";

/// Writes a layer.
pub(super) fn layer(
    to: &LayoutWriter,
    write: impl FnOnce(&mut Layer<'_>) -> std::io::Result<()>,
) -> Result<Descriptor> {
    let blobs = to.blobs();
    let failed = |error| Error::from(crate::file::at(blobs.folder())(error));
    let mut hashing = Hashing::new(BufWriter::with_capacity(1 << 20, blobs.part()?));
    let mut layer = Layer::new(&mut hashing);
    write(&mut layer).and_then(|()| layer.finish()).map_err(failed)?;
    hashing.flush().map_err(failed)?;
    let (buffer, digest, size) = hashing.finish();
    let part = buffer.into_inner().map_err(|error| failed(error.into_error()))?;
    blobs.keep(part, &digest)?;
    Ok(Descriptor::new(media_type::LAYER, digest, size))
}

/// Writes the configuration and the manifest of an image for this machine's platform.
pub(super) fn image(to: &LayoutWriter, config: &Value, layers: &[Descriptor]) -> Result<Descriptor> {
    let platform = Platform::of_this_machine();
    let digests: Vec<Digest> = layers.iter().map(|layer| layer.digest).collect();
    let config = json!({
        "architecture": platform.architecture(),
        "os": platform.os(),
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = to.put(&Document::new(media_type::CONFIG, &config))?;
    let manifest = Manifest::new(config, layers.to_vec()).document();
    Ok(to.put(&manifest)?.for_platform(platform))
}

/// The entry of a layout's index for an image under one of its references.
pub(super) fn named(image: &Descriptor, reference: &str, annotations: &[(&str, &str)]) -> Descriptor {
    let tag = reference.rsplit_once(':').map_or("latest", |(_, tag)| tag);
    let names = [(NAME, reference), ("org.opencontainers.image.ref.name", tag)];
    let annotations: BTreeMap<_, _> =
        names.iter().chain(annotations).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Descriptor { annotations, ..image.clone() }
}
