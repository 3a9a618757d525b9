//! What arrives in a bucket: images as `<prefix><label>/<file>`, or files of rows with any name below the prefix.

use std::time::UNIX_EPOCH;

use slipway_dataset::Store;
use slipway_experiment::Landing;

use crate::record::Part;
use crate::unit::{Unit, UnitKind};
use crate::{Error, Result};

/// Calls `take` with every object of a landing prefix. Notes beside images (`.json`) and markers of folders are no items.
pub(crate) async fn list(place: &Landing, store: &Store, mut take: impl FnMut(Unit) -> Result<()>) -> Result<()> {
    let Landing { bucket, prefix } = place;
    let listed = store.list(bucket, prefix, |object| {
        if object.key.ends_with('/') || object.key.ends_with(".json") {
            return Ok(());
        }
        let label = match object.key[prefix.len()..].split('/').collect::<Vec<_>>()[..] {
            [label, _] if !label.is_empty() => Some(label.to_owned()),
            _ => None,
        };
        let name = format!("s3://{bucket}/{}", object.key);
        let version = format!("{} of {} bytes", object.version, object.size);
        let kind = UnitKind::Object { bucket: bucket.clone(), key: object.key, size: object.size, label };
        let since = object.changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
        let at = since.and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default();
        take(Unit { name, version, at, part: Part::Whole, kind })
    });
    match listed.await {
        // nothing has landed yet
        Err(Error::Dataset(slipway_dataset::Error::Missing { .. })) => Ok(()),
        done => done,
    }
}
