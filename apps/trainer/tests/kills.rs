//! Workers that are killed at random moments, again and again: real processes of the real program, with checkpoints in a real S3. What comes out
//! in the end is what an undisturbed training gives, to the bit.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;
use slipway_object_store::{Faults, KEYS, serve_with};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A store for checkpoints.
struct Place {
    runtime: Runtime,
    folder: TempDir,
    url: String,
    faults: Faults,
}

/// What a training came to: the file of its weights, and its losses by step.
type Result = (Vec<u8>, HashMap<usize, u64>);

impl Place {
    fn new() -> Self {
        let (runtime, folder, faults) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap(), Faults::default());
        std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let url = runtime.block_on(serve_with(folder.path(), faults.clone()));
        Self { runtime, folder, url, faults }
    }

    /// Starts all workers of a job, with a checkpoint every so many seconds.
    fn start(&self, world_size: usize, arguments: &[&str], job: &str, seconds: &str) -> Vec<Worker> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let start = |rank: usize| {
            let child = Command::new(env!("CARGO_BIN_EXE_slipway-trainer"))
                .args(["bench", "--job", job, "--weights", &self.weights(job)])
                .args(arguments)
                .env_clear()
                .env("PET_NNODES", world_size.to_string())
                .env("PET_NPROC_PER_NODE", "1")
                .env("PET_NODE_RANK", rank.to_string())
                .env("PET_MASTER_ADDR", "127.0.0.1")
                .env("PET_MASTER_PORT", port.to_string())
                .env("OMP_NUM_THREADS", "1")
                .env("SLIPWAY_CACHE", self.folder.path().join("cache"))
                .env("SLIPWAY_CHECKPOINT_STORE", "s3://checkpoints")
                .env("SLIPWAY_CHECKPOINT_SECONDS", seconds)
                .env("AWS_ENDPOINT_URL_S3", &self.url)
                .env("AWS_ACCESS_KEY_ID", KEYS.0)
                .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            let mut child = child.unwrap();
            let log = BufReader::new(child.stderr.take().unwrap());
            Worker { child, log, logged: String::new() }
        };
        (0..world_size).map(start).collect()
    }

    /// Where rank 0 leaves its weights.
    fn weights(&self, job: &str) -> String {
        self.folder.path().join(format!("{job}.safetensors")).display().to_string()
    }

    /// Waits for all workers, which must end well, and returns rank 0's report.
    fn report(&self, job: &str, workers: Vec<Worker>) -> (Vec<u8>, Value) {
        let mut report = Value::Null;
        for (rank, worker) in workers.into_iter().enumerate() {
            let (status, log, output) = worker.end();
            assert!(status.success(), "{log}");
            if rank == 0 {
                report = serde_json::from_str(&output).unwrap();
            }
        }
        (std::fs::read(self.weights(job)).unwrap(), report)
    }

    /// A training that nobody disturbs.
    fn undisturbed(&self, world_size: usize, arguments: &[&str]) -> Result {
        let job = format!("whole-{world_size}");
        let (weights, report) = self.report(&job, self.start(world_size, arguments, &job, "3600"));
        assert_eq!(report["resumedAtStep"], 0);
        (weights, losses(&report))
    }

    /// Whether nothing is left of a job.
    fn is_clean(&self, job: &str) -> bool {
        fn files(folder: &Path) -> usize {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
        }
        files(&self.folder.path().join("checkpoints").join(job)) == 0
    }
}

/// The losses of a report: those of the steps that its process has made.
fn losses(report: &Value) -> HashMap<usize, u64> {
    let first = report["resumedAtStep"].as_u64().unwrap() as usize;
    let losses = report["losses"].as_array().unwrap();
    losses.iter().enumerate().map(|(at, loss)| (first + at, loss.as_f64().unwrap().to_bits())).collect()
}

/// A worker, which is killed when dropped.
struct Worker {
    child: Child,
    log: BufReader<ChildStderr>,
    logged: String,
}

impl Worker {
    /// Returns when the log has a line with this text; `false` if it ends before.
    fn until(&mut self, text: &str) -> bool {
        loop {
            let mut line = String::new();
            if self.log.read_line(&mut line).unwrap() == 0 {
                return false;
            }
            self.logged.push_str(&line);
            if line.contains(text) {
                return true;
            }
        }
    }

    fn end(mut self) -> (ExitStatus, String, String) {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        let mut output = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        (self.child.wait().unwrap(), std::mem::take(&mut self.logged) + &rest, output)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Dropout, augmentation, a falling rate and early stopping: everything that a checkpoint must hold. Six workers can share the batch.
const ARGUMENTS: [&str; 18] = [
    "--architecture",
    "mlp",
    "--batch-size",
    "60",
    "--images",
    "1200",
    "--steps",
    "600",
    "--dropout",
    "0.25",
    "--shift",
    "1",
    "--cosine",
    "--patience",
    "40",
    "--optimizer",
    "adamw",
    "--learning-rate=0.0005",
];

#[rstest]
#[case::a_few(10)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100)]
fn kills_change_no_bit(#[case] most: usize) {
    let place = Place::new();
    let mut random = fastrand::Rng::with_seed(19);
    let whole: Vec<Result> = (1..=3).map(|world_size| place.undisturbed(world_size, &ARGUMENTS)).collect();
    let (mut kills, mut resumed) = (0, 0);
    for job in 0.. {
        if kills >= most {
            break;
        }
        let world_size = 1 + job % 3;
        let name = format!("job-{job}");
        // one job ends by itself, however many kills are left
        loop {
            let mut workers = place.start(world_size, &ARGUMENTS, &name, "0.02");
            // any moment of its life: while it starts, while it trains, while it writes, while it ends
            let trains = random.u8(..4) > 0;
            let started = !trains || workers[0].until("first_step");
            std::thread::sleep(Duration::from_millis(random.u64(..if trains { 300 } else { 500 })));
            let mut victim = workers.remove(random.usize(..world_size));
            let ended = victim.child.try_wait().unwrap();
            if started && ended.is_none() {
                victim.child.kill().unwrap();
                kills += 1;
            }
            if !trains {
                // they would wait for the victim for a minute
                workers.iter_mut().for_each(|worker| drop(worker.child.kill()));
            }
            let (status, log, output) = victim.end();
            let others: Vec<_> = workers.into_iter().map(Worker::end).collect();
            if others.iter().chain([&(status, log, output)]).all(|(status, ..)| status.success()) {
                break;
            }
            for (status, log, _) in &others {
                // who has lost the victim; 0 if everything was done before
                assert!(!trains || [Some(8), Some(0)].contains(&status.code()), "{status}: {log}");
            }
            if kills % 5 == 0 {
                let (weights, report) = place.report(&name, place.start(world_size, &ARGUMENTS, &name, "0.02"));
                resumed += usize::from(report["resumedAtStep"].as_u64().unwrap() > 0);
                check(&whole[world_size - 1], &weights, &report);
                break;
            }
        }
        assert_eq!(std::fs::read(place.weights(&name)).unwrap(), whole[world_size - 1].0, "{name}: other weights");
        assert!(place.is_clean(&name), "{name}: something is left");
    }
    assert!(resumed > 0, "nothing was resumed");
}

fn check((weights, losses_of_whole): &Result, found: &[u8], report: &Value) {
    assert!(found == weights, "other weights: {report}");
    let found = losses(report);
    assert!(found.iter().all(|(step, loss)| losses_of_whole.get(step) == Some(loss)), "other losses: {report}");
    assert_eq!(
        found.len() + report["resumedAtStep"].as_u64().unwrap() as usize,
        losses_of_whole.len(),
        "each step once: {report}"
    );
}

/// Killed between the shards and the manifest, while the manifest is on its way, and while old shards are removed.
#[test]
fn a_kill_while_a_checkpoint_is_written_changes_no_bit() {
    let place = Place::new();
    let whole = place.undisturbed(1, &ARGUMENTS);
    for (at, (method, path)) in [("PUT", "/1/"), ("PUT", "manifest.json"), ("DELETE", "/1/")].into_iter().enumerate() {
        let name = format!("write-{at}");
        let mut worker = place.start(1, &ARGUMENTS, &name, "0.02").remove(0);
        assert!(worker.until("\"event\":\"checkpoint\""), "{}", worker.logged);
        let held = place.faults.hold(method, path);
        place.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(30), held.arrived()).await }).unwrap();
        worker.child.kill().unwrap();
        drop(worker);
        drop(held);
        let (weights, report) = place.report(&name, place.start(1, &ARGUMENTS, &name, "0.02"));
        assert!(report["resumedAtStep"].as_u64().unwrap() > 0, "{method} {path}: {report}");
        check(&whole, &weights, &report);
        assert!(place.is_clean(&name), "{name}: something is left");
    }
}

/// The store is away from time to time, also when an attempt begins, and answers are lost.
#[test]
fn a_store_with_faults_changes_no_bit() {
    let place = Place::new();
    let whole = place.undisturbed(2, &ARGUMENTS);
    let name = "faults";
    for _ in 0..3 {
        let mut workers = place.start(2, &ARGUMENTS, name, "0.02");
        assert!(workers[0].until("\"event\":\"checkpoint\""), "{}", workers[0].logged);
        place.faults.lose_answers(2);
        assert!(workers[0].until("\"event\":\"checkpoint\""), "{}", workers[0].logged);
        place.faults.set_away(true);
        drop(workers);
        // the next attempt waits for it
        let mut workers = place.start(2, &ARGUMENTS, name, "0.02");
        assert!(workers[0].until("trying again"), "{}", workers[0].logged);
        place.faults.set_away(false);
        assert!(workers[0].until("\"event\":\"resumed\""), "{}", workers[0].logged);
    }
    let (weights, report) = place.report(name, place.start(2, &ARGUMENTS, name, "0.02"));
    check(&whole, &weights, &report);
}
