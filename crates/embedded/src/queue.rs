//! Jobs that wait for CPUs and jobs that run: first come, first served; a finished one never runs again.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::status::{JobStatus, Phase};
use crate::train_job::TrainJob;
use crate::worker::{self, Outcome};
use crate::{Error, Result, Supervisor, files};

/// Where jobs run.
#[derive(Clone, Debug)]
pub struct Place {
    /// How to run workers.
    pub supervisor: Supervisor,
    /// The program that `slipway-trainer` names.
    pub trainer: PathBuf,
    /// What the runtime gives every worker: where MLflow and S3 are.
    pub environment: Vec<(String, String)>,
    /// The folder of the jobs' folders.
    pub jobs: PathBuf,
    /// CPUs to share out, in thousandths.
    pub cpu_millis: u64,
}

/// The jobs that were seen, for whoever wants to wait.
#[derive(Clone, Debug)]
pub struct Jobs(watch::Receiver<BTreeMap<String, JobStatus>>);

impl Jobs {
    /// All jobs by name.
    pub fn all(&self) -> BTreeMap<String, JobStatus> {
        self.0.borrow().clone()
    }

    /// Returns when a job meets the condition; it need not be known yet.
    ///
    /// # Errors
    /// When the loop ends before.
    pub async fn until(&self, name: &str, condition: impl Fn(&JobStatus) -> bool) -> Result<JobStatus> {
        let mut receiver = self.0.clone();
        let seen = receiver.wait_for(|jobs| jobs.get(name).is_some_and(&condition)).await;
        let seen = seen.map_err(|_| Error::UnknownJob(name.to_owned()))?;
        seen.get(name).cloned().ok_or_else(|| Error::UnknownJob(name.to_owned()))
    }

    /// Returns the job's status once it will not change any more.
    ///
    /// # Errors
    /// When the loop ends before.
    pub async fn finished(&self, name: &str) -> Result<JobStatus> {
        self.until(name, |status| status.is_finished() || status.phase == Phase::Cancelled).await
    }
}

/// File names to content, as they are on main.
pub(crate) type Wanted = BTreeMap<String, Vec<u8>>;

/// The running queue. Dropped, its jobs end.
#[derive(Debug)]
pub struct Queue {
    wanted: watch::Sender<Option<Wanted>>,
    jobs: Jobs,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Queue {
    /// Starts with no job.
    pub fn start(place: Place) -> Self {
        let (wanted, wants) = watch::channel(None);
        let (statuses, jobs) = watch::channel(BTreeMap::new());
        let stop = CancellationToken::new();
        let keeper = Keeper {
            place,
            statuses,
            known: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: BTreeMap::new(),
            runs: JoinSet::new(),
        };
        let task = tokio::spawn(keeper.keep(wants, stop.clone()));
        Self { wanted, jobs: Jobs(jobs), stop, task: Some(task) }
    }

    /// The files that are on main now: a new one is a new job, a missing one stops its job.
    pub fn want(&self, files: BTreeMap<String, Vec<u8>>) {
        self.wanted.send_replace(Some(files));
    }

    /// A view of the jobs.
    pub fn jobs(&self) -> Jobs {
        self.jobs.clone()
    }

    /// Ends all workers and waits until they are gone. Their jobs go on when the loop starts again.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            let _ = task.await;
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Run {
    stop: CancellationToken,
    cpu_millis: u64,
}

struct Keeper {
    place: Place,
    statuses: watch::Sender<BTreeMap<String, JobStatus>>,
    /// Files on main, by job name.
    known: BTreeMap<String, Vec<u8>>,
    waiting: VecDeque<TrainJob>,
    running: BTreeMap<String, Run>,
    runs: JoinSet<(String, Outcome)>,
}

impl Keeper {
    async fn keep(mut self, mut wants: watch::Receiver<Option<Wanted>>, stop: CancellationToken) {
        let mut first = true;
        loop {
            tokio::select! {
                changed = wants.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    if let Some(wanted) = wants.borrow_and_update().clone() {
                        if std::mem::take(&mut first) {
                            self.forget_removed(&wanted);
                        }
                        self.want(wanted);
                    }
                }
                Some(ended) = self.runs.join_next() => {
                    if let Ok((name, outcome)) = ended {
                        self.ended(&name, outcome);
                    }
                }
                () = stop.cancelled() => break,
            }
            self.admit();
        }
        for run in self.running.values() {
            run.stop.cancel();
        }
        // Their status stays `Running`: they are started again with the loop.
        while self.runs.join_next().await.is_some() {}
    }

    /// Cancels jobs that an earlier loop left unfinished and whose files are gone since.
    fn forget_removed(&mut self, wanted: &Wanted) {
        let Ok(folders) = std::fs::read_dir(&self.place.jobs) else { return };
        for folder in folders.flatten() {
            let name = folder.file_name().to_string_lossy().into_owned();
            if wanted.contains_key(&format!("{name}.yaml")) {
                continue;
            }
            if let Ok(Some(status)) = JobStatus::read(&folder.path())
                && matches!(status.phase, Phase::Pending | Phase::Running)
            {
                self.record(&name, status.cancelled());
            }
        }
    }

    fn want(&mut self, wanted: Wanted) {
        let wanted: BTreeMap<String, Vec<u8>> = wanted
            .into_iter()
            .filter_map(|(file, content)| {
                Some((file.strip_suffix(".yaml").filter(|name| is_name(name))?.to_owned(), content))
            })
            .filter(|(name, _)| name != "kustomization")
            .collect();
        let removed: Vec<String> = self.known.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in removed {
            self.known.remove(&name);
            self.cancel(&name);
        }
        for (name, content) in wanted {
            match self.known.get(&name) {
                None => {
                    self.known.insert(name.clone(), content);
                    self.add(&name);
                }
                Some(known) if *known != content => {
                    tracing::warn!(
                        "{name}.yaml has changed on main: a TrainJob is immutable, the change has no effect"
                    );
                    self.known.insert(name, content);
                }
                Some(_) => {}
            }
        }
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
        let folder = self.place.jobs.join(name);
        match JobStatus::read(&folder) {
            Ok(Some(status)) if status.is_finished() => {
                self.publish(name, status);
                return;
            }
            Ok(_) => {}
            Err(error) => {
                // Whether it has run cannot be known, and it must not run twice.
                self.publish(name, JobStatus::pending().failed("UnreadableStatus", &error.to_string()));
                return;
            }
        }
        if self.running.contains_key(name) {
            // Removed and added again while it stops; `ended` sees to it.
            return;
        }
        match self.read(name) {
            Ok(job) => {
                let restarts = JobStatus::read(&folder).ok().flatten().filter(|status| status.phase == Phase::Running);
                let restarts = restarts.map_or(0, |status| status.restarts + 1);
                self.record(name, JobStatus { restarts, ..JobStatus::pending() });
                self.waiting.push_back(job);
            }
            Err(reason) => {
                self.record(name, JobStatus::pending().failed("InvalidTrainJob", &format!("{name}.yaml: {reason}")));
            }
        }
    }

    /// Keeps a copy of the file in the job's folder and reads it.
    fn read(&self, name: &str) -> std::result::Result<TrainJob, String> {
        let content = self.known.get(name).map(Vec::as_slice).unwrap_or_default();
        let folder = self.place.jobs.join(name);
        files::make_folder(&folder)
            .and_then(|()| files::write(&folder.join("job.yaml"), content))
            .map_err(|error| error.to_string())?;
        let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
        let job = TrainJob::read(text)?;
        if job.name != name {
            return Err(format!("metadata.name is {}: the file's name and the job's must be the same", job.name));
        }
        Ok(job)
    }

    /// Starts waiting jobs, oldest first, while CPUs are free; a job larger than the machine runs alone.
    fn admit(&mut self) {
        while let Some(job) = self.waiting.front() {
            let used: u64 = self.running.values().map(|run| run.cpu_millis).sum();
            if !self.running.is_empty() && used + job.all_cpu_millis() > self.place.cpu_millis {
                return;
            }
            let Some(job) = self.waiting.pop_front() else { return };
            let restarts = self.statuses.borrow().get(&job.name).map_or(0, |status| status.restarts);
            self.record(&job.name, JobStatus::running(restarts));
            let stop = CancellationToken::new();
            self.running.insert(job.name.clone(), Run { stop: stop.clone(), cpu_millis: job.all_cpu_millis() });
            let (place, folder) = (self.place.clone(), self.place.jobs.join(&job.name));
            self.runs.spawn(async move {
                let outcome = worker::run(&job, &folder, &place, stop).await;
                (job.name, outcome)
            });
        }
    }

    fn ended(&mut self, name: &str, outcome: Outcome) {
        self.running.remove(name);
        let status = self.statuses.borrow().get(name).cloned().unwrap_or_else(|| JobStatus::running(0));
        let status = match outcome {
            Outcome::Complete => status.complete(),
            Outcome::Failed { reason, message } => status.failed(reason, &message),
            Outcome::Stopped => status.cancelled(),
        };
        let again = status.phase == Phase::Cancelled && self.known.contains_key(name);
        self.record(name, status);
        if again {
            self.add(name);
        }
    }

    /// Writes a status and tells everybody. A status that cannot be written is told all the same.
    fn record(&self, name: &str, status: JobStatus) {
        let folder = self.place.jobs.join(name);
        if let Err(error) = files::make_folder(&folder).and_then(|()| status.write(&folder)) {
            tracing::error!("the status of {name} is not kept: {error}");
        }
        self.publish(name, status);
    }

    fn publish(&self, name: &str, status: JobStatus) {
        tracing::info!(job = name, phase = ?status.phase, "{}", status.message());
        self.statuses.send_modify(|all| {
            all.insert(name.to_owned(), status);
        });
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
