//! OCI images on disk: media types, platforms, descriptors, manifests, and the image layout, read and written.
//! <https://github.com/opencontainers/image-spec/tree/v1.1.1>
//!
//! oci-spec has types for the same documents, but keeps annotations and labels in hash maps. Their order changes from run to run, and
//! with it the digest; here the same content is always the same bytes.

mod blobs;
mod descriptor;
mod document;
mod error;
mod layout;
pub mod media_type;
mod platform;
mod writer;

pub use blobs::Blobs;
pub use descriptor::{AnyPlatform, Descriptor};
pub use document::{Document, Index, Manifest, references};
pub use error::{Error, Result, is_of_this_machine};
pub use layout::{LAYOUT, LAYOUT_FILE, Layout};
pub use platform::{Platform, UnknownPlatform};
pub use writer::{LayoutWriter, replace_layout};
