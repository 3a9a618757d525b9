//! The dataset monitor: it watches datasets, builds what has landed, and opens issues, retrain pull requests and, for versions that were
//! trained on other data than the one in service, promotions. It never makes, changes or deletes a TrainJob: git does.
//!
//! ```text
//! landing prefixes --landed, build--> head --look--> Evidence, Decision --act--> retrain pull request, issue
//!        ^ POST /events is a hint, polling the guarantee        \--> Watched, which REST and metrics show
//! sample of the requests --hour by hour--> look --> the same about the requests of the version in service
//! registry --a version trained on what is pinned--> duel with the one in service --> promotion
//! ```
//!
//! [`once`] is the part up to the head alone, for a job.
//!
//! Nothing is kept but copies: of the repository, and of what the store holds. After a start, and after a kill at any moment, everything is looked at
//! again, and comes to the same: a head moves by compare-and-swap, and a pull request has the name of what it is about.

// the layout of the future that watches is deeper than the compiler looks by default
#![recursion_limit = "256"]

mod act;
mod broken;
mod declared;
pub mod error;
pub mod events;
pub mod hints;
pub mod http;
pub mod metrics;
pub mod once;
pub mod published;
mod remembered;
mod requests;
mod rivals;
pub mod settings;
pub mod waiting;
pub mod watch;
pub mod watched;
