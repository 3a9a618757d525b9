//! What the loop is started with.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Programs, Supervisor};

/// Called with the name and duration of each phase: `s3`, `forge`, `mlflow`, `server`, `manager`, `monitor`,
/// `page`.
pub type Observer = Arc<dyn Fn(&str, Duration) + Send + Sync>;

/// What the loop is started with.
#[derive(Clone)]
pub struct Configuration {
    /// The repository whose HEAD the forge's main starts from.
    pub repository: PathBuf,
    /// The state folder, absolute.
    pub state: PathBuf,
    /// Whether to remove what an earlier run left there.
    pub afresh: bool,
    /// The programs to run.
    pub programs: Programs,
    /// How to run them.
    pub supervisor: Supervisor,
    /// How to install the packages of programs: see [`Trainers::packages`](crate::Trainers::packages).
    pub packages: Vec<OsString>,
    /// The page's port; any free one for `None`.
    pub page_port: Option<u16>,
    /// CPUs for jobs, in thousandths; those of this machine for `None`.
    pub cpu_millis: Option<u64>,
    /// Called at the end of each phase.
    pub observer: Observer,
}

/// CPUs of this machine in thousandths.
pub(crate) fn machine_cpu_millis() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64) * 1000
}
