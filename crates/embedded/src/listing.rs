//! The jobs that main asks for, as the scheduler shows them to the Kubernetes API.

use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::status::JobStatus;

/// Jobs by name. One that has not changed is the same `Arc` as before.
pub(crate) type Listing = BTreeMap<String, Arc<Listed>>;

/// A job that main asks for, or no longer asks for and whose workers have not ended yet.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The content of its file.
    pub(crate) file: Vec<u8>,
    pub(crate) status: JobStatus,
    /// When its file was removed from main: the TrainJob is gone, its workers are not.
    pub(crate) removed: Option<OffsetDateTime>,
}
