//! What lies in the landing prefixes, and since when: for whoever watches a dataset.

use std::collections::HashMap;

use slipway_dataset::Store;
use slipway_digest::Digest;
use slipway_experiment::{Dataset, Pipeline};

use crate::build::Places;
use crate::index::{self, IndexReader, Line, earliest};
use crate::landing;
use crate::picture::Picture;
use crate::{Error, Result};

/// An image that has landed, and was read by a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The object, such as `s3://landing/digits/7/a.png`.
    pub item: String,
    /// When it was written, in seconds since 1970; 0 from a store that lists no times. If it was written again with the same content, the first time that a
    /// build has seen.
    pub at: i64,
    /// The digest of what the transforms made of it: [`result_of`].
    pub result: Digest,
}

/// What the last build has read of the landing prefixes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// The images, in the order of their arrival and, of one second, of their names.
    pub images: Vec<Arrival>,
    /// When each object was written that cannot be read as an image with a label, in seconds since 1970, in order.
    pub aside: Vec<i64>,
}

/// The digest of what a transformed grey image holds, as [`Arrival::result`] has it: `height × width` levels, row by row.
#[must_use]
pub fn result_of(height: u32, width: u32, levels: &[u8]) -> Digest {
    Picture::digest_of([height, width], 1, levels)
}

/// The objects in the landing prefixes that the last build has read. What has changed since that build is not among them. Holds all of them, some 150 bytes
/// each.
///
/// # Errors
/// If the store cannot be reached or refuses.
pub async fn arrivals(declaration: &Dataset, places: &Places, store: &Store) -> Result<Arrivals> {
    let mut arrivals = Arrivals::default();
    let Some(pipeline) = &declaration.spec.pipeline else { return Ok(arrivals) };
    let earlier = index::earlier(declaration, pipeline, store, &places.cache()).await?;
    let Some((_, path)) = earlier else { return Ok(arrivals) };
    let mut listed = HashMap::new();
    for place in &pipeline.landing {
        landing::list(place, store, |unit| {
            listed.insert(unit.name, (unit.version, unit.at));
            Ok(())
        })
        .await?;
    }
    let mut reader = IndexReader::open(&path)?;
    let mut unit: Option<(String, i64)> = None;
    while reader.advance()? {
        match reader.line()? {
            Line::Unit { name, version, at } => {
                let same = listed.get(name).filter(|(there, _)| there == version);
                let written = same.map(|(_, written)| earliest(at, *written));
                unit = written.map(|written| (name.to_owned(), written));
            }
            Line::Item(item) => {
                let Some((name, at)) = &unit else { continue };
                match item.outcome {
                    Ok(good) => arrivals.images.push(Arrival { item: name.clone(), at: *at, result: good.result }),
                    Err(_) => arrivals.aside.push(*at),
                }
            }
        }
    }
    arrivals.aside.sort_unstable();
    arrivals.images.sort_by(|a, b| (a.at, &a.item).cmp(&(b.at, &b.item)));
    Ok(arrivals)
}

/// What is in the landing prefixes, as one digest: another one as soon as something is added, replaced or removed. Reads no image.
///
/// # Errors
/// If the store cannot be reached or refuses.
pub async fn landed(pipeline: &Pipeline, store: &Store) -> Result<Digest> {
    use std::io::Write as _;
    let mut hashing = slipway_digest::Hashing::new(std::io::sink());
    for place in &pipeline.landing {
        landing::list(place, store, |unit| {
            let line = format!("{}\0{}\0", unit.name, unit.version);
            hashing.write_all(line.as_bytes()).map_err(|error| Error::temporary(std::path::Path::new("memory"), &error))
        })
        .await?;
    }
    Ok(hashing.finish().1)
}
