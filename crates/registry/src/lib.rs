//! OCI images into a registry and out of it, by digest.
//!
//! An image comes from an OCI image layout folder and goes into one. Both ends are verified: a blob that differs from its name is never
//! sent, and an answer with another digest than was sent is an error. The tag is set last, so it never points at an incomplete image.

mod bounded;
mod client;
mod connection;
mod credentials;
mod error;
mod identity;
mod index;
mod manifest;
mod pull;
mod push;
mod referrers;

pub use client::Options;
pub use error::{Error, Result};
pub use index::{Combined, Indexed, combine};
pub use pull::pull;
pub use push::{Pushed, push};
