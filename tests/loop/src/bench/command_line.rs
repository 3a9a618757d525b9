//! Whole commands, including their start-up: on a clone of this repository, and on ones with many TrainJobs, rendered or in the history.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use slipway_experiment::{JobResult, JobState, Record, read_job};
use time::OffsetDateTime;

use super::measurement::{Goal, Measurements};
use crate::programs::{given, program};

/// Trials of the large experiment, as many as one may have.
pub const TRIALS: usize = 1000;
/// Experiments of the repository whose reports are measured.
const EXPERIMENTS: usize = 100;
/// Records of the repository whose history is measured.
const RECORDS: usize = 10_000;
/// The plan of a pull request, as the workflow makes it.
const REPORT: [&str; 6] = ["report", "--base", "base", "--head-commit", "HEAD", "--dry-run"];
/// The small experiment that each round proposes.
const SMALL: &str = "experiments/small.yaml";

/// The programs that are measured side by side: ours, and an earlier build if `SLIPWAY_BEFORE` names its folder.
fn programs() -> Result<Vec<(&'static str, PathBuf)>> {
    let mut all = vec![("", program("slipway")?)];
    if let Ok(before) = given("SLIPWAY_BEFORE") {
        all.push((" (before)", before.join("slipway")));
    }
    Ok(all)
}

/// A repository with many rendered TrainJobs on main, and the bare repository that it was cloned from.
#[derive(Debug)]
pub struct Large {
    repository: PathBuf,
    remote: PathBuf,
    trials: usize,
    /// Counts the proposals, so that each one differs from those before.
    proposals: usize,
}

impl Large {
    /// Creates both in `folder`, from a clone of this repository. The trials are a multiple of ten, and those of more than one experiment if
    /// they are more than one may have.
    pub fn new(clone: &Path, folder: &Path, trials: usize) -> Result<Self> {
        let name = format!("large-{trials}");
        let (repository, remote) = (folder.join(&name), folder.join(format!("{name}.git")));
        git(folder, &["clone", "--quiet", &clone.display().to_string(), &name])?;
        git(&repository, &["branch", "base"])?;
        let each = trials.min(TRIALS);
        let mut files = Vec::new();
        for number in 0..trials / each {
            let text = experiment_of(&format!("large-{number}"), 10, 7 + number, each / 10);
            files.push(format!("experiments/large-{number}.yaml"));
            std::fs::write(repository.join(&files[number]), text)?;
        }
        let arguments: Vec<&str> = std::iter::once("render").chain(files.iter().map(String::as_str)).collect();
        let rendered = slipway(&program("slipway")?, &repository, &arguments)?;
        ensure!(rendered.status.success(), "rendering: {}", String::from_utf8_lossy(&rendered.stderr));
        commit(&repository, "Many jobs")?;
        git(folder, &["clone", "--quiet", "--bare", &name, &format!("{name}.git")])?;
        Ok(Self { repository, remote, trials, proposals: 0 })
    }

    /// One round: `check`, `plan`, the report on a pull request that starts all jobs, and `propose`, which pushes to the bare repository.
    pub fn round(&mut self, figures: &mut Measurements) -> Result<()> {
        let remote = self.remote.display().to_string();
        let trials = self.trials;
        for (suffix, program) in programs()? {
            for (name, arguments, most) in [
                ("check", &["check"][..], Some(300.0)),
                ("plan", &["plan"], Some(100.0)),
                ("report", &REPORT, None),
                ("propose", &["propose", SMALL, "--remote", &remote], None),
            ] {
                if name == "propose" {
                    self.proposals += 1;
                    std::fs::write(self.repository.join(SMALL), experiment("small", self.proposals, 1))?;
                }
                let goal = most.filter(|_| trials == TRIALS).map(Goal::AtMost);
                let title = format!("slipway {name}, {trials} jobs{suffix}");
                measure_for(&title, goal, (&program, &self.repository), arguments, figures)?;
            }
            std::fs::remove_file(self.repository.join(SMALL))?;
        }
        Ok(())
    }
}

/// A repository with a hundred experiments of ten jobs each, all rendered, and a branch that changes one of them.
#[derive(Debug)]
pub struct Hundred {
    repository: PathBuf,
    /// What kustomize has built, apart from this machine's own cache: every round finds the same there.
    cache: PathBuf,
    /// Counts the changes, so that each one differs from those before.
    changes: usize,
}

impl Hundred {
    /// Creates it in `folder`, from a clone of this repository.
    pub fn new(clone: &Path, folder: &Path) -> Result<Self> {
        let repository = folder.join("hundred");
        git(folder, &["clone", "--quiet", &clone.display().to_string(), "hundred"])?;
        let there = std::fs::read_dir(repository.join("experiments"))?.count() - 1;
        for number in there..EXPERIMENTS {
            let name = format!("many-{number:03}");
            std::fs::write(repository.join(format!("experiments/{name}.yaml")), experiment_of(&name, 10, number, 1))?;
        }
        let rendered = slipway(&program("slipway")?, &repository, &["render"])?;
        ensure!(rendered.status.success(), "rendering: {}", String::from_utf8_lossy(&rendered.stderr));
        commit(&repository, "A hundred experiments")?;
        git(&repository, &["branch", "--force", "base"])?;
        let cache = folder.join("hundred-cache");
        let first = with_cache(&program("slipway")?, &repository, &REPORT, &cache)?.output()?;
        ensure!(first.status.success(), "reporting: {}", String::from_utf8_lossy(&first.stderr));
        ensure!(cache.join("slipway/builds").is_dir(), "kustomize has built nothing");
        Ok(Self { repository, cache, changes: 0 })
    }

    /// One round: the plan of a pull request that changes one experiment. What did not change was built for an earlier report, as in a cache of
    /// main; then the same with nothing built before, as without that cache.
    pub fn round(&mut self, figures: &mut Measurements) -> Result<()> {
        for (suffix, program) in programs()? {
            self.changes += 1;
            let name = format!("many-{:03}", EXPERIMENTS - 1);
            git(&self.repository, &["checkout", "--quiet", "--detach", "base"])?;
            let text = experiment_of(&name, 10, 1000 + self.changes, 1);
            std::fs::write(self.repository.join(format!("experiments/{name}.yaml")), text)?;
            slipway(&program, &self.repository, &["render"])?;
            commit(&self.repository, "Another seed")?;
            let title = format!("slipway report, {EXPERIMENTS} experiments{suffix}");
            let warm = with_cache(&program, &self.repository, &REPORT, &self.cache)?;
            measure_command(&title, Some(Goal::AtMost(1000.0)), warm, figures)?;
            let empty = tempfile::tempdir()?;
            let title = format!("slipway report, {EXPERIMENTS} experiments, nothing built before{suffix}");
            let cold = with_cache(&program, &self.repository, &REPORT, empty.path())?;
            measure_command(&title, None, cold, figures)?;
        }
        Ok(())
    }
}

/// A repository with ten thousand TrainJobs in its history.
#[derive(Debug)]
pub struct History {
    repository: PathBuf,
}

impl History {
    /// Creates it in `folder`, from a clone of this repository.
    pub fn new(clone: &Path, folder: &Path) -> Result<Self> {
        let repository = folder.join("history");
        git(folder, &["clone", "--quiet", &clone.display().to_string(), "history"])?;
        std::fs::write(repository.join(SMALL), experiment("small", 7, 1))?;
        let rendered = slipway(&program("slipway")?, &repository, &["render", SMALL])?;
        ensure!(rendered.status.success(), "rendering: {}", String::from_utf8_lossy(&rendered.stderr));
        let [jobs, records] = ["training-jobs", "history"].map(|name| repository.join("overlays/local").join(name));
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&jobs)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("small-")));
        std::fs::create_dir_all(&records)?;
        for number in 0..RECORDS {
            let file = &files[number % files.len()];
            let before = file.file_stem().context("a name")?.to_string_lossy();
            let name = format!("small-{number:08x}");
            let text = std::fs::read_to_string(file)?.replace(&*before, &name);
            let job = read_job(&name, &text).map_err(|finding| anyhow!("{finding}"))?;
            let record = Record::new(&job, result(number)).to_bytes(text.as_bytes());
            std::fs::write(records.join(format!("{name}.yaml")), record)?;
        }
        for file in files {
            std::fs::remove_file(file)?;
        }
        commit(&repository, "Ten thousand jobs have ended")?;
        Ok(Self { repository })
    }

    /// One round: the newest of them, and sums over all. An earlier build may not know the command.
    pub fn round(&self, figures: &mut Measurements) -> Result<()> {
        for (suffix, program) in programs()? {
            if slipway(&program, &self.repository, &["history", "--help"])?.status.success() {
                let title = format!("slipway history, {RECORDS} records{suffix}");
                measure(&title, &program, &self.repository, &["history"], figures)?;
            }
        }
        Ok(())
    }
}

/// What came of a job.
fn result(number: usize) -> JobResult {
    let ended = OffsetDateTime::UNIX_EPOCH + time::Duration::minutes(30_000_000 + number as i64);
    let metrics = [("accuracy", 0.97), ("loss", 0.1), ("test_accuracy", 0.96), ("images_per_second", 9000.0)];
    JobResult {
        started: Some(ended - time::Duration::minutes(5)),
        metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
        run: Some(format!("{number:032x}")),
        model: Some("mnist".to_owned()),
        version: Some(number as u64 + 1),
        digest: Some(format!("sha256:{number:064x}")),
        ..JobResult::new(JobState::Finished, ended)
    }
}

fn commit(repository: &Path, message: &str) -> Result<()> {
    git(repository, &["add", "--all"])?;
    let who = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"];
    git(repository, &[&who[..], &["commit", "--quiet", "--message", message]].concat())
}

/// One round: `check`, `render` and `plan` on a clone of this repository, and the start of the program alone.
pub fn round(clone: &Path, figures: &mut Measurements) -> Result<()> {
    for (suffix, program) in programs()? {
        for arguments in [&["--version"][..], &["check"], &["render"], &["plan"]] {
            measure(&format!("slipway {}{suffix}", arguments.join(" ")), &program, clone, arguments, figures)?;
        }
    }
    Ok(())
}

fn measure(name: &str, program: &Path, folder: &Path, arguments: &[&str], figures: &mut Measurements) -> Result<()> {
    measure_for(name, None, (program, folder), arguments, figures)
}

/// Measures a program in a folder, which may have a goal.
fn measure_for(
    name: &str,
    goal: Option<Goal>,
    (program, folder): (&Path, &Path),
    arguments: &[&str],
    figures: &mut Measurements,
) -> Result<()> {
    measure_command(name, goal, command(program, folder, arguments), figures)
}

/// Measures a command, which may have a goal.
fn measure_command(name: &str, goal: Option<Goal>, mut command: Command, figures: &mut Measurements) -> Result<()> {
    let begun = Instant::now();
    let output = command.output()?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    figures.add_to(name, "ms", goal, milliseconds);
    Ok(())
}

fn slipway(program: &Path, folder: &Path, arguments: &[&str]) -> Result<std::process::Output> {
    Ok(command(program, folder, arguments).output()?)
}

fn command(program: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// A command with a cache of its own. Kustomize, which would be looked for there, is the one that the Makefile names.
fn with_cache(program: &Path, folder: &Path, arguments: &[&str], cache: &Path) -> Result<Command> {
    let mut command = command(program, folder, arguments);
    command.env("XDG_CACHE_HOME", cache).env("SLIPWAY_KUSTOMIZE", given("SLIPWAY_KUSTOMIZE")?);
    Ok(command)
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new("git").current_dir(folder).args(arguments).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// An experiment of twenty learning rates by `seeds` seeds.
fn experiment(name: &str, first_seed: usize, seeds: usize) -> String {
    experiment_of(name, 20, first_seed, seeds)
}

/// An experiment of so many learning rates by `seeds` seeds.
pub(super) fn experiment_of(name: &str, rates: u32, first_seed: usize, seeds: usize) -> String {
    let rates: Vec<String> = (1..=rates).map(|n| format!("{}", f64::from(n) / 10_000.0)).collect();
    let seeds: Vec<String> = (0..seeds).map(|n| (first_seed * 1000 + n).to_string()).collect();
    format!(
        "apiVersion: slipway.dev/v1alpha1\nkind: Experiment\nmetadata: {{name: {name}}}\nspec:\n  dataset: mnist-10k\n  \
         model: {{architecture: mlp}}\n  training: {{epochs: 1, batchSize: 64, optimizer: {{name: adam, learningRate: 0.001}}, seed: 7}}\n  \
         sweep:\n    training.optimizer.learningRate: [{}]\n    training.seed: [{}]\n  workers: {{count: 2, cpu: \"1\", memory: 512Mi}}\n  \
         budget: {{cpuHours: 10000, deadline: 30m}}\n",
        rates.join(", "),
        seeds.join(", ")
    )
}
