//! What the loop is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::{Programs, Supervisor};

/// Hears how long each phase took, by its name: `s3`, `forge`, `mlflow`, `server`, `page`.
pub type Observer = Arc<dyn Fn(&str, Duration) + Send + Sync>;

/// What the loop is started with.
#[derive(Clone)]
pub struct Configuration {
    /// The repository whose HEAD the forge's main starts from.
    pub repository: PathBuf,
    /// The state folder, absolute.
    pub state: PathBuf,
    /// Forget what an earlier run left there.
    pub afresh: bool,
    /// What to run.
    pub programs: Programs,
    /// How to run it.
    pub supervisor: Supervisor,
    /// The page's port; any free one for none.
    pub page_port: Option<u16>,
    /// CPUs for jobs, in thousandths; the machine's for none.
    pub cpu_millis: Option<u64>,
    /// Hears of each phase.
    pub observer: Observer,
}

/// CPUs of this machine in thousandths.
pub(crate) fn machine_cpu_millis() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64) * 1000
}
