//! A workflow's own steps, run here in the order, with the conditions, in the environment and with the rights that its file says.
//!
//! What is run is the file. What GitHub's runners add is rebuilt: the standard variables, `$GITHUB_OUTPUT` and its like, the few actions that
//! the project uses ([`actions`]), `gh` (`gh.mjs`), and the identity of a job that may sign ([`Sigstore`](crate::sigstore::Sigstore)). Jobs
//! run one after another, all of them on this machine: a `container` is not started, and what differs between runners are the variables
//! that say what they are.

mod actions;
mod expression;
mod folders;
mod run;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

pub use expression::{evaluate, interpolate, is_true};
pub use run::{Runner, Said};

/// A workflow file.
#[derive(Clone, Debug)]
pub struct Workflow {
    /// What it is called, as its file is without `.yml`.
    pub name: String,
    /// Its jobs, in the file's order.
    pub jobs: Vec<Job>,
    /// What starts it, as in the file.
    pub on: Value,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its key in the file.
    pub id: String,
    /// The jobs that must succeed first.
    pub needs: Vec<String>,
    /// Its condition.
    pub condition: Option<String>,
    /// What it runs on, not yet evaluated, such as `ubuntu-24.04`.
    pub runs_on: String,
    /// The rows of its matrix, of which it runs for each; only null if it has none.
    pub matrix: Vec<Value>,
    /// What its token may do: `pull-requests` to `write`, and so on.
    pub permissions: BTreeMap<String, String>,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is called.
    pub name: String,
    /// Its key for other steps.
    pub id: Option<String>,
    /// Its condition.
    pub condition: Option<String>,
    /// Its variables, not yet evaluated.
    pub env: BTreeMap<String, String>,
    /// What it does.
    pub does: Does,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Does {
    /// Runs a script.
    Run(String),
    /// Uses an action, with its inputs.
    Use {
        /// Its name without the commit.
        action: String,
        /// Its inputs, not yet evaluated.
        with: BTreeMap<String, String>,
    },
}

impl Workflow {
    /// Reads a file.
    ///
    /// # Errors
    /// When it has something that would not be run here as on GitHub.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of(&std::fs::read_to_string(path).with_context(|| path.display().to_string())?)
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn of(text: &str) -> Result<Self> {
        Self::of_jobs(text, |_| true)
    }

    /// Reads one job of a file's text. The jobs that it needs have succeeded; who runs it provides what they would have left behind.
    ///
    /// # Errors
    /// As [`read`](Self::read), and when there is no such job.
    pub fn only(text: &str, job: &str) -> Result<Self> {
        let mut workflow = Self::of_jobs(text, |id| id == job)?;
        let [only] = workflow.jobs.as_mut_slice() else { bail!("there is no job {job}") };
        only.needs.clear();
        Ok(workflow)
    }

    fn of_jobs(source: &str, chosen: impl Fn(&str) -> bool) -> Result<Self> {
        let file: Value = serde_saphyr::from_str(source)?;
        known(&file, &["name", "on", "permissions", "concurrency", "defaults", "jobs"])?;
        ensure!(file["permissions"] == json!({}), "a token has rights that its job does not name");
        ensure!(file["defaults"] == json!({ "run": { "shell": "bash" } }), "a step's shell is not bash");
        let jobs = file["jobs"].as_object().context("a workflow has jobs")?.iter().filter(|(id, _)| chosen(id));
        let jobs = jobs.map(|(id, job)| Job::read(id, job)).collect::<Result<_>>()?;
        let name = text(&file["name"]).context("a workflow has a name")?;
        Ok(Self { name, jobs, on: file["on"].clone() })
    }
}

impl Job {
    fn read(id: &str, job: &Value) -> Result<Self> {
        let keys =
            ["name", "if", "needs", "strategy", "runs-on", "container", "timeout-minutes", "permissions", "steps"];
        known(job, &keys)?;
        known(&job["strategy"], &["fail-fast", "matrix"])?;
        known(&job["strategy"]["matrix"], &["include"])?;
        let matrix = job["strategy"]["matrix"]["include"].as_array();
        let needs = match &job["needs"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let steps = job["steps"].as_array().context("a job has steps")?;
        Ok(Self {
            id: id.to_owned(),
            needs,
            condition: text(&job["if"]),
            runs_on: text(&job["runs-on"]).context("a job runs on something")?,
            matrix: matrix.cloned().unwrap_or_else(|| vec![Value::Null]),
            permissions: texts(&job["permissions"]),
            steps: steps.iter().map(Step::read).collect::<Result<_>>()?,
        })
    }
}

impl Step {
    fn read(step: &Value) -> Result<Self> {
        known(step, &["name", "id", "if", "env", "run", "uses", "with"])?;
        let does = match (text(&step["run"]), text(&step["uses"])) {
            (Some(script), None) => Does::Run(script),
            (None, Some(uses)) => {
                let action = uses.split('@').next().unwrap_or_default().to_owned();
                Does::Use { action, with: texts(&step["with"]) }
            }
            _ => bail!("a step runs or uses something: {step}"),
        };
        let name = text(&step["name"]).context("a step has a name")?;
        Ok(Self { name, id: text(&step["id"]), condition: text(&step["if"]), env: texts(&step["env"]), does })
    }
}

/// Fails if an object has another key: it could change what a job does.
fn known(object: &Value, keys: &[&str]) -> Result<()> {
    match object.as_object().into_iter().flatten().find(|(key, _)| !keys.contains(&key.as_str())) {
        Some((key, _)) => bail!("`{key}` is not known here"),
        None => Ok(()),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn texts(object: &Value) -> BTreeMap<String, String> {
    object.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect()
}
