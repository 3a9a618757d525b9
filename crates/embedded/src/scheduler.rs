//! Which job runs when: first come, first served while CPUs are free; a finished job never runs again.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use slipway_experiment::{TrainJob, read_job};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::JoinMap;

use crate::files;
use crate::listing::{Listed, Listing};
use crate::notes::{Note, Noted};
use crate::status::{JobStatus, Phase};
use crate::workers::Outcome;

/// File names to content, as they are on main.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What main asks for.
#[derive(Clone, Debug)]
pub(crate) struct Desired {
    pub(crate) files: Files,
    /// Whether everything is there that a job needs. Until then all of them wait.
    pub(crate) may_run: bool,
}

/// Runs a job in its folder until it is done or told to stop.
pub(crate) type Runner = Box<dyn Fn(TrainJob, PathBuf, CancellationToken) -> Run + Send>;
type Run = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Reads and writes files without asking the executor, so it needs a thread that may block.
pub(crate) struct Scheduler {
    /// The folder of the jobs' folders.
    folder: PathBuf,
    /// CPUs to share, in thousandths.
    cpu_millis: u64,
    runner: Runner,
    statuses: watch::Sender<BTreeMap<String, JobStatus>>,
    listing: watch::Sender<Listing>,
    notes: Noted,
    /// Content of the files on main, by job name.
    on_main: BTreeMap<String, Vec<u8>>,
    waiting: VecDeque<TrainJob>,
    running: BTreeMap<String, Running>,
    runs: JoinMap<String, Outcome>,
}

struct Running {
    stop: CancellationToken,
    cpu_millis: u64,
}

impl Scheduler {
    pub(crate) fn new(
        folder: PathBuf,
        cpu_millis: u64,
        (runner, notes): (Runner, Noted),
        statuses: watch::Sender<BTreeMap<String, JobStatus>>,
        listing: watch::Sender<Listing>,
    ) -> Self {
        Self {
            folder,
            cpu_millis,
            runner,
            statuses,
            listing,
            notes,
            on_main: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            runs: JoinMap::new(),
        }
    }

    /// Follows what main asks for until told to stop, or until nobody can say it any more. Then no run is left.
    pub(crate) async fn run(mut self, mut desired: watch::Receiver<Option<Desired>>, stop: CancellationToken) {
        let mut may_run = false;
        loop {
            tokio::select! {
                changed = desired.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let latest = desired.borrow_and_update().clone();
                    if let Some(latest) = latest {
                        // to cancel one whose workers were killed is a run as well
                        if latest.may_run && !std::mem::replace(&mut may_run, true) {
                            self.cancel_left_behind(&latest.files);
                        }
                        self.apply(latest.files);
                    }
                }
                Some((name, ended)) = self.runs.join_next() => self.ended(&name, ended),
                Some((name, note)) = self.notes.recv() => self.noted(&name, note),
                () = stop.cancelled() => break,
            }
            if may_run {
                self.admit();
            }
        }
        for run in self.running.values() {
            run.stop.cancel();
        }
        // Their status stays `Running`: they start again with the loop.
        while let Some((name, ended)) = self.runs.join_next().await {
            if let Err(error) = ended {
                tracing::error!("the run of {name} failed while it was stopped: {error}");
            }
        }
    }

    /// Cancels jobs that an earlier loop left unfinished and whose files were removed since.
    fn cancel_left_behind(&mut self, files: &Files) {
        let folders = match std::fs::read_dir(&self.folder) {
            Ok(folders) => folders,
            Err(error) => {
                tracing::error!(
                    "unfinished jobs of an earlier loop are not cancelled: {}: {error}",
                    self.folder.display()
                );
                return;
            }
        };
        for folder in folders.flatten() {
            let name = folder.file_name().to_string_lossy().into_owned();
            if files.contains_key(&format!("{name}.yaml")) {
                continue;
            }
            // One that cannot be read stays as it is: `slipway status` says so.
            match JobStatus::read(&folder.path()) {
                Ok(Some(status)) if status.phase == Phase::Pending => self.record(&name, status.cancelled()),
                Ok(Some(status)) if status.phase == Phase::Running => self.cancel_interrupted(&name, status),
                _ => {}
            }
        }
    }

    /// Cancels a job whose workers were killed together with an earlier loop: it is run once more, and stopped before its workers start.
    fn cancel_interrupted(&mut self, name: &str, status: JobStatus) {
        let folder = self.folder.join(name);
        let file = files::read_if_there(&folder.join("job.yaml")).ok().flatten();
        match file.and_then(|text| read_job("job.yaml", &text).ok()) {
            Some(job) => {
                self.publish(name, status);
                let stop = CancellationToken::new();
                stop.cancel();
                let run = (self.runner)(job, folder, stop.clone());
                self.running.insert(name.to_owned(), Running { stop, cpu_millis: 0 });
                self.runs.spawn(name.to_owned(), run);
            }
            None => self.record(name, status.cancelled()),
        }
    }

    fn apply(&mut self, files: Files) {
        let desired: BTreeMap<String, Vec<u8>> = files
            .into_iter()
            .filter_map(|(file, content)| {
                Some((file.strip_suffix(".yaml").filter(|name| is_job_name(name))?.to_owned(), content))
            })
            .filter(|(name, _)| name != "kustomization")
            .collect();
        let removed: Vec<String> = self.on_main.keys().filter(|name| !desired.contains_key(*name)).cloned().collect();
        for name in removed {
            let file = self.on_main.remove(&name);
            self.unlist(&name, file.unwrap_or_default());
            self.cancel(&name);
        }
        for (name, content) in desired {
            match self.on_main.get(&name) {
                None => {
                    self.on_main.insert(name.clone(), content);
                    self.add(&name);
                }
                Some(before) if *before != content => {
                    tracing::warn!(
                        "{name}.yaml has changed on main: a TrainJob is immutable, the change has no effect"
                    );
                    self.on_main.insert(name, content);
                }
                Some(_) => {}
            }
        }
        self.listing.send_if_modified(|listing| !std::mem::replace(&mut listing.is_complete, true));
    }

    fn cancel(&mut self, name: &str) {
        if let Some(run) = self.running.get(name) {
            run.stop.cancel();
        } else if let Some(at) = self.waiting.iter().position(|job| job.name == name) {
            self.waiting.remove(at);
            self.record(name, JobStatus::pending().cancelled());
        }
    }

    fn add(&mut self, name: &str) {
        let before = match JobStatus::read(&self.folder.join(name)) {
            Ok(Some(status)) if status.is_finished() => {
                self.publish(name, status);
                return;
            }
            Ok(status) => status,
            Err(error) => {
                // Whether it has run is unknown, and it must not run twice.
                self.publish(name, JobStatus::pending().failed("UnreadableStatus", &error.to_string()));
                return;
            }
        };
        if self.running.contains_key(name) {
            // Removed and added again while it stops: `ended` adds it once more.
            return;
        }
        match self.read(name) {
            Ok(job) if all_gpus(&job) > machine_gpus() => {
                let reason = format!(
                    "it asks for {} GPUs, and this machine has {}: set `gpu: 0`, or run it in an environment that has them",
                    all_gpus(&job),
                    machine_gpus()
                );
                self.record(name, JobStatus::pending().failed("Unschedulable", &reason));
            }
            Ok(job) => {
                let mut status = JobStatus::pending();
                if let Some(before) = before.filter(|before| before.phase != Phase::Cancelled) {
                    status.restarts = before.restarts + u32::from(before.phase == Phase::Running);
                    status.failures = before.failures;
                    status.created = before.created.or(status.created);
                }
                self.record(name, status);
                self.waiting.push_back(job);
            }
            Err(reason) => self.record(name, JobStatus::pending().failed("InvalidTrainJob", &reason)),
        }
    }

    /// Keeps a copy of the file in the job's folder and reads it, by the rules of `slipway check`.
    fn read(&self, name: &str) -> Result<TrainJob, String> {
        let content = self.on_main.get(name).map(Vec::as_slice).unwrap_or_default();
        let folder = self.folder.join(name);
        files::make_folder(&folder)
            .and_then(|()| files::write(&folder.join("job.yaml"), content))
            .map_err(|error| error.to_string())?;
        let file = format!("{name}.yaml");
        let text = std::str::from_utf8(content).map_err(|error| format!("{file}: {error}"))?;
        let job = read_job(&file, text).map_err(|finding| match &finding.help {
            Some(help) => format!("{finding}; {help}"),
            None => finding.to_string(),
        })?;
        if job.name != name {
            return Err(format!(
                "{file}: metadata.name is {}, but the file's name and the job's must be the same",
                job.name
            ));
        }
        Ok(job)
    }

    /// Starts waiting jobs, oldest first, while CPUs are free; a job that is larger than the machine runs alone.
    fn admit(&mut self) {
        while let Some(job) = self.waiting.front() {
            let used: u64 = self.running.values().map(|run| run.cpu_millis).sum();
            if !self.running.is_empty() && used + all_cpu_millis(job) > self.cpu_millis {
                return;
            }
            let Some(job) = self.waiting.pop_front() else { return };
            let (name, cpu_millis) = (job.name.clone(), all_cpu_millis(&job));
            let status = self.status(&name).running(job.num_nodes);
            self.record(&name, status);
            let stop = CancellationToken::new();
            let run = (self.runner)(job, self.folder.join(&name), stop.clone());
            self.running.insert(name.clone(), Running { stop, cpu_millis });
            self.runs.spawn(name, run);
        }
    }

    fn ended(&mut self, name: &str, ended: Result<Outcome, JoinError>) {
        // what it noted comes before its end
        while let Ok((name, note)) = self.notes.try_recv() {
            self.noted(&name, note);
        }
        self.running.remove(name);
        let status = self.status(name);
        let status = match ended {
            Ok(Outcome::Complete) => status.complete(),
            Ok(Outcome::Failed { reason, message }) => status.failed(reason, &message),
            Ok(Outcome::Stopped) => status.cancelled(),
            // The runtime is shutting down: the job starts again with the loop.
            Err(error) if error.is_cancelled() => return,
            Err(error) => status
                .failed("InternalError", &format!("slipway failed while it ran this job, please report it: {error}")),
        };
        let again = status.phase == Phase::Cancelled && self.on_main.contains_key(name);
        self.record(name, status);
        if again {
            self.add(name);
        } else if !self.on_main.contains_key(name) {
            self.listing.send_modify(|Listing { jobs, .. }| drop(jobs.remove(name)));
        }
    }

    /// Something happened while a job runs.
    fn noted(&self, name: &str, note: Note) {
        let mut status = self.status(name);
        // said by a worker of a job that has ended since
        if status.phase != Phase::Running {
            return;
        }
        match note {
            Note::Started(rank) => status.worker_started(rank),
            Note::Ended(rank, end) => status.worker_ended(rank, end),
            Note::Restarting => status.restarted(),
            Note::Progress(progress) => {
                status.trainer_status = Some(progress);
                // The disk gets it with the next change: a loop that starts again hears it anew.
                self.publish(name, status);
                return;
            }
        }
        self.record(name, status);
    }

    /// The status of a job.
    fn status(&self, name: &str) -> JobStatus {
        self.statuses.borrow().get(name).cloned().unwrap_or_else(JobStatus::pending)
    }

    /// Writes a status and publishes it. One that cannot be written is published all the same.
    fn record(&self, name: &str, status: JobStatus) {
        let folder = self.folder.join(name);
        if let Err(error) = files::make_folder(&folder).and_then(|()| status.write(&folder)) {
            tracing::error!("the status of {name} is not kept: {error}");
        }
        self.publish(name, status);
    }

    fn publish(&self, name: &str, status: JobStatus) {
        let before = self.statuses.borrow().get(name).map(|before| before.phase);
        if before != Some(status.phase) {
            tracing::info!(job = name, phase = ?status.phase, "{}", status.message());
        }
        self.list(name, &status);
        self.statuses.send_modify(|all| {
            all.insert(name.to_owned(), status);
        });
    }

    /// Shows a job that main asks for, or that was removed and whose workers have not ended yet.
    fn list(&self, name: &str, status: &JobStatus) {
        self.listing.send_if_modified(|Listing { jobs, .. }| {
            let listed = jobs.get(name);
            let removed = listed.and_then(|listed| listed.removed);
            let is_stopping = removed.is_some() && status.phase == Phase::Running;
            let (file, removed) = match (self.on_main.get(name), listed) {
                // If it is on main, it was added again while it stopped: the new one is shown after the old one has ended.
                (_, Some(listed)) if is_stopping || status.phase == Phase::Cancelled => (listed.file.clone(), removed),
                (Some(file), _) => (file.clone(), None),
                (None, Some(listed)) => (listed.file.clone(), removed),
                // an earlier loop has left it
                (None, None) => return false,
            };
            jobs.insert(name.to_owned(), Arc::new(Listed { file, status: status.clone(), removed }));
            true
        });
    }

    /// No longer shows a job that was removed from main; its workers are shown until they have ended.
    fn unlist(&self, name: &str, file: Vec<u8>) {
        let status = self.status(name);
        let still_runs = self.running.contains_key(name);
        self.listing.send_modify(|Listing { jobs, .. }| {
            jobs.remove(name);
            if still_runs {
                let removed = Some(OffsetDateTime::now_utc());
                jobs.insert(name.to_owned(), Arc::new(Listed { file, status, removed }));
            }
        });
    }
}

/// CPU that all nodes of a job request together, in thousandths.
fn all_cpu_millis(job: &TrainJob) -> u64 {
    job.cpu_millis.saturating_mul(u64::from(job.num_nodes))
}

/// GPUs that all nodes of a job request together.
fn all_gpus(job: &TrainJob) -> u64 {
    u64::from(job.gpus) * u64::from(job.num_nodes)
}

/// NVIDIA's GPUs in this machine: the devices `/dev/nvidia0`, `/dev/nvidia1`, …
fn machine_gpus() -> u64 {
    let devices = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = devices.filter_map(|device| device.file_name().into_string().ok());
    let is_gpu = |name: &String| name.strip_prefix("nvidia").is_some_and(|number| number.parse::<u32>().is_ok());
    names.filter(is_gpu).count() as u64
}

/// Whether it may be the name of a folder.
fn is_job_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
