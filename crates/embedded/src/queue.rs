//! The job queue as the rest of the loop sees it: the files on main go in, the status of the jobs comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::listing::Listing;
use crate::notes::{Noted, Notes};
use crate::scheduler::{Desired, Files, Runner, Scheduler};
use crate::task::Task;
use crate::training_runtime::TrainingRuntime;
use crate::{Error, Jobs, Result, checkpoints, open_runs, workers};

/// The running queue. Dropped, its jobs end.
#[derive(Debug)]
pub struct Queue {
    desired: DesiredJobs,
    jobs: Jobs,
    listing: watch::Receiver<Listing>,
    notes: Notes,
    stop: DropGuard,
    scheduler: Task,
}

/// Tells the queue which jobs main asks for.
#[derive(Clone, Debug)]
pub(crate) struct DesiredJobs(watch::Sender<Option<Desired>>);

impl DesiredJobs {
    /// The files that are on main now: a new one is a new job, a missing one cancels its job.
    pub(crate) fn set(&self, files: Files) {
        self.0.send_replace(Some(Desired { files, may_run: true }));
    }

    /// The same before anything can run: the jobs are shown and wait.
    pub(crate) fn show(&self, files: Files) {
        self.0.send_replace(Some(Desired { files, may_run: false }));
    }
}

impl Queue {
    /// Starts without jobs.
    pub fn start(runtime: TrainingRuntime) -> Self {
        let (jobs, cpu_millis) = (runtime.jobs.clone(), runtime.cpu_millis);
        let runtime = Arc::new(runtime);
        let (notes, noted) = Notes::channel();
        let taken = notes.clone();
        let runner: Runner = Box::new(move |job, folder, stop| {
            let (runtime, notes) = (Arc::clone(&runtime), taken.of(&job.name));
            Box::pin(async move {
                let outcome = workers::run(&job, &folder, &runtime, &notes, stop).await;
                open_runs::end(&job, &runtime, &outcome).await;
                checkpoints::remove(&job, &runtime, &outcome).await;
                outcome
            })
        });
        Self::with_runner(jobs, cpu_millis, runner, (notes, noted))
    }

    fn with_runner(folder: PathBuf, cpu_millis: u64, runner: Runner, (notes, noted): (Notes, Noted)) -> Self {
        let (desired, files) = watch::channel(None);
        let (statuses, jobs) = watch::channel(BTreeMap::new());
        let (shown, listing) = watch::channel(Listing::default());
        let stop = CancellationToken::new();
        let scheduler = Scheduler::new(folder, cpu_millis, (runner, noted), statuses, shown);
        // The scheduler reads and writes files all the time, so it has its own thread; the runs are tasks of the runtime.
        let (runtime, token) = (Handle::current(), stop.clone());
        let thread = tokio::task::spawn_blocking(move || runtime.block_on(scheduler.run(files, token)));
        Self {
            desired: DesiredJobs(desired),
            jobs: Jobs::new(jobs),
            listing,
            notes,
            stop: stop.drop_guard(),
            scheduler: Task::new("the job queue", thread),
        }
    }

    /// Applies the files that are on main now: a new one is a new job, a missing one cancels its job.
    pub fn apply(&self, files: BTreeMap<String, Vec<u8>>) {
        self.desired.set(files);
    }

    /// A way to apply files for whoever does not own the queue.
    pub(crate) fn desired(&self) -> DesiredJobs {
        self.desired.clone()
    }

    /// A view of the jobs.
    pub fn jobs(&self) -> Jobs {
        self.jobs.clone()
    }

    /// The jobs that main asks for, for the Kubernetes API.
    pub(crate) fn listing(&self) -> watch::Receiver<Listing> {
        self.listing.clone()
    }

    /// For what workers say about their progress.
    pub(crate) fn notes(&self) -> Notes {
        self.notes.clone()
    }

    /// Returns when the queue has ended by itself, which it should not. May be dropped and called again.
    pub async fn failure(&mut self) -> Error {
        self.scheduler.failure().await
    }

    /// Ends all workers and waits until they are gone. Their jobs go on when the loop starts again.
    ///
    /// # Errors
    /// When the queue panicked; its workers have ended all the same.
    pub async fn shutdown(self) -> Result<()> {
        let Self { stop, scheduler, .. } = self;
        drop(stop);
        scheduler.join().await
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use rustix::fs::{CWD, FileType, Mode, OFlags};

    use super::*;
    use crate::workers::Outcome;
    use crate::{JobStatus, Phase};

    /// Far more than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// A job that asks for both CPUs.
    fn job(name: &str) -> (String, Vec<u8>) {
        let resources = "{cpu: \"2\", memory: 1Gi}";
        let text = format!(
            "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {{name: {name}, namespace: training}}
spec:
  activeDeadlineSeconds: 60
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: slipway-torch}}
  trainer:
    image: slipway/trainer:0.1.0
    command: [slipway-trainer]
    numNodes: 1
    numProcPerNode: 1
    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
"
        );
        (format!("{name}.yaml"), text.into_bytes())
    }

    fn queue(folder: &std::path::Path, run: impl Fn(&str) -> Outcome + Send + Sync + 'static) -> Queue {
        let run = Arc::new(run);
        let runner: Runner = Box::new(move |job, _, _| {
            let run = Arc::clone(&run);
            Box::pin(async move { run(&job.name) })
        });
        Queue::with_runner(folder.to_owned(), 2000, runner, Notes::channel())
    }

    async fn finished(queue: &Queue, name: &str) -> JobStatus {
        tokio::time::timeout(PATIENCE, queue.jobs().finished(name)).await.expect("the job did not finish").unwrap()
    }

    #[tokio::test]
    async fn a_job_for_more_gpus_than_there_are_fails_before_it_starts() {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue(folder.path(), |_| panic!("it must not start"));
        let (name, text) = job("a");
        let text = String::from_utf8(text).unwrap().replace("memory: 1Gi", "memory: 1Gi, nvidia.com/gpu: \"5000\"");
        queue.apply([(name, text.into_bytes())].into());
        let status = finished(&queue, "a").await;
        assert_eq!(status.phase, Phase::Failed);
        assert!(status.message().starts_with("it asks for 5000 GPUs, and this machine has "), "{}", status.message());
    }

    /// MLflow takes seconds to start, and a manager that knew of no job meanwhile would believe that all are gone.
    #[tokio::test]
    async fn before_anything_can_run_the_jobs_are_shown_and_wait() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join("left");
        std::fs::create_dir(&left).unwrap();
        JobStatus::pending().running(1).write(&left).unwrap();
        let may_run = Arc::new(AtomicBool::new(false));
        let allowed = Arc::clone(&may_run);
        let queue = queue(folder.path(), move |_| {
            assert!(allowed.load(Ordering::SeqCst), "nothing may run yet");
            Outcome::Complete
        });
        let (mut listing, files) = (queue.listing(), Files::from([job("a"), job("b")]));
        queue.desired().show(files.clone());
        let shown = tokio::time::timeout(PATIENCE, listing.wait_for(|listing| listing.is_complete)).await.unwrap();
        let phases: Vec<_> =
            shown.unwrap().jobs.iter().map(|(name, listed)| (name.clone(), listed.status.phase)).collect();
        assert_eq!(phases, ["a", "b"].map(|name| (name.to_owned(), Phase::Pending)));
        assert_eq!(JobStatus::read(&left).unwrap().unwrap().phase, Phase::Running, "nothing is known of its workers");
        may_run.store(true, Ordering::SeqCst);
        queue.desired().set(files);
        for (name, phase) in [("a", Phase::Complete), ("b", Phase::Complete), ("left", Phase::Cancelled)] {
            assert_eq!(finished(&queue, name).await.phase, phase, "{name}");
        }
        queue.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_run_that_panics_fails_its_job_and_gives_its_cpus_back() {
        let folder = tempfile::tempdir().unwrap();
        let queue = queue(folder.path(), |name| {
            assert_ne!(name, "a", "on purpose");
            Outcome::Complete
        });
        queue.apply([job("a"), job("b")].into());
        let status = finished(&queue, "a").await;
        assert_eq!((status.phase, status.conditions[0].reason.as_str()), (Phase::Failed, "InternalError"));
        assert!(status.message().contains("on purpose"), "{}", status.message());
        assert_eq!(JobStatus::read(&folder.path().join("a")).unwrap(), Some(status));
        assert_eq!(finished(&queue, "b").await.phase, Phase::Complete);
        queue.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_scheduler_that_panics_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let panicking = || -> Queue {
            let runner: Runner = Box::new(|_, _, _| panic!("on purpose"));
            let queue = Queue::with_runner(folder.path().to_owned(), 2000, runner, Notes::channel());
            queue.apply([job("a")].into());
            queue
        };
        let mut queue = panicking();
        let error = tokio::time::timeout(PATIENCE, queue.failure()).await.unwrap().to_string();
        assert!(error.contains("the job queue") && error.contains("on purpose"), "{error}");
        let waiting = tokio::time::timeout(PATIENCE, queue.jobs().finished("a")).await.unwrap();
        assert!(matches!(waiting, Err(Error::QueueEnded { .. })), "who waits for a job is told as well");

        let queue = panicking();
        assert!(queue.jobs().finished("a").await.is_err());
        assert!(matches!(queue.shutdown().await, Err(Error::Part { name: "the job queue", .. })));
    }

    /// The disk is a pipe here: opening it for writing waits until somebody reads. This thread, the only one of the runtime, goes
    /// on meanwhile.
    #[tokio::test]
    async fn writing_a_status_does_not_block_the_executor() {
        let folder = tempfile::tempdir().unwrap();
        let job_folder = folder.path().join("a");
        std::fs::create_dir(&job_folder).unwrap();
        let pipe = job_folder.join("status.yaml.new");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // So that a failure is a failed test and not one that hangs.
        let went_on = Arc::new(AtomicBool::new(false));
        let (unblock, rescued) = (pipe.clone(), Arc::clone(&went_on));
        let rescue = std::thread::spawn(move || {
            let started = Instant::now();
            while !rescued.load(Ordering::SeqCst) {
                if started.elapsed() > PATIENCE {
                    let _ = File::open(unblock);
                    return false;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            true
        });

        let queue = queue(folder.path(), |_| Outcome::Complete);
        queue.apply([job("a")].into());
        // The copy of the file comes before the status, so the scheduler waits for the pipe now, or soon.
        while !job_folder.join("job.yaml").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(queue.jobs().all().is_empty(), "it is published after it is written");
        went_on.store(true, Ordering::SeqCst);
        assert!(rescue.join().unwrap(), "the executor was blocked");

        let reading = rustix::fs::open(&pipe, OFlags::RDONLY, Mode::empty());
        let written = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            File::from(reading.unwrap()).read_to_string(&mut text).unwrap();
            text
        });
        assert!(written.await.unwrap().contains("Suspended"));
        assert_eq!(finished(&queue, "a").await.phase, Phase::Complete);
        queue.shutdown().await.unwrap();
    }
}
