//! MLflow and a store, and jobs that use them.

use std::process::Command;

use serde_json::Value;
use slipway_mlflow::{Metric, RunStatus};
use slipway_mlflow_server::Mlflow;

use crate::objects::{KEYS, Objects};
use crate::worker::{Running, free_port, trial, worker};

/// Of a job, unless a test says otherwise: long enough to be interrupted. Each has 50 steps.
pub(crate) const EPOCHS: usize = 60;

/// What a job needs, with a folder for caches.
pub(crate) struct Place {
    pub(crate) mlflow: Mlflow,
    pub(crate) objects: Objects,
    epochs: usize,
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self::of(Mlflow::start().await, Objects::start().await, EPOCHS)
    }

    /// One whose MLflow keeps its files in the same store as everything else, as in the embedded loop and in a cluster. Jobs have so many epochs.
    pub(crate) async fn with_one_store(epochs: usize) -> Self {
        let objects = Objects::start().await;
        Self::of(Mlflow::on_s3(&objects.url, KEYS).await, objects, epochs)
    }

    fn of(mlflow: Mlflow, objects: Objects, epochs: usize) -> Self {
        Self { mlflow, objects, epochs, folder: tempfile::tempdir().unwrap() }
    }

    /// A job of this name, whose experiment and model are called like it.
    pub(crate) fn trial(&self, name: &str, workers: usize) -> Value {
        let mut trial = trial(&self.objects, workers, self.epochs);
        for field in ["name", "experiment"] {
            trial[field] = name.into();
        }
        trial["register"] = serde_json::json!({"model": name, "require": {"accuracy": ">= 0.5"}});
        trial
    }

    /// A worker that stores a checkpoint every so many seconds.
    pub(crate) fn worker(&self, rank: usize, port: u16, trial: &Value, seconds: &str) -> Command {
        let cache = self.folder.path().join(format!("cache-{rank}"));
        let mut command = worker(rank, port, trial, &self.objects, &self.mlflow.url, &cache);
        command.env("SLIPWAY_CHECKPOINT_SECONDS", seconds);
        command
    }

    pub(crate) fn start(&self, trial: &Value, seconds: &str) -> Vec<Running> {
        let port = free_port();
        let workers = trial["workers"].as_u64().unwrap() as usize;
        (0..workers).map(|rank| Running::start(&mut self.worker(rank, port, trial, seconds))).collect()
    }

    /// Runs all workers to their end, which must be a good one, and returns the log of rank 0.
    pub(crate) async fn finish(&self, trial: &Value) -> String {
        let workers = self.start(trial, "30");
        let ended = tokio::task::spawn_blocking(move || workers.into_iter().map(Running::end).collect::<Vec<_>>());
        let mut ended = ended.await.unwrap();
        for (code, log) in &ended {
            assert_eq!(*code, Some(0), "{log}");
        }
        ended.swap_remove(0).1
    }

    /// A job that was interrupted and is done, in one run: see [`Self::check_finished`].
    pub(crate) async fn check(&self, name: &str) {
        let run = self.mlflow.run(name).await;
        assert!(!run.tags.contains_key("slipway.failure"), "{:?}", run.tags);
        self.check_finished(name).await;
    }

    /// A job that is done: one finished run, every metric in it once and in order; one version, which is that run's; nothing in the store of
    /// checkpoints.
    pub(crate) async fn check_finished(&self, name: &str) {
        let runs = self.mlflow.runs(name).await;
        let (finished, others): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.status == RunStatus::Finished);
        assert!(finished.len() == 1 && others.iter().all(|run| !run.is_open()), "{name}: {runs:?}");
        let last = self.epochs as i64;
        for (key, expected) in [
            ("loss", 0..last * 50),
            ("validation_accuracy", 0..last),
            // of each epoch, and of all
            ("images_per_second", 0..last + 1),
            ("test_accuracy", last..last + 1),
            ("seconds", last..last + 1),
        ] {
            let found = self.history(&finished[0].run_id, key).await;
            let steps: Vec<_> = found.iter().map(|metric| metric.step).collect();
            assert_eq!(steps, expected.collect::<Vec<_>>(), "{name}: {key}");
        }
        let versions = self.mlflow.client.search_model_versions(name).await.unwrap();
        assert!(
            versions.len() == 1 && versions[0].run_id.as_ref() == Some(&finished[0].run_id),
            "{name}: {versions:?}"
        );
        assert_eq!(self.objects.checkpoint_objects(name), 0, "{name}");
    }

    /// By time, as MLflow has it.
    pub(crate) async fn history(&self, run_id: &str, key: &str) -> Vec<Metric> {
        self.mlflow.client.metric_history(run_id, key).await.unwrap()
    }

    /// The losses of a job, and the digest that its version has.
    pub(crate) async fn result(&self, name: &str) -> (Vec<u64>, String) {
        let version = self.mlflow.client.latest_model_version(name).await.unwrap().unwrap();
        let history = self.history(version.run_id.as_ref().unwrap(), "loss").await;
        let losses = history.iter().map(|metric| metric.value.to_bits()).collect();
        (losses, version.tag("slipway.digest").to_owned())
    }
}
