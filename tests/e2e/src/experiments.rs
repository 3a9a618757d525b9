//! Experiments as a person proposes them.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::kubectl::text;
use crate::mlflow::MODEL;
use crate::{Stack, until};

/// What a test varies.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Its name, which is different in each test.
    pub name: &'static str,
    /// `cnn` or `mlp`.
    pub architecture: &'static str,
    /// The number of epochs.
    pub epochs: u32,
    /// The learning rates, with one trial for each.
    pub learning_rates: &'static [&'static str],
    /// What the gate asks of the accuracy, such as [`EASY`].
    pub gate: &'static str,
}

/// A gate that every network passes after an epoch or two.
pub const EASY: &str = ">= 0.80";

/// An experiment whose pull request was merged.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// Its TrainJobs.
    pub jobs: Vec<String>,
    /// The body of the pull request.
    pub body: String,
    /// The time of the merge.
    pub merged: SystemTime,
}

impl Experiment {
    /// The path of its file.
    #[must_use]
    pub fn file(&self) -> String {
        format!("experiments/{}.yaml", self.name)
    }

    /// The text of its file. Each worker requests little CPU, so that two trials of two workers run at once on two cores.
    #[must_use]
    pub fn yaml(&self) -> String {
        let Self { name, architecture, epochs, learning_rates, gate } = self;
        let rates = learning_rates.join(", ");
        format!(
            "apiVersion: slipway.dev/v1alpha1
kind: Experiment
metadata:
  name: {name}
spec:
  dataset: mnist-10k
  model: {{architecture: {architecture}, dropout: 0.25}}
  training: {{epochs: {epochs}, batchSize: 64, optimizer: {{name: adam, learningRate: 0.001}}, seed: 7}}
  sweep:
    training.optimizer.learningRate: [{rates}]
  workers: {{count: 2, cpu: 200m, memory: 256Mi}}
  budget: {{cpuHours: 4, deadline: 20m}}
  register: {{model: {MODEL}, require: {{accuracy: \"{gate}\"}}}}
"
        )
    }
}

impl Stack {
    /// Writes the file, proposes it, and merges the pull request.
    ///
    /// # Errors
    /// If a command or the merge fails.
    pub fn start(&self, experiment: &Experiment) -> Result<Proposed> {
        self.start_as_written(experiment.name, &experiment.yaml())
    }

    /// Starts an experiment whose file is given as its text.
    ///
    /// # Errors
    /// If a command or the merge fails.
    pub fn start_as_written(&self, name: &str, yaml: &str) -> Result<Proposed> {
        let (number, jobs) = self.proposed(name, yaml, |arguments| self.slipway(arguments))?;
        let git = |arguments: &[&str]| self.repository().git(arguments);
        let forge = format!("--git-dir={}", self.repository().forge().display());
        let body = git(&[&forge, "cat-file", "blob", &format!("refs/slipway/pull/{number}")])?;
        let merged = SystemTime::now();
        self.merge(number)?;
        Ok(Proposed { jobs, body, merged })
    }

    /// Writes the file on the newest main, and proposes it by `slipway`, a command line for one of the forges. Returns the number of the
    /// pull request, and the TrainJobs that it starts.
    pub(crate) fn proposed(
        &self,
        name: &str,
        yaml: &str,
        slipway: impl Fn(&[&str]) -> Result<Value>,
    ) -> Result<(u64, Vec<String>)> {
        self.repository().pull()?;
        let file = format!("experiments/{name}.yaml");
        fs::write(self.repository().root().join(&file), yaml)?;
        let proposed = slipway(&["propose", &file])?;
        let number = proposed["pullRequest"]["number"].as_u64().context("no pull request was opened")?;
        let starts = proposed["plan"]["changes"].as_array().into_iter().flatten();
        let jobs = starts.flat_map(|change| change["starts"].as_array().cloned().unwrap_or_default());
        Ok((number, jobs.map(|start| text(&start, "/name").to_owned()).collect()))
    }

    /// A TrainJob.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn job(&self, name: &str) -> Result<Value> {
        self.kubectl().get(&["trainjobs.trainer.kubeflow.org", name, "-n", "training"])
    }

    /// The pods of a TrainJob.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub fn pods_of(&self, job: &str) -> Result<Vec<Value>> {
        self.kubectl().list(&["pods", "-n", "training", "-l", &format!("jobset.sigs.k8s.io/jobset-name={job}")])
    }

    /// Waits until rank 0 has reported progress, so that the workers are training. Returns the percentage.
    ///
    /// # Errors
    /// If there is no progress within `limit`, or the job ends before.
    pub fn training(&self, job: &str, limit: Duration) -> Result<u64> {
        let (percent, _) = until(&format!("{job} trains"), limit, || {
            let object = self.job(job)?;
            anyhow::ensure!(condition(&object).is_none(), "{job} is over: {}", object["status"]);
            let percent = object["status"]["trainerStatus"]["progressPercentage"].as_u64();
            Ok(percent.filter(|percent| *percent > 0).ok_or_else(|| object["status"].to_string()))
        })?;
        Ok(percent)
    }

    /// Waits for a job's end. Returns `Complete` or `Failed`, and the message.
    ///
    /// # Errors
    /// If it has not ended within `limit`.
    pub fn ended(&self, job: &str, limit: Duration) -> Result<(String, String)> {
        let (end, _) = until(&format!("{job} ends"), limit, || {
            let object = self.job(job)?;
            Ok(condition(&object).ok_or_else(|| object["status"].to_string()))
        })?;
        Ok(end)
    }

    /// Waits until a job is complete.
    ///
    /// # Errors
    /// If it has failed, or has not ended within `limit`.
    pub fn completes(&self, job: &str, limit: Duration) -> Result<()> {
        let (end, message) = self.ended(job, limit)?;
        anyhow::ensure!(end == "Complete", "{job}: {end}: {message}");
        Ok(())
    }

    /// Kills one worker of a job, as a crash does.
    ///
    /// # Errors
    /// If it has no such worker.
    pub fn kill_worker(&self, job: &str, rank: usize) -> Result<()> {
        let pod = format!("jobset.sigs.k8s.io/jobset-name={job},batch.kubernetes.io/job-completion-index={rank}");
        self.kubectl().kill("training", &pod).map(drop)
    }

    /// Why a job has registered nothing, as `slipway status` says.
    ///
    /// # Errors
    /// If the command fails, or does not show the job.
    pub fn unregistered(&self, job: &str) -> Result<Value> {
        let status = self.slipway(&["status", "--cluster"])?;
        let found = status["jobs"].as_array().into_iter().flatten().find(|one| one["name"] == job);
        Ok(found.context("status does not show the job")?["unregistered"].clone())
    }
}

/// The condition that a job has ended with, and its message; `None` if it has not ended.
fn condition(job: &Value) -> Option<(String, String)> {
    let conditions = job["status"]["conditions"].as_array()?;
    let over = |one: &&Value| matches!(text(one, "/type"), "Complete" | "Failed") && one["status"] == "True";
    let one = conditions.iter().find(over)?;
    Some((text(one, "/type").to_owned(), text(one, "/message").to_owned()))
}
