//! OCI images into a registry and out of it, by digest.
//!
//! What goes in is an OCI image layout folder. Everything is verified on both ends: a blob that is not what its name says is never
//! sent, and an answer with another digest than was sent is an error. The tag is set last, so it never points at something incomplete.

mod client;
mod digest;
mod error;
mod layout;
mod pull;
mod push;
mod referrers;

pub use client::Options;
pub use error::{Error, Result};
pub use layout::{Descriptor, Layout, Platform};
pub use pull::pull;
pub use push::{Pushed, push};
