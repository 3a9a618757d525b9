//! What happens while a job runs, told to the scheduler, which keeps the job's status.

use tokio::sync::mpsc;

use crate::trainer_status::TrainerStatus;
use crate::worker_status::WorkerEnd;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Note {
    /// The worker of this rank was started, for the first time or again.
    Started(u32),
    /// The worker of this rank has ended.
    Ended(u32, WorkerEnd),
    /// A worker has failed, and all of them are about to start again.
    Restarting,
    /// A worker has said how far the training is.
    Progress(TrainerStatus),
}

/// Takes notes about all jobs.
#[derive(Clone, Debug)]
pub(crate) struct Notes(mpsc::UnboundedSender<(String, Note)>);

/// Where the notes arrive, each with the name of its job.
pub(crate) type Noted = mpsc::UnboundedReceiver<(String, Note)>;

/// Takes notes about one job.
#[derive(Clone, Debug)]
pub(crate) struct JobNotes {
    job: String,
    notes: Notes,
}

impl Notes {
    /// A way to take notes, and where they arrive. There are few: a worker starts and ends once, and says how far it is every few seconds.
    pub(crate) fn channel() -> (Self, Noted) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// For the notes about one job.
    pub(crate) fn of(&self, job: &str) -> JobNotes {
        JobNotes { job: job.to_owned(), notes: self.clone() }
    }
}

impl JobNotes {
    /// Takes a note. Nobody reads it if the queue has ended.
    pub(crate) fn take(&self, note: Note) {
        let _ = self.notes.0.send((self.job.clone(), note));
    }
}
