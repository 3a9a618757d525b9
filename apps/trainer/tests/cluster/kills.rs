//! Workers, MLflow and the store of everything, killed at random moments while a job starts, trains, and registers. It registers, once, what it
//! would have registered if nobody had disturbed it.

use std::io::Read;
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::place::Place;
use crate::worker::{free_port, terminate};

const WORKERS: usize = 2;
/// The longest time that the store is away, and after which the workers that are left are stopped, in milliseconds.
const SOON: u64 = 500;

/// Kills of the store, MLflow and a worker, in turn.
struct Kills {
    random: fastrand::Rng,
    done: usize,
    most: usize,
    /// The longest time before each, in milliseconds: about what a job takes.
    moment: u64,
}

impl Kills {
    fn are_over(&self) -> bool {
        self.done == self.most
    }

    fn time(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.random.u64(..most))
    }
}

// A few are one of the store and one of MLflow, which nothing else kills: `checkpoints` kills workers.
#[rstest]
#[case::a_few(2, 20, 600)]
#[ignore = "takes minutes: `make test-faults`"]
#[case::a_hundred(100, 60, 2000)]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_the_same_model_is_registered_once(
    #[case] most: usize,
    #[case] epochs: usize,
    #[case] moment: u64,
) {
    let mut place = Place::with_one_store(epochs).await;
    place.finish(&place.trial("whole", WORKERS)).await;
    let whole = place.result("whole").await;
    let mut kills = Kills { random: fastrand::Rng::with_seed(19), done: 0, most, moment };
    for job in 0.. {
        if kills.are_over() {
            break;
        }
        let name = format!("job-{job}");
        let trial = place.trial(&name, WORKERS);
        while !attempt(&mut place, &trial, &mut kills).await {}
        place.check_finished(&name).await;
        assert_eq!(place.result(&name).await, whole, "{name}");
        assert_eq!(stored_digest(&place, &name).await, whole.1, "{name}: its files");
    }
}

/// One attempt of a job. Returns whether the job is done; if not, one of its workers was killed.
async fn attempt(place: &mut Place, trial: &Value, kills: &mut Kills) -> bool {
    let port = free_port();
    let start = |rank| Worker::start(&mut place.worker(rank, port, trial, "0.05"));
    let mut workers: Vec<_> = (0..WORKERS).map(start).collect();
    let mut is_lost = false;
    while !is_lost && !kills.are_over() {
        if ended_within(&mut workers, kills.time(kills.moment)).await {
            break;
        }
        match kills.done % 3 {
            0 => {
                place.objects.kill().await;
                tokio::time::sleep(kills.time(SOON)).await;
                place.objects.start_again();
            }
            // it takes seconds to start
            1 => {
                place.mlflow.kill();
                place.mlflow.start_again().await;
            }
            _ => {
                workers[kills.random.usize(..WORKERS)].child.kill().unwrap();
                is_lost = true;
                // as JobSet and `slipway up` do, before they start all of them again
                tokio::time::sleep(kills.time(SOON)).await;
                workers.iter_mut().for_each(Worker::stop);
            }
        }
        kills.done += 1;
    }
    let ended = workers.into_iter().map(|worker| tokio::task::spawn_blocking(move || worker.end()));
    let mut is_done = true;
    for (rank, ended) in ended.collect::<Vec<_>>().into_iter().enumerate() {
        let (code, log) = ended.await.unwrap();
        for damage in ["checkpoint_set_aside", "checkpoints_unusable", "run_not_continued"] {
            assert!(!log.contains(damage), "{damage}: {log}");
        }
        // the services are waited for; a worker that is stopped before it listens for that ends by the signal, and one may be done already
        let expected: &[_] = if is_lost { &[None, Some(8), Some(143), Some(0)] } else { &[Some(0)] };
        assert!(expected.contains(&code), "rank {rank}: {code:?}: {log}");
        is_done &= code == Some(0);
    }
    is_done
}

/// Waits for so long, or until all workers have ended; then it returns true.
async fn ended_within(workers: &mut [Worker], time: Duration) -> bool {
    let ended = async {
        while !workers.iter_mut().all(|worker| worker.child.try_wait().unwrap().is_some()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(time, ended).await.is_ok()
}

/// The digest of a version's files, as the registry gives them.
async fn stored_digest(place: &Place, model: &str) -> String {
    let (client, folder) = (&place.mlflow.client, tempfile::tempdir().unwrap());
    let root = client.download_uri(model, "1").await.unwrap();
    for artifact in client.list_artifacts(&root).await.unwrap() {
        let file = folder.path().join(&artifact.path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        client.download_artifact(&root, &artifact.path, artifact.size, &file).await.unwrap();
    }
    slipway_signature::digest(folder.path()).unwrap().to_string()
}

/// A worker whose log is read while it runs, so that it never waits for a reader.
struct Worker {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Worker {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            stderr.read_to_end(&mut log).unwrap();
            String::from_utf8_lossy(&log).into_owned()
        });
        Self { child, log: Some(log) }
    }

    /// Asks it to end, if it has not.
    fn stop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            terminate(self.child.id());
        }
    }

    /// Its exit code, `None` if a signal ended it, and what it has logged.
    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
