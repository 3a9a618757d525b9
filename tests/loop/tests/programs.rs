//! The example programs in the loop on this machine, from the experiment to a served answer. Their packages are downloaded once.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use slipway_forge::BareForge;
use slipway_loop::answer::best;
use slipway_loop::process::Process;
use slipway_loop::programs::fresh_clone;
use slipway_loop::squares::{self, replaced};
use slipway_loop::{command, wine};
use tempfile::TempDir;

/// Longer than a job takes whose packages have to be downloaded first.
const JOB: Duration = Duration::from_secs(900);
/// Longer than the server takes to follow a merge.
const SERVED: Duration = Duration::from_secs(30);

/// A project with a loop that runs, and pull requests that are merged.
struct Project {
    clone: PathBuf,
    state: Value,
    _loop: Process,
    _folder: TempDir,
}

impl Project {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let clone = folder.path().join("slipway");
        fresh_clone(&clone)?;
        let (running, state) = command::up(&clone, &folder.path().join("up.log")).await?;
        Ok(Self { clone, state, _loop: running, _folder: folder })
    }

    async fn slipway(&self, arguments: &[&str]) -> Result<Value> {
        command::json(&self.clone, arguments).await
    }

    /// Merges the pull request that a command has opened.
    fn merge(&self, opened: &Value) -> Result<()> {
        let number = opened["pullRequest"]["number"].as_u64().context("no pull request was opened")?;
        let forge = self.state["forge"].as_str().context("the loop has a forge")?;
        BareForge::open(Path::new(forge))?.merge(number)?;
        Ok(())
    }

    /// Writes an experiment, proposes and merges it, and returns the name of its only job.
    async fn start(&self, name: &str, text: &str) -> Result<String> {
        let file = format!("experiments/{name}.yaml");
        std::fs::write(self.clone.join(&file), text)?;
        let proposed = self.slipway(&["propose", &file]).await?;
        self.merge(&proposed)?;
        let starts = &proposed["plan"]["changes"][0]["starts"];
        ensure!(starts.as_array().is_some_and(|starts| starts.len() == 1), "one job starts: {proposed}");
        Ok(starts[0]["name"].as_str().context("a job has a name")?.to_owned())
    }

    /// The example as its author wrote it.
    fn example(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.clone.join("examples").join(name).join("experiment.yaml"))?)
    }

    async fn job(&self, name: &str) -> Result<Value> {
        let status = self.slipway(&["status"]).await?;
        let jobs = status["jobs"].as_array().into_iter().flatten();
        Ok(jobs.into_iter().find(|job| job["name"] == name).cloned().unwrap_or_default())
    }

    /// Waits for a job's end, and returns its status.
    async fn finished(&self, name: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            let job = self.job(name).await?;
            if job["phase"] == "Complete" || job["phase"] == "Failed" {
                return Ok(job);
            }
            ensure!(begun.elapsed() < JOB, "{name} has not finished: {job}\n{}", self.log(name));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn completes(&self, name: &str) -> Result<()> {
        let job = self.finished(name).await?;
        ensure!(job["phase"] == "Complete" && job["unregistered"].is_null(), "{job}\n{}", self.log(name));
        Ok(())
    }

    fn log(&self, job: &str) -> String {
        let path = self.clone.join(".slipway/jobs").join(job).join("worker-0.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Promotes the only version of a model, and asks it; the first answer after it is in service.
    async fn promoted_answer(&self, model: &str, request: &Value) -> Result<Value> {
        self.merge(&self.slipway(&["promote", model]).await?)?;
        let server = self.state["server"].as_str().context("the loop has a server")?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let begun = Instant::now();
        loop {
            let url = format!("{server}/v2/models/{model}/infer");
            let answer = client.post(url).json(request).send().await?;
            if answer.status().is_success() {
                return Ok(answer.json().await?);
            }
            let text = answer.text().await?;
            ensure!(begun.elapsed() < SERVED, "{model} is not served: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn the_examples_train_on_two_workers_and_what_they_register_answers() -> Result<()> {
    let project = Project::new().await?;
    a_table_is_served(&project).await?;
    squares::declare(&project.clone)?;
    project.slipway(&["dataset", "add", squares::DECLARATION]).await?;
    images_are_served(&project).await?;
    a_gate_refuses(&project).await?;
    a_worker_that_is_killed_in_each_attempt_ends_the_job(&project).await?;
    scikit_learn_is_registered_and_not_served(&project).await
}

async fn a_table_is_served(project: &Project) -> Result<()> {
    project.slipway(&["dataset", "add", "datasets/wine.yaml"]).await?;
    let job = project.start("wine", &project.example("wine")?).await?;
    project.completes(&job).await?;
    let answer = project.promoted_answer("wine", &wine::request()).await?;
    ensure!(best(&answer) == Some(0), "{answer}");
    Ok(())
}

async fn images_are_served(project: &Project) -> Result<()> {
    let job = project.start("squares", &squares::torch_cnn(&project.clone, "squares")?).await?;
    project.completes(&job).await?;
    for label in [3, 8] {
        let request = squares::request(label);
        let answer = if label == 3 {
            project.promoted_answer("fashion", &request).await?
        } else {
            let server = project.state["server"].as_str().context("the loop has a server")?;
            let client = reqwest::Client::builder().no_proxy().build()?;
            client.post(format!("{server}/v2/models/fashion/infer")).json(&request).send().await?.json().await?
        };
        ensure!(best(&answer) == Some(label as usize), "{label}: {answer}");
    }
    Ok(())
}

async fn a_gate_refuses(project: &Project) -> Result<()> {
    let text = replaced(&squares::torch_cnn(&project.clone, "strict")?, ">= 0.85", "> 1")?;
    let job = project.start("strict", &text).await?;
    let job = project.finished(&job).await?;
    let why = job["unregistered"].to_string();
    ensure!(job["phase"] == "Complete" && why.contains("accuracy") && why.contains("> 1"), "{job}");
    Ok(())
}

async fn a_worker_that_is_killed_in_each_attempt_ends_the_job(project: &Project) -> Result<()> {
    let text = replaced(&squares::torch_cnn(&project.clone, "killed")?, "epochs: 3", "epochs: 1000")?;
    let job = project.start("killed", &text).await?;
    let mut killed: Vec<Pid> = Vec::new();
    let begun = Instant::now();
    // the first attempt, and three restarts
    while killed.len() < 4 {
        ensure!(begun.elapsed() < JOB, "{job} does not start again after {killed:?}: {}", project.log(&job));
        match program_of_rank(&job, 1) {
            Ok(program) if !killed.contains(&program) && project.log(&job).contains("epoch 1 ") => {
                kill_process(program, Signal::KILL)?;
                killed.push(program);
            }
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    let status = project.finished(&job).await?;
    let why = status["message"].to_string();
    ensure!(status["phase"] == "Failed" && why.contains("worker 1"), "{status}");
    let versions = project.slipway(&["status"]).await?["versions"].to_string();
    ensure!(!versions.contains(&job), "{versions}");
    Ok(())
}

/// The Python that runs a job's program with this rank.
fn program_of_rank(job: &str, rank: u32) -> Result<Pid> {
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let has = |content: &[u8], text: &str| content.split(|byte| *byte == 0).any(|part| part == text.as_bytes());
        let environment = read("environ");
        let folder = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if has(&read("cmdline"), "train.py")
            && has(&environment, &format!("RANK={rank}"))
            && folder.to_string_lossy().contains(&format!("jobs/{job}/"))
        {
            return Pid::from_raw(id).context("a process has a number");
        }
    }
    anyhow::bail!("{job} has no program with rank {rank}")
}

async fn scikit_learn_is_registered_and_not_served(project: &Project) -> Result<()> {
    let job = project.start("sklearn-wine", &project.example("sklearn-wine")?).await?;
    project.completes(&job).await?;
    let refused = command::run(&project.clone, &["promote", "wine-sklearn", "--version", "1"]).await?;
    let said = String::from_utf8_lossy(&refused.stdout);
    ensure!(refused.status.code() == Some(3) && said.contains("sklearn"), "{:?}: {said}", refused.status);
    Ok(())
}
