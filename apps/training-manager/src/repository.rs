//! The repository that the manager follows.

pub use slipway_service::Followed;
pub(crate) use slipway_service::blocking;
