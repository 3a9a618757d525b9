//! Trainer's status API (`pkg/statusserver`): where the workers of a job say how far they are. It is served where the API is.

use std::path::{Path, PathBuf};

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use slipway_experiment::TrainJob;
use slipway_names::env;

use super::access::report_path;
use super::object::Key;
use super::refusal::{Answer, Refusal};
use super::store::Store;
use super::tokens::{Caller, Tokens, WorkerToken};
use crate::notes::{Note, Notes};
use crate::trainer_status::TrainerStatus;
use crate::{Result, files};

/// Where the workers of all jobs say how far they are.
#[derive(Clone, Debug)]
pub struct StatusServer {
    pub(super) url: String,
    /// The certificate of the authority that workers are to trust, in PEM format.
    pub(super) certificate: String,
    pub(super) tokens: Tokens,
}

/// What lets the workers of one job say how far they are, until this is dropped.
#[derive(Debug)]
pub(crate) struct StatusAccess {
    url: String,
    folder: PathBuf,
    _token: WorkerToken,
}

impl StatusServer {
    /// Lets the workers of a job in, by files in the job's folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn admit(&self, job: &TrainJob, folder: &Path) -> Result<StatusAccess> {
        let folder = folder.join("status-server");
        files::make_folder(&folder)?;
        let token = self.tokens.of_worker(&job.name)?;
        files::write_private(&folder.join("token"), token.token.as_bytes())?;
        files::write(&folder.join("ca.crt"), self.certificate.as_bytes())?;
        let url = format!("{}{}", self.url, report_path(&job.namespace, &job.name));
        Ok(StatusAccess { url, folder, _token: token })
    }
}

impl StatusAccess {
    /// The variables that Trainer sets for workers.
    pub(crate) fn environment(&self) -> [(String, String); 3] {
        let path = |name: &str| self.folder.join(name).display().to_string();
        [
            (env::TRAINER_SERVER_URL, self.url.clone()),
            (env::TRAINER_SERVER_CA_CERT, path("ca.crt")),
            (env::TRAINER_SERVER_TOKEN, path("token")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }
}

/// Takes a report about a job.
pub(super) fn take(store: &Store, notes: &Notes, caller: &Caller, job: &Key, body: &Bytes) -> Answer {
    if *caller == Caller::Owner {
        return Err(Refusal::forbidden("only the workers of a job say how far it is"));
    }
    if store.get(job).is_none() {
        return Err(Refusal::no_object(job.resource, &job.name));
    }
    let status = TrainerStatus::of_report(body).map_err(Refusal::invalid)?;
    notes.of(&job.name).take(Note::Progress(status));
    Ok(([(header::CONTENT_TYPE, "application/json")], body.clone()).into_response())
}
