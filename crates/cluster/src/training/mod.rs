//! How far a training is, from the objects of its TrainJob: pure functions, for whoever watches them.
//!
//! ```text
//! TrainJob, JobSet   as they arrive, with the fields that are read
//! Pod   --WorkerPod::of-->  one worker
//! Event --Warning::of-->    one warning                --Training::of-->  state, workers, progress, times, and why it cannot start
//! ```

mod all;
mod exit;
mod hindrance;
mod objects;
mod refusal;
mod state;
#[cfg(test)]
mod tests;
mod warning;
mod worker;

pub use all::trainings;
pub use hindrance::Hindrance;
pub use objects::{JobSet, TrainJob};
pub(crate) use refusal::of_refusal;
pub use state::{Progress, State, Training, Worker};
pub use warning::{WARNINGS, Warning};
pub use worker::{JOBSET, WorkerPod};
