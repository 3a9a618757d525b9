//! What the interfaces of services have in common: bounded connections, answers that are problems, and who may ask from where.

mod connection;
pub mod ended;
pub mod guard;
pub mod problem;
mod serve;
pub mod token;

pub use serve::serve;
