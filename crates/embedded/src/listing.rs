//! The jobs that main asks for, as the scheduler shows them to the Kubernetes API.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::status::JobStatus;

/// The jobs that main asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// By name. One that has not changed is the same `Arc` as before.
    pub(crate) jobs: BTreeMap<String, Arc<Listed>>,
    /// Whether main has been read, so that a job that is not here is not there.
    pub(crate) is_complete: bool,
}

/// A job that main asks for, or no longer asks for and whose workers have not ended yet.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The content of its file.
    pub(crate) file: Vec<u8>,
    pub(crate) status: JobStatus,
    /// When its file was removed from main: the TrainJob is gone, its workers are not.
    pub(crate) removed: Option<OffsetDateTime>,
}
