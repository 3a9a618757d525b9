//! What of a store nothing needs any more: indexes of declarations that have changed and packs that only those name, assignments of earlier heads, reports of
//! datasets that nobody names, and what killed builds have left.
//!
//! **What is needed.** Every manifest and all of its blobs, because a digest may be pinned anywhere: in another branch, in a job, in the history. All
//! that a head names. Of each declaration, what its next build would use of the last one; and the reports of the dataset that it pins.
//!
//! What is removed of somebody else's datasets in the same bucket is a cache: their next build reads its sources again, to the same result. What
//! was written lately stays, since a build that runs names its blobs last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use slipway_dataset::{Digest, Head, Store, Stored, StoredObject};
use slipway_experiment::Dataset;

use crate::index::{self, Kept};
use crate::output::Blobs;
use crate::report::Report;
use crate::{Error, Result};

/// What nothing needs, and what stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Unneeded {
    /// What may be removed, in the order of the keys.
    pub objects: Vec<StoredObject>,
    /// Objects that nothing needs yet and that were written lately.
    pub young: u64,
    /// Objects that are needed.
    pub needed: u64,
    /// Their bytes.
    pub needed_bytes: u64,
    /// The heads that this was found out from.
    heads: BTreeMap<String, Head>,
}

impl Unneeded {
    /// The bytes of what may be removed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }
}

/// Finds what no head, no manifest and none of the declarations needs, and what was written more than `least_age` before `now`. Changes nothing.
///
/// # Errors
/// If a head, a manifest or the report of a head is damaged or missing: then nothing can be said. If the store cannot be reached or refuses.
pub async fn unneeded(
    declarations: &[Dataset],
    store: &Store,
    least_age: Duration,
    now: SystemTime,
) -> Result<Unneeded> {
    let stored = store.stored().await?;
    let needed = Needed::of(declarations, &stored, store).await?;
    let mut found = Unneeded { objects: Vec::new(), young: 0, needed: 0, needed_bytes: 0, heads: needed.heads.clone() };
    for object in stored {
        let stays = match &object.stored {
            Stored::Head(_) | Stored::Manifest(_) => true,
            Stored::Blob(digest) => needed.blobs.contains(digest),
            Stored::Report { manifest, .. } => needed.reported.contains(manifest),
            Stored::Step(key) => needed.steps.contains(key),
        };
        // one without a time may be new
        let is_young =
            || object.changed.is_none_or(|changed| now.duration_since(changed).unwrap_or_default() < least_age);
        if stays {
            found.needed += 1;
            found.needed_bytes += object.size;
        } else if is_young() {
            found.young += 1;
        } else {
            found.objects.push(object);
        }
    }
    found.objects.sort_by_key(|object| object.stored.key());
    Ok(found)
}

/// Removes what was found, unless a head has moved since then.
///
/// # Errors
/// [`Error::Overtaken`] if a head has moved: nothing is removed then. If the store cannot be reached or refuses.
pub async fn remove(unneeded: &Unneeded, store: &Store) -> Result<()> {
    for (name, head) in &unneeded.heads {
        if store.head(name).await?.is_none_or(|seen| seen.head != *head) {
            return Err(Error::Overtaken(name.clone(), 1));
        }
    }
    // steps first: a step that names a blob which is gone would be looked at for nothing
    let is_step = |object: &&StoredObject| matches!(object.stored, Stored::Step(_));
    let (steps, others): (Vec<_>, Vec<_>) = unneeded.objects.iter().partition(is_step);
    for object in steps.into_iter().chain(others) {
        store.remove(&object.stored).await?;
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Needed {
    heads: BTreeMap<String, Head>,
    blobs: BTreeSet<Digest>,
    /// Manifests whose reports stay.
    reported: BTreeSet<Digest>,
    steps: BTreeSet<Digest>,
}

impl Needed {
    async fn of(declarations: &[Dataset], stored: &[StoredObject], store: &Store) -> Result<Self> {
        let mut needed = Self::default();
        for object in stored {
            match &object.stored {
                Stored::Manifest(digest) => {
                    let manifest = store.read_manifest(digest).await?;
                    needed.blobs.extend(manifest.blobs().map(|(_, blob)| blob.digest));
                }
                Stored::Head(name) => {
                    let Some(seen) = store.head(name).await? else { continue };
                    needed.blobs.insert(seen.head.assignments.digest);
                    needed.reported.insert(seen.head.manifest);
                    needed.heads.insert(name.clone(), seen.head);
                }
                _ => {}
            }
        }
        for declaration in declarations {
            needed.reported.extend(declaration.spec.digest.as_deref().and_then(|digest| digest.parse::<Digest>().ok()));
            if let Some(pipeline) = &declaration.spec.pipeline {
                let is_stored = |key: &Digest| stored.iter().any(|object| object.stored == Stored::Step(*key));
                needed.steps.extend(index::keys(declaration, pipeline).find(is_stored));
            }
        }
        for object in stored {
            match &object.stored {
                Stored::Step(key) => needed.step(key, store).await?,
                Stored::Report { manifest, report } if needed.reported.contains(manifest) => {
                    let bytes = store.report(manifest, report).await?;
                    // one of another version of this program names nothing that is known
                    if let Ok(report) = serde_json::from_slice::<Report>(&bytes) {
                        needed.blobs.insert(report.set_aside.list.digest);
                    }
                }
                _ => {}
            }
        }
        Ok(needed)
    }

    /// What a step names, if a declaration has it; and whether it is the step of a split that some manifest holds.
    async fn step(&mut self, key: &Digest, store: &Store) -> Result<()> {
        let Some(bytes) = store.step(key).await? else { return Ok(()) };
        if self.steps.contains(key) {
            if let Ok(kept) = serde_json::from_slice::<Kept>(&bytes) {
                self.blobs.insert(kept.index.digest);
                self.blobs.extend(kept.packs.iter().flatten().map(|pack| pack.digest));
            }
        } else if let Ok(blobs) = serde_json::from_slice::<Blobs>(&bytes)
            && blobs.each().iter().all(|blob| self.blobs.contains(&blob.digest))
        {
            self.steps.insert(*key);
        }
        Ok(())
    }
}
