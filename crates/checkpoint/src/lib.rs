//! Checkpoints of training jobs on S3: complete or not there, and written by one attempt at a time.
//!
//! A checkpoint is some shards, whose keys are their digests, and an entry in the job's manifest. The shards are stored first. Then the manifest
//! is replaced by compare-and-swap, so a checkpoint that is half written is never seen. The manifest names the last two checkpoints; what it
//! no longer names is removed.
//!
//! ```text
//! s3://checkpoints/<job>/manifest.json       the only object that changes
//! s3://checkpoints/<job>/<attempt>/<hex>     a shard: its SHA-256, below the number of the attempt that stored it
//! ```
//!
//! An attempt first claims the manifest: it writes its number there. Everything that it writes later must find the manifest as it left it. So a worker of
//! an earlier attempt that still lives, on a node that nobody reaches, cannot write any more, and does not remove what a later attempt has stored.

mod attempt;
mod content;
mod error;
mod manifest;
mod place;
mod restore;

pub use attempt::{Attempt, Remover};
pub use content::Content;
pub use error::{Error, Result};
pub use place::Checkpoints;
pub use restore::Restored;
