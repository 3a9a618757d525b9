//! What the services of a cluster have in common: they follow a repository, wait for what is not there yet, one of several replicas writes, and
//! they answer over HTTP.

mod awaited;
pub mod http;
mod leading;
mod memory;
pub mod reach;
mod repository;
mod warned;

pub use awaited::{Awaited, Awaits, Missing, said};
pub use leading::{NotLeader, lead, must_lead};
pub use memory::give_memory_back;
pub use repository::{Followed, blocking};
pub use warned::Warned;
