//! What a worker of a TrainJob does around training: its place among the workers, earlier attempts, the run, the gate, the
//! registration, progress, signals, and the exit codes that a cluster reacts to.
//!
//! The built-in trainer and the launcher of other programs share it, so both fail closed and register in the same way. It does not
//! link libtorch.

mod attempts;
mod cache;
mod dataset;
mod environment;
mod failure;
mod gate;
mod origin;
mod orphan;
mod progress;
mod record;
mod recorder;
mod registration;
pub mod rendezvous;
mod reporter;
mod run;
mod runtime;
mod signals;
mod status;
mod trial;

use std::time::{SystemTime, UNIX_EPOCH};

pub use attempts::{Attempts, until_answered};
pub use cache::cache;
pub use dataset::{check_dataset_name, dataset_digest, dataset_input};
pub use environment::{Environment, Membership};
pub use failure::Failure;
pub use gate::{Verdict, judge};
pub use origin::{Origin, params};
pub use progress::Progress;
pub use record::{Record, RecordHandle};
pub use recorder::{Recorder, Start};
pub use registration::{Registration, add_files, publish, upload};
pub use reporter::Reporter;
pub use run::RunHandle;
pub use runtime::runtime;
pub use signals::Conclusion;
pub use trial::trial;

/// A result of this crate.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
