//! A sample of what a server was asked and what it answered, as Parquet files on S3: for whoever watches whether the data change.
//!
//! ```text
//! s3://requests/<model>/<version>/<yyyy-mm-dd>/<hh>/<replica>-<first>-<unique>.parquet
//! ```
//!
//! Days and hours are those of UTC, and a file holds the answers of one hour. `<first>` is the time of its first answer in milliseconds
//! since 1970, and `<unique>` keeps files apart that begin at the same moment. The model's name is escaped as in a URL.
//!
//! Each row of a file is one row of a request (one image, one line of a table), see [`Sample`]:
//!
//! | Column | Type | |
//! |---|---|---|
//! | `time` | timestamp in ms, UTC | when it was answered |
//! | `request_id` | text | what the client called its request; empty if it did not |
//! | `row` | int32 | which row of the request, from 0 |
//! | `version` | int64 | the version of the model that answered |
//! | `digest` | text | `sha256:` and the SHA-256 of the inputs as little-endian float32 |
//! | `inputs` | list of float32 | the numbers of all inputs, in the order of the model's signature |
//! | `outputs` | list of float32 | the numbers of the model's first output; of a built-in network these are the probabilities |
//! | `features` | list of float32, or null | the model's features, at most 512: of a built-in network what its last fully connected layer took |
//!
//! [`Sampler`] takes answers from a server, [`Reader`] lists and reads them.
//!
//! # What is sampled
//!
//! Each request is taken with the same probability, the share, independently of everything else: of its content, its id, its answer, and
//! of other requests. So the sample of an hour is a simple random sample of the requests of that hour, and its mean of anything is that of
//! the requests. All rows of a request are taken together. A reservoir would give a fixed number instead of a fixed share, but it knows
//! which ones to keep only at the end of the hour, and would hold them in memory until then.
//!
//! A server leaves out what it is asked with the id `slipway-measuring`: a program asks that to measure a version, and nobody has sent it. Any client may use
//! that id, and is counted then: a sample says what requests are like, and is no audit of who asked what.
//!
//! Two bounds end this: when the memory is full because S3 does not answer, and when an hour has as many rows as it may. Then new requests
//! are left out and counted, and the sample is one of the time before. A share at which neither happens is the right one.
//!
//! # Privacy
//!
//! A sample holds what people have sent. So the share is 0 unless somebody sets it, files older than the retention are deleted, and the
//! bucket is one of its own, with rights of its own.

mod decode;
mod encode;
mod error;
mod file;
mod hour;
mod pending;
mod reader;
mod retention;
mod sample;
mod sampler;
mod schema;
mod writer;

pub use error::Error;
pub use file::File;
pub use hour::Hour;
pub use reader::Reader;
pub use sample::Sample;
pub use sampler::{Place, Rows, Sampler, Settings, now};
pub use writer::{Counts, Writer};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The bucket that holds samples, if no other is named.
pub const BUCKET: &str = "requests";

/// The bucket of an address such as `s3://requests`; `None` if it is not written like one.
#[must_use]
pub fn bucket(address: &str) -> Option<&str> {
    let bucket = address.strip_prefix("s3://")?.trim_end_matches('/');
    (!bucket.is_empty() && !bucket.contains('/')).then_some(bucket)
}
