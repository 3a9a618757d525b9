//! Keeping a cache small: what an earlier build needed and nobody needs any more.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;

use slipway_dataset::Store;
use slipway_digest::Digest;
use slipway_experiment::Dataset;

use crate::build::Places;
use crate::index::{self, Kept};
use crate::{Error, Result};

/// Removes from the cache of a dataset what its next build does not need: indexes, packs and assignments of builds before the last one. For a cache that
/// nobody else uses meanwhile; what is removed by mistake is fetched again.
///
/// # Errors
/// If the store cannot be reached, or the cache cannot be written.
pub async fn trim(declaration: &Dataset, places: &Places, store: &Store) -> Result<()> {
    let mut keep = HashSet::new();
    if let Some(pipeline) = &declaration.spec.pipeline
        && let Some(bytes) = store.step(&index::key(declaration, pipeline)).await?
        && let Ok(kept) = serde_json::from_slice::<Kept>(&bytes)
    {
        keep.insert(kept.index.digest);
        keep.extend(kept.packs.iter().flatten().map(|pack| pack.digest));
    }
    keep.extend(store.head(&declaration.name).await?.map(|seen| seen.head.assignments.digest));
    keep_only(&places.cache(), &keep)
}

/// Removes from a cache ([`slipway_dataset::Cache`]) what has none of these digests, also what a killed program had begun to write.
///
/// # Errors
/// If the folder cannot be read or written.
pub fn keep_only(cache: &Path, keep: &HashSet<Digest>) -> Result<()> {
    // where the files of a cache are
    let folder = cache.join("sha256");
    let failed = |error: std::io::Error| Error::file("remove what is not needed in", &folder, &error);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let keep: HashSet<String> = keep.iter().map(Digest::hex).collect();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_str().is_none_or(|name| !keep.contains(name)) {
            std::fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stays_and_all_else_goes() {
        let folder = tempfile::tempdir().unwrap();
        let none = HashSet::new();
        keep_only(folder.path(), &none).unwrap();
        let files = folder.path().join("sha256");
        std::fs::create_dir(&files).unwrap();
        let [needed, old] = ["needed", "old"].map(Digest::of);
        for name in [needed.hex(), old.hex(), ".part".to_owned()] {
            std::fs::write(files.join(name), "x").unwrap();
        }
        keep_only(folder.path(), &[needed].into()).unwrap();
        let left: Vec<_> = std::fs::read_dir(&files).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [needed.hex().as_str()]);
    }
}
