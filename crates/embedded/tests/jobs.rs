//! Jobs as real processes: shell scripts where a trainer would be.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use slipway_embedded::{JobStatus, Phase, Queue, Supervisor, Trainers, TrainingRuntime};
use slipway_git::Repository;
use slipway_mlflow::{LoggedModelStatus, Run, RunStatus, Tag};
use slipway_mlflow_server::Mlflow;
use tempfile::TempDir;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    folder: TempDir,
    queue: Queue,
    files: BTreeMap<String, Vec<u8>>,
}

fn runtime(folder: &Path, cpus: u64) -> TrainingRuntime {
    runtime_with(folder, cpus, "http://127.0.0.1:9")
}

fn runtime_with(folder: &Path, cpus: u64, mlflow: &str) -> TrainingRuntime {
    TrainingRuntime {
        supervisor: Supervisor(vec![env!("CARGO_BIN_EXE_slipway-supervise").into()]),
        trainer: PathBuf::from("/bin/false"),
        launcher: PathBuf::from("/bin/false"),
        trainers: Trainers {
            forge: Repository::init_bare(&folder.join("forge.git")).unwrap(),
            packages: vec!["/bin/false".into()],
        },
        environment: vec![("MLFLOW_TRACKING_URI".to_owned(), mlflow.to_owned())],
        status_server: None,
        jobs: folder.join("jobs"),
        checkpoints: Some(folder.join("checkpoints")),
        cpu_millis: cpus * 1000,
        max_restarts: 0,
    }
}

/// A TrainJob as `slipway render` writes it, with a shell script where the trainer would be.
fn job(name: &str, nodes: u32, deadline: u32, script: &str) -> Vec<u8> {
    // The shell's own dollar signs, kept from the expansion of `$(NAME)`.
    let script = serde_json::to_string(&script.replace("$$", "$$$$")).unwrap();
    job_with_command(name, nodes, deadline, &format!("[sh, -c, {script}]"))
}

fn job_with_command(name: &str, nodes: u32, deadline: u32, command: &str) -> Vec<u8> {
    let resources = "{cpu: \"1\", memory: 1Gi}";
    format!(
        "apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata:
  name: {name}
  namespace: training
  labels: {{slipway.dev/experiment: test}}
  annotations:
    slipway.dev/experiment-file: experiments/test.yaml
spec:
  activeDeadlineSeconds: {deadline}
  runtimeRef: {{apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: slipway-torch}}
  trainer:
    image: slipway/trainer:0.1.0
    command: {command}
    numNodes: {nodes}
    numProcPerNode: 1
    env:
      - {{name: OMP_NUM_THREADS, value: \"1\"}}
    resourcesPerNode: {{requests: {resources}, limits: {resources}}}
"
    )
    .into_bytes()
}

impl Bench {
    fn new(cpus: u64) -> Self {
        Self::with(|folder| runtime(folder, cpus))
    }

    fn with(runtime: impl FnOnce(&Path) -> TrainingRuntime) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("jobs")).unwrap();
        let queue = Queue::start(runtime(folder.path()));
        Self { folder, queue, files: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&mut self, name: &str, nodes: u32, deadline: u32, script: &str) {
        self.files.insert(format!("{name}.yaml"), job(name, nodes, deadline, script));
        self.queue.apply(self.files.clone());
    }

    fn remove(&mut self, name: &str) {
        self.files.remove(&format!("{name}.yaml"));
        self.queue.apply(self.files.clone());
    }

    async fn finished(&self, name: &str) -> JobStatus {
        tokio::time::timeout(PATIENCE, self.queue.jobs().finished(name)).await.expect("the job did not finish").unwrap()
    }

    async fn running(&self, name: &str) {
        let running = |status: &JobStatus| status.phase == Phase::Running;
        tokio::time::timeout(PATIENCE, self.queue.jobs().until(name, running))
            .await
            .expect("the job did not start")
            .unwrap();
    }

    fn log(&self, job: &str, rank: u32) -> String {
        std::fs::read_to_string(self.path(&format!("jobs/{job}/worker-{rank}.log"))).unwrap()
    }
}

/// Waits until a process has written its id there.
async fn pid_in(path: &Path) -> Pid {
    let started = Instant::now();
    loop {
        let pid = std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'));
        if let Some(pid) = pid.and_then(|text| text.trim().parse().ok()) {
            return Pid::from_raw(pid).unwrap();
        }
        assert!(started.elapsed() < PATIENCE, "{} was not written", path.display());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is_gone(pid: Pid) {
    let started = Instant::now();
    while test_kill_process(pid).is_ok() {
        assert!(started.elapsed() < PATIENCE, "process {pid:?} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn workers_are_told_what_trainer_tells_them() {
    let mut bench = Bench::new(2);
    let names = "PET_NNODES PET_NPROC_PER_NODE PET_NODE_RANK PET_MASTER_ADDR OMP_NUM_THREADS MLFLOW_TRACKING_URI";
    let script = format!(
        "for name in {names}; do eval echo $name=\\$$name; done; test -n \"$PET_MASTER_PORT\"; env | grep CARGO; true"
    );
    bench.add("a", 2, 60, &script);
    let status = bench.finished("a").await;
    assert_eq!(
        (status.phase, status.conditions[0].reason.as_str()),
        (Phase::Complete, "AllJobsCompleted"),
        "{status:?}"
    );
    for rank in [0, 1] {
        let log = bench.log("a", rank);
        let expected = format!(
            "PET_NNODES=2\nPET_NPROC_PER_NODE=1\nPET_NODE_RANK={rank}\nPET_MASTER_ADDR=127.0.0.1\nOMP_NUM_THREADS=1\n\
             MLFLOW_TRACKING_URI=http://127.0.0.1:9\n"
        );
        assert_eq!(log, expected, "and nothing of this process's environment");
    }
    assert_eq!(JobStatus::read(&bench.path("jobs/a")).unwrap(), Some(status));
}

#[tokio::test]
async fn a_worker_that_fails_ends_its_siblings() {
    let mut bench = Bench::new(2);
    let pid = bench.path("pid");
    let script = format!(
        "if [ $PET_NODE_RANK = 0 ]; then sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait; fi
         while [ ! -e {0} ]; do sleep 0.01; done; echo the digest differs >&2; exit 3",
        pid.display()
    );
    bench.add("a", 2, 60, &script);
    let status = bench.finished("a").await;
    assert_eq!((status.phase, status.conditions[0].reason.as_str()), (Phase::Failed, "FailedJobs"));
    let message = status.message();
    assert!(message.starts_with("worker 1: exit code 3: the digest differs\nits log is "), "{message}");
    is_gone(pid_in(&pid).await).await;
}

#[tokio::test]
async fn a_worker_that_lost_another_one_gives_way_to_it() {
    let mut bench = Bench::new(2);
    // rank 0 hears of it first, and ends first
    let script = "if [ $PET_NODE_RANK = 0 ]; then exit 8; fi; sleep 0.5; echo out of patience >&2; exit 3";
    bench.add("a", 2, 60, script);
    let status = bench.finished("a").await;
    assert!(
        status.message().contains("worker 1: exit code 3") && status.message().contains("out of patience"),
        "{}",
        status.message()
    );
    // if no other one ends, it is what there is to say
    bench.add("b", 1, 60, "exit 8");
    assert!(bench.finished("b").await.message().contains("worker 0: exit code 8"));
}

/// On other systems only its process group can be found.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_leaves_the_process_group_ends_with_its_worker() {
    let mut bench = Bench::new(2);
    for (name, end) in [("ends", "exit 0"), ("killed", "kill -9 $$"), ("cancelled", "exec sleep 1000")] {
        let pid = bench.path(name);
        let script = format!(
            "setsid sh -c 'trap \"\" TERM HUP; echo $$ > {0}.new; mv {0}.new {0}; sleep 1000' &
             while [ ! -e {0} ]; do sleep 0.01; done; {end}",
            pid.display()
        );
        bench.add(name, 1, 60, &script);
        let daemon = pid_in(&pid).await;
        if name == "cancelled" {
            bench.remove(name);
        }
        bench.finished(name).await;
        is_gone(daemon).await;
    }
}

#[tokio::test]
async fn a_killed_worker_fails_its_job_within_seconds() {
    let mut bench = Bench::new(2);
    let pid = bench.path("pid-0");
    bench.add("a", 2, 60, &format!("echo $$ > {}/pid-$PET_NODE_RANK; exec sleep 1000", bench.folder.path().display()));
    // Both: one that is ended before it has said who it is never says it.
    let (first, second) = (pid_in(&pid).await, pid_in(&bench.path("pid-1")).await);
    let killed = Instant::now();
    kill_process(first, Signal::KILL).unwrap();
    let status = bench.finished("a").await;
    assert!(killed.elapsed() < Duration::from_secs(10));
    assert!(status.message().contains("worker 0: killed by signal 9"), "{}", status.message());
    is_gone(second).await;
}

#[tokio::test]
async fn workers_start_again_together_and_at_most_so_often() {
    let mut bench = Bench::with(|folder| TrainingRuntime { max_restarts: 3, ..runtime(folder, 2) });
    let folder = bench.folder.path().display().to_string();
    let begun = Instant::now();
    let mended = format!(
        "echo $PET_NODE_RANK >> {folder}/mended-starts
         if [ $PET_NODE_RANK = 0 ]; then
           test -e {folder}/mended && exit 0
           touch {folder}/mended; while [ $(wc -l < {folder}/mended-starts) -lt 2 ]; do sleep 0.01; done; kill -9 $$
         fi
         test -e {folder}/mended && [ $(wc -l < {folder}/mended-starts) -gt 2 ] && exit 0
         exec sleep 1000"
    );
    bench.add("mended", 2, 60, &mended);
    let status = bench.finished("mended").await;
    assert_eq!((status.phase, status.restarts, status.failures), (Phase::Complete, 1, 1), "{}", status.message());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(std::fs::read_to_string(bench.path("mended-starts")).unwrap().lines().count(), 4, "both, twice");

    for (name, code, starts) in
        [("again", 1, 4), ("lost", 8, 4), ("killed", 137, 4), ("hopeless", 3, 1), ("usage", 2, 1), ("gate", 7, 1)]
    {
        bench.add(name, 1, 60, &format!("echo . >> {folder}/{name}; exit {code}"));
        let status = bench.finished(name).await;
        assert_eq!((status.phase, status.failures), (Phase::Failed, starts - 1), "{name}: {}", status.message());
        assert_eq!(std::fs::read_to_string(bench.path(name)).unwrap().lines().count() as u32, starts, "{name}");
    }
}

#[tokio::test]
async fn the_deadline_is_enforced() {
    let mut bench = Bench::new(2);
    bench.add("a", 1, 1, "sleep 1000");
    let status = bench.finished("a").await;
    assert_eq!((status.phase, status.conditions[0].reason.as_str()), (Phase::Failed, "DeadlineExceeded"));
}

#[tokio::test]
async fn checkpoints_stay_until_no_attempt_follows() {
    let mut bench = Bench::with(|folder| TrainingRuntime { max_restarts: 1, ..runtime(folder, 2) });
    let folder = bench.path("checkpoints").display().to_string();
    // the second attempt must find what the first one has stored
    let store = |then: &str| {
        format!("test -e {folder}/$JOB && {then}; mkdir -p {folder}/$JOB/1; echo > {folder}/$JOB/1/shard; exit 1")
    };
    for (name, then, phase) in
        [("failed", "exit 1", Phase::Failed), ("done", "exit 0", Phase::Complete), ("refused", "exit 3", Phase::Failed)]
    {
        bench.add(name, 1, 60, &store(then).replace("$JOB", name));
        let status = bench.finished(name).await;
        assert_eq!((status.phase, status.failures), (phase, 1), "{name}: {}", status.message());
        assert!(!bench.path("checkpoints").join(name).exists(), "{name}");
    }
    let stored = bench.path("checkpoints/cancelled/1/shard");
    bench.add(
        "cancelled",
        1,
        60,
        &format!("mkdir -p {folder}/cancelled/1; echo > {}; exec sleep 1000", stored.display()),
    );
    while !stored.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.remove("cancelled");
    assert_eq!(bench.finished("cancelled").await.phase, Phase::Cancelled);
    assert!(stored.exists(), "it may be added again");
}

#[tokio::test]
async fn removing_the_file_stops_the_job() {
    let mut bench = Bench::new(1);
    bench.add("a", 1, 60, &format!("echo $$ > {}; exec sleep 1000", bench.path("pid").display()));
    bench.add("b", 1, 60, "true");
    let pid = pid_in(&bench.path("pid")).await;
    bench.add("c", 1, 60, "true");
    // the queue takes the newest files only: a job that it never saw has no status
    let pending = |status: &JobStatus| status.phase == Phase::Pending;
    tokio::time::timeout(PATIENCE, bench.queue.jobs().until("c", pending)).await.expect("c is not known").unwrap();
    bench.remove("c");
    assert_eq!(bench.finished("c").await.phase, Phase::Cancelled);
    bench.remove("a");
    assert_eq!(bench.finished("a").await.phase, Phase::Cancelled);
    is_gone(pid).await;
    // Its CPU goes to the next; the one that was removed while it waited never starts.
    assert_eq!(bench.finished("b").await.phase, Phase::Complete);
    assert_eq!(bench.finished("c").await.phase, Phase::Cancelled);
    assert!(!bench.path("jobs/c/worker-0.log").exists());
}

#[tokio::test]
async fn jobs_run_in_order_while_cpus_are_free_and_a_large_one_alone() {
    let mut bench = Bench::new(2);
    let log = bench.path("log");
    let script = |name: &str| format!("echo +{name} >> {0}; sleep 0.2; echo -{name} >> {0}", log.display());
    for (name, nodes) in [("a", 1), ("b", 1), ("c", 4)] {
        let script =
            if nodes == 1 { script(name) } else { format!("[ $PET_NODE_RANK != 0 ] || {{ {}; }}", script(name)) };
        bench.files.insert(format!("{name}.yaml"), job(name, nodes, 60, &script));
    }
    bench.queue.apply(bench.files.clone());
    for name in ["a", "b", "c"] {
        assert_eq!(bench.finished(name).await.phase, Phase::Complete);
    }
    let log = std::fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[..2].contains(&"+a") && lines[..2].contains(&"+b"), "two at once: {lines:?}");
    assert_eq!(lines[4..], ["+c", "-c"], "then the large one: {lines:?}");
}

#[tokio::test]
async fn a_finished_job_never_runs_again_and_an_interrupted_one_does() {
    let mut bench = Bench::new(2);
    let folder = bench.folder.path().display().to_string();
    bench.add("done", 1, 60, &format!("echo once >> {folder}/done"));
    bench.add("cut", 1, 60, &format!("test -e {folder}/again || exec sleep 1000"));
    assert_eq!(bench.finished("done").await.phase, Phase::Complete);
    bench.running("cut").await;
    bench.remove("done");
    let Bench { folder, queue, mut files } = bench;
    tokio::time::timeout(PATIENCE, queue.shutdown()).await.unwrap().unwrap();
    assert_eq!(JobStatus::read(&folder.path().join("jobs/cut")).unwrap().unwrap().phase, Phase::Running);

    std::fs::write(folder.path().join("again"), "").unwrap();
    files.insert("done.yaml".to_owned(), job("done", 1, 60, "exit 1"));
    let bench = Bench { queue: Queue::start(runtime(folder.path(), 2)), folder, files };
    bench.queue.apply(bench.files.clone());
    let status = bench.finished("cut").await;
    assert_eq!((status.phase, status.restarts), (Phase::Complete, 1));
    assert_eq!(bench.finished("done").await.phase, Phase::Complete);
    assert_eq!(std::fs::read_to_string(bench.path("done")).unwrap(), "once\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_run_fails_its_job_and_nothing_else() {
    let mut bench = Bench::new(2);
    let broken = |name: &str, from: &str, to: &str| {
        let text = String::from_utf8(job(name, 1, 60, "true")).unwrap();
        assert!(text.contains(from));
        text.replacen(from, to, 1).into_bytes()
    };
    let mistakes = [
        ("typo", "numNodes", "numNode", "typo.yaml:15:5"),
        ("kind", "kind: TrainJob", "kind: Job", "TrainJob"),
        ("empty", "[sh, -c, \"true\"]", "[]", "command is empty"),
        ("none", "numNodes: 1", "numNodes: 0", "numNodes"),
        ("cpu", "cpu: \"1\"", "cpu: one", "quantity"),
        ("reserved", "OMP_NUM_THREADS", "PET_NNODES", "PET_NNODES"),
        ("timeless", "  activeDeadlineSeconds: 60\n", "", "activeDeadlineSeconds"),
    ];
    for (name, from, to, _) in mistakes {
        bench.files.insert(format!("{name}.yaml"), broken(name, from, to));
    }
    bench.files.insert("other.yaml".to_owned(), job("name", 1, 60, "true"));
    bench.files.insert("binary.yaml".to_owned(), vec![0xff, 0xfe]);
    bench.files.insert("../evil.yaml".to_owned(), job("evil", 1, 60, "true"));
    bench.add("good", 1, 60, "true");
    let names = [("other", "metadata.name is name"), ("binary", "utf-8")];
    for (name, part) in mistakes.into_iter().map(|(name, _, _, part)| (name, part)).chain(names) {
        let status = bench.finished(name).await;
        assert_eq!(status.conditions[0].reason, "InvalidTrainJob");
        assert!(status.message().contains(part), "{}", status.message());
    }
    assert_eq!(bench.finished("good").await.phase, Phase::Complete);
    assert_eq!(bench.queue.jobs().all().len(), mistakes.len() + names.len() + 1);
}

/// Not a test: a worker that listens on its port. While a file is there, another program has taken that port before.
#[test]
#[ignore = "is run by a_taken_port_is_replaced"]
#[expect(clippy::print_stderr, reason = "a worker's log")]
fn a_worker_that_listens() {
    let port = std::env::var("PET_MASTER_PORT").unwrap();
    let address = format!("127.0.0.1:{port}");
    let is_taken = std::fs::read_dir(".").unwrap().flatten().any(|file| {
        let taken = file.file_name().to_string_lossy().starts_with("taken-");
        taken && std::fs::remove_file(file.path()).is_ok()
    });
    let other = is_taken.then(|| std::net::TcpListener::bind(&address).unwrap());
    std::fs::write(format!("port-{port}"), "").unwrap();
    if let Err(error) = std::net::TcpListener::bind(&address) {
        eprintln!("the workers did not meet at {address}: {error}");
        std::process::exit(1);
    }
    drop(other);
}

#[tokio::test]
async fn a_taken_port_is_replaced() {
    let mut bench = Bench::new(2);
    let worker = std::env::current_exe().unwrap();
    let command =
        format!("[{:?}, a_worker_that_listens, --exact, --ignored, --nocapture]", worker.display().to_string());
    for (name, times) in [("once", 1), ("always", 3)] {
        let folder = bench.path(&format!("jobs/{name}"));
        std::fs::create_dir(&folder).unwrap();
        for time in 0..times {
            std::fs::write(folder.join(format!("taken-{time}")), "").unwrap();
        }
        bench.files.insert(format!("{name}.yaml"), job_with_command(name, 1, 60, &command));
    }
    bench.queue.apply(bench.files.clone());
    let ports = |name: &str| {
        let entries = std::fs::read_dir(bench.path(&format!("jobs/{name}"))).unwrap().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("port-")).count()
    };
    let once = bench.finished("once").await;
    assert_eq!((once.phase, ports("once")), (Phase::Complete, 2), "{}", once.message());
    let always = bench.finished("always").await;
    assert_eq!((always.phase, ports("always")), (Phase::Failed, 3), "{}", always.message());
    assert!(always.message().to_lowercase().contains("address already in use"), "{}", always.message());
}

#[tokio::test]
async fn only_the_port_of_rank_0_starts_workers_again() {
    let mut bench = Bench::new(2);
    bench.add("a", 1, 60, "echo . >> starts; echo '127.0.0.1:1: Address already in use' >&2; exit 1");
    assert_eq!(bench.finished("a").await.phase, Phase::Failed);
    assert_eq!(std::fs::read_to_string(bench.path("jobs/a/starts")).unwrap(), ".\n");
}

/// What rank 0 creates when it begins.
async fn open_run(mlflow: &Mlflow, job: &str) {
    let experiment = mlflow.client.get_or_create_experiment("test").await.unwrap();
    mlflow.client.create_run(&experiment, job, &[Tag::new("slipway.trainjob", job)], 0).await.unwrap();
}

async fn runs_of(mlflow: &Mlflow, job: &str) -> Vec<Run> {
    mlflow.client.runs_of_job("test", job).await.unwrap()
}

#[tokio::test]
async fn no_run_of_a_job_that_has_ended_stays_open() {
    let mlflow = Mlflow::start().await;
    let mut bench = Bench::with(|folder| runtime_with(folder, 4, &mlflow.url));
    for job in ["killed", "late", "removed", "cut", "other"] {
        open_run(&mlflow, job).await;
    }
    let pid = bench.path("pid");
    bench.add("killed", 1, 60, &format!("echo $$ > {}; exec sleep 1000", pid.display()));
    bench.add("late", 1, 1, "exec sleep 1000");
    bench.add("removed", 1, 60, "exec sleep 1000");
    bench.add("cut", 1, 60, "exec sleep 1000");
    bench.running("removed").await;
    kill_process(pid_in(&pid).await, Signal::KILL).unwrap();
    bench.remove("removed");
    for (job, phase, status, reason) in [
        ("killed", Phase::Failed, RunStatus::Failed, "killed by signal 9"),
        ("late", Phase::Failed, RunStatus::Failed, "TrainJob exceeded its active deadline"),
        ("removed", Phase::Cancelled, RunStatus::Killed, "stopped from outside"),
    ] {
        assert_eq!(bench.finished(job).await.phase, phase, "{job}");
        let runs = runs_of(&mlflow, job).await;
        assert_eq!((runs.len(), runs[0].status), (1, status), "{job}: {runs:?}");
        assert!(runs[0].tags["slipway.failure"].contains(reason) && runs[0].end_time.is_some(), "{job}: {runs:?}");
    }
    assert_eq!(runs_of(&mlflow, "other").await[0].status, RunStatus::Running, "it is not a job of this loop");

    // a loop that was killed together with its workers, and whose job was removed from main before the next one began
    bench.running("cut").await;
    let Bench { folder, queue, .. } = bench;
    tokio::time::timeout(PATIENCE, queue.shutdown()).await.unwrap().unwrap();
    open_run(&mlflow, "cut").await;
    let queue = Queue::start(runtime_with(folder.path(), 4, &mlflow.url));
    queue.apply(BTreeMap::new());
    let cut = tokio::time::timeout(PATIENCE, queue.jobs().finished("cut")).await.unwrap().unwrap();
    assert_eq!(cut.phase, Phase::Cancelled);
    let runs = runs_of(&mlflow, "cut").await;
    assert!(runs.len() == 2 && runs.iter().all(|run| run.status == RunStatus::Killed), "{runs:?}");
}

#[tokio::test]
async fn the_run_of_a_registered_version_is_finished_though_its_worker_was_killed() {
    let mlflow = Mlflow::start().await;
    let client = &mlflow.client;
    open_run(&mlflow, "a").await;
    let run = runs_of(&mlflow, "a").await.remove(0);
    let logged = client.create_logged_model(&run.experiment_id, "m", &run.run_id, &[], &[]).await.unwrap();
    client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Ready).await.unwrap();
    client.get_or_create_registered_model("m").await.unwrap();
    let (source, tags) = (format!("models:/{}", logged.model_id), [Tag::new("slipway.trainjob", "a")]);
    client.create_model_version("m", &source, &run.run_id, &logged.model_id, &tags).await.unwrap();

    let mut bench = Bench::with(|folder| runtime_with(folder, 1, &mlflow.url));
    let trial = serde_json::json!({
        "name": "a", "experiment": "test", "dataset": {"name": "d", "digest": format!("sha256:{}", "0".repeat(64))},
        "model": {"architecture": "mlp"},
        "training": {"epochs": 1, "batchSize": 1, "optimizer": {"name": "adam", "learningRate": 0.1}, "seed": 1},
        "workers": 1, "parameters": {}, "register": {"model": "m", "require": {"accuracy": ">= 0.5"}},
    });
    let variable =
        format!("      - {{name: SLIPWAY_TRIAL, value: {}}}\n    resources", serde_json::json!(trial.to_string()));
    let file = String::from_utf8(job("a", 1, 60, "kill -KILL $$")).unwrap().replace("    resources", &variable);
    bench.files.insert("a.yaml".to_owned(), file.into_bytes());
    bench.queue.apply(bench.files.clone());
    assert_eq!(bench.finished("a").await.phase, Phase::Failed);
    assert_eq!(runs_of(&mlflow, "a").await[0].status, RunStatus::Finished);
}

/// Not a test: the process that the next one kills.
#[tokio::test]
#[ignore = "is run by workers_end_when_the_loop_is_killed"]
async fn a_loop_to_kill() {
    let Some(folder) = std::env::var_os("SLIPWAY_TEST_FOLDER").map(PathBuf::from) else { return };
    let queue = Queue::start(runtime(&folder, 2));
    let script =
        format!("echo $$ > {}/pid-$PET_NODE_RANK; trap '' TERM; while :; do sleep 1000; done", folder.display());
    queue.apply([("a.yaml".to_owned(), job("a", 2, 600, &script))].into());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn workers_end_when_the_loop_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_loop_to_kill", "--ignored"])
        .env("SLIPWAY_TEST_FOLDER", folder.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let pids = [pid_in(&folder.path().join("pid-0")).await, pid_in(&folder.path().join("pid-1")).await];
    parent.kill().await.unwrap();
    for pid in pids {
        is_gone(pid).await;
    }
}
