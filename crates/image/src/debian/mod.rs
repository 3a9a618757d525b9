//! Debian packages: found in the archive's index, resolved and unpacked, without dpkg and without running their scripts.

mod deb822;
mod index;
mod resolve;
mod unpack;
mod version;

pub(crate) use index::{Available, Index};
pub(crate) use resolve::resolve;
pub(crate) use unpack::{merged_usr, unpack};
