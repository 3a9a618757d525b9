//! From sources that grow to a published dataset, in declared steps: read, transform, validate, split, publish.
//!
//! ```text
//! sources ──read, transform──> pixels + index ──validate──> kept, set aside ──split──> splits ──publish──> manifest ──> head
//!            one by one, once                   over records alone, 150 bytes an item                       by digest    by swap
//! ```
//!
//! The same code runs as `slipway dataset build` and in the dataset monitor; both give the same bytes.
//!
//! **What is read once is not read again.** A *unit* is what a source can say the version of without reading it: an object of a landing prefix
//! (entity tag), a file of a folder (size, times, inode), a pinned file (digest). What reading came to is in the *index*, sorted by the unit's name:
//! for each image its digests, levels, label and where its transformed pixels are: in a blob of a split that was published, or, if it was not, in a
//! *pack* (`moves.rs`). So the store holds each image once for the index and the dataset together. For each row of a table the index has its digest, its
//! label and where its values are, always in a pack, because what is published of them is text, or columns. An index is kept in the
//! store under the digest of the transforms; its units are joined with those of today, and only new ones are read. It is a cache:
//! without it everything is read again, to the same result. A difference hash is made when a rule asks for near-duplicates first.
//!
//! **Everything after that sees records, not data.** Validation and splits are external sorts and merges of small records ([`sort`]), so their memory
//! does not depend on the number of items, except for one bit an item while near-duplicates are looked for.
//!
//! **The order of files does not matter.** An item is known by the digest of its pixels as read, or of the values of its features; of those and of its
//! label, if that is a quantity. Of several with the same result the one stays that was
//! published before, then one of a test part, then the smallest digest, then the smallest name. Items stand in a split in the order of their
//! digests, which is as good as shuffled.
//!
//! **A split is kept.** No rule without a memory can hold exact shares and keep what is in a split: of any two images one would have to be "the
//! one to test with", and of four images three or more would be. So the *assignments* of the head are an input: an item that has one keeps it,
//! for ever, and new items fill up what each class lacks, in the order of a hash of seed and digest. What trains never becomes what tests, either. If
//! the head is lost, so are the assignments.
//!
//! **Nothing is half published.** Blobs first, then the manifest, the report, the assignments, and the head last, by compare-and-swap on
//! its entity tag. Whoever is overtaken starts again from the new head, with everything that was read; whoever is killed has at most left
//! blobs that nobody names.

mod arrival;
mod blocks;
mod build;
mod clean;
mod difference_hash;
mod error;
mod examine;
mod files;
mod hashes;
mod idx;
mod index;
mod landing;
mod levels;
mod moves;
mod near;
mod output;
mod pack;
mod payloads;
mod picture;
mod plan;
mod publish;
mod read;
mod record;
mod report;
mod resample;
pub mod sort;
mod split;
mod table;
mod temporary;
mod transform;
mod trim;
mod unit;
mod validate;

pub use arrival::{Arrival, Arrivals, arrivals, landed, result_of};
pub use build::{Built, Places, Step, build};
pub use clean::{Unneeded, remove, unneeded};
pub use error::Error;
pub use plan::{Planned, PlannedSource, plan};
pub use report::{ClassReport, Counts, Reason, ReasonCount, Report, SetAside, SetAsideReport, Short};
pub use temporary::Temporary;
pub use trim::{keep_only, trim};

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
