//! An S3 endpoint over a folder: s3s, with the conditional writes of AWS.
//!
//! s3s-fs looks at `If-Match` and `If-None-Match` before it writes, so two writers at once would both pass. Here a conditional write has its key
//! to itself from the comparison until the new content is in place:
//!
//! | Request | Answer |
//! |---|---|
//! | `If-None-Match: *`, and the object exists | 412 `PreconditionFailed` |
//! | `If-Match: <tag>`, and the object has another tag | 412 `PreconditionFailed` |
//! | `If-Match: <tag>`, and there is no object | 404 `NoSuchKey` |
//! | either, while something else is written to the key | 409 `ConditionalRequestConflict` |
//! | `If-None-Match: <tag>` | 501 `NotImplemented` |
//!
//! as in <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>. The entity tag of an object that is only
//! written under conditions belongs to the content that is sent with it, also if the process is killed in the middle of a write.

mod conditional;
mod key_locks;

use std::path::Path;

use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

use conditional::Conditional;

/// A service for hyper that serves a folder, which must exist, to whoever has the keys.
///
/// # Errors
/// The reason, if the folder cannot be read.
pub fn service(folder: &Path, access_key: &str, secret_key: &str) -> Result<S3Service, String> {
    let mut builder = S3ServiceBuilder::new(Conditional::new(folder)?);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    Ok(builder.build())
}
