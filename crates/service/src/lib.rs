//! What the services of a cluster have in common: what the environment says to them, their life from start to end, that they follow a
//! repository, wait for what is not there yet, that one of several replicas writes, and that they answer over HTTP.

mod awaited;
mod backoff;
mod first;
pub mod http;
mod leading;
mod memory;
pub mod reach;
mod repository;
mod run;
pub mod settings;
mod warned;

pub use awaited::{Awaited, Awaits, Missing, said};
pub use backoff::backoff;
pub use first::first_stays;
pub use leading::{NotLeader, lead, must_lead, stand};
pub use repository::{Followed, blocking};
pub use run::{NotStarted, run};
pub use warned::Warned;
