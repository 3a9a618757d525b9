//! Runs the jobs of a workflow for an event.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::actions::Used;
use super::expression::asks_for_status;
use super::folders::{COMMANDS, Folders};
use super::{Does, Job, Step, Workflow, evaluate, interpolate, is_true};
use crate::GitHub;
use crate::accounts::{OWNER, REPOSITORY};

/// The number of every run.
const RUN: u64 = 1;
/// The right to say which workflow runs.
const IDENTITY: &str = "id-token";
/// Longer than any step takes.
const LIMIT: Duration = Duration::from_secs(600);

/// A runner for one workflow and one event.
#[derive(Debug)]
pub struct Runner<'a> {
    /// Where it runs.
    pub github: &'a GitHub,
    /// `workflow_run` and the like.
    pub event_name: &'a str,
    /// The event, as GitHub sends it.
    pub event: Value,
    /// What it is about: `refs/heads/main`, `refs/pull/7/merge`, `refs/tags/v1`.
    pub reference: &'a str,
    /// The commit of that, as it was then.
    pub commit: String,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Said {
    /// The jobs that ran, with whether they succeeded.
    pub jobs: BTreeMap<String, bool>,
    /// What each step printed, with its name.
    pub steps: Vec<(String, String)>,
    /// What the API was asked while each step ran, with its name: method and path.
    pub asked: Vec<(String, Vec<String>)>,
    /// The workflows that were started by `gh workflow run`, with its arguments.
    pub dispatched: Vec<String>,
    /// What the steps wrote to `$GITHUB_STEP_SUMMARY` and its like, by the end of the variable's name: `output`, `env`, `path`, `summary`.
    pub commands: BTreeMap<&'static str, String>,
    /// The artifacts, one folder each.
    pub artifacts: TempDir,
}

impl Said {
    /// Everything that was printed.
    #[must_use]
    pub fn text(&self) -> String {
        self.steps.iter().map(|(name, text)| format!("== {name}\n{text}\n")).collect()
    }
}

impl Runner<'_> {
    /// Runs the workflow's jobs whose conditions hold, in the order that `needs` asks for.
    ///
    /// # Errors
    /// When the workflow has something that is not known here. After a step that fails, its job runs only the steps that ask for that.
    pub async fn run(&self, workflow: &Workflow) -> Result<Said> {
        self.run_after(workflow, tempfile::tempdir()?).await
    }

    /// The same after jobs that are not among the workflow's: their artifacts are here, a folder each.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_after(&self, workflow: &Workflow, artifacts: TempDir) -> Result<Said> {
        ensure!(workflow.on.get(self.event_name).is_some(), "{} does not start this workflow", self.event_name);
        let (jobs, commands) = (BTreeMap::new(), BTreeMap::new());
        let mut said = Said { jobs, steps: Vec::new(), asked: Vec::new(), dispatched: Vec::new(), commands, artifacts };
        for job in &workflow.jobs {
            let ready = job.needs.iter().all(|needed| said.jobs.get(needed) == Some(&true));
            ensure!(
                job.needs.iter().all(|needed| workflow.jobs.iter().any(|job| &job.id == needed)),
                "{:?}",
                job.needs
            );
            let token = self.token(job).await?;
            let mut contexts = self.contexts(&token).await;
            let condition = job.condition.as_deref().map(|condition| evaluate(condition, &contexts)).transpose()?;
            if ready && condition.is_none_or(|value| is_true(&value)) {
                let mut succeeded = true;
                for row in &job.matrix {
                    contexts["matrix"] = row.clone();
                    let ended = self.job(&workflow.name, job, contexts.clone(), &mut said).await;
                    succeeded &= ended.with_context(|| format!("job {}", job.id))?;
                }
                said.jobs.insert(job.id.clone(), succeeded);
            }
        }
        Ok(said)
    }

    /// The token of a job, for what GitHub's API knows; who it is, a job asks elsewhere.
    async fn token(&self, job: &Job) -> Result<String> {
        let permissions = job.permissions.iter().filter(|(name, _)| *name != IDENTITY);
        let permissions = permissions.map(|(name, level)| (name.replace('-', "_"), level.clone())).collect();
        self.github.job_token(&permissions).await
    }

    async fn job(&self, workflow: &str, job: &Job, mut contexts: Value, said: &mut Said) -> Result<bool> {
        let folders = Folders::new(&self.event)?;
        let (os, arch) = machine(&interpolate(&job.runs_on, &contexts)?)?;
        contexts["runner"] = json!({ "os": os, "arch": arch, "temp": folders.temporary });
        let mut standard = self.standard(&folders);
        standard.extend([("RUNNER_OS", os.to_owned()), ("RUNNER_ARCH", arch.to_owned())]);
        if job.permissions.get(IDENTITY).is_some_and(|level| level == "write") {
            standard.extend(self.github.sigstore().await?.begin(&self.claims(workflow)).await?);
        }
        let mut succeeded = true;
        for step in &job.steps {
            let name = format!("{} / {}", job.id, step.name);
            contexts["job"] = json!({ "status": if succeeded { "success" } else { "failure" } });
            let condition = step.condition.as_deref();
            if !succeeded && !condition.is_some_and(asks_for_status) {
                continue;
            }
            let holds = condition.map(|condition| evaluate(condition, &contexts)).transpose()?;
            if !holds.is_none_or(|value| is_true(&value)) {
                continue;
            }
            let outputs = match &step.does {
                Does::Use { action, with } => {
                    let inputs = values(with, &contexts)?;
                    let used = Used {
                        folders: &folders,
                        artifacts: said.artifacts.path(),
                        github: self.github,
                        reference: self.reference,
                        commit: &self.commit,
                        with: &inputs,
                    };
                    used.run(action).await.with_context(|| name.clone())?
                }
                Does::Run(script) => {
                    self.github.asked().await;
                    let (good, text) = self.step(step, script, &folders, &standard, &contexts).await?;
                    said.asked.push((name.clone(), self.github.asked().await));
                    said.steps.push((name, text));
                    for command in COMMANDS {
                        let written = std::fs::read(folders.commands.join(command))?;
                        said.commands.entry(command).or_default().push_str(&String::from_utf8_lossy(&written));
                    }
                    succeeded &= good;
                    if good { outputs(&folders.commands.join("output"))? } else { BTreeMap::new() }
                }
            };
            if let Some(id) = &step.id {
                contexts["steps"][id] = json!({ "outputs": outputs });
            }
        }
        let dispatched = std::fs::read_to_string(folders.dispatched()).unwrap_or_default();
        said.dispatched.extend(dispatched.lines().map(str::to_owned));
        Ok(succeeded)
    }

    /// Runs a script as `shell: bash` says; whether it succeeded, and what it printed and wrote for people.
    async fn step(
        &self,
        step: &Step,
        script: &str,
        folders: &Folders,
        standard: &[(&'static str, String)],
        contexts: &Value,
    ) -> Result<(bool, String)> {
        let file = folders.file("step.sh");
        std::fs::write(&file, interpolate(script, contexts)?)?;
        for command in COMMANDS {
            std::fs::write(folders.commands.join(command), "")?;
        }
        let log = folders.file("log");
        let output = std::fs::File::create(&log)?;
        let path = std::env::var("PATH").unwrap_or_default();
        let own =
            [&folders.home.join(".cargo/bin"), &folders.programs].map(|path| path.display().to_string()).join(":");
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&file)
            .env_clear()
            .envs(standard.iter().map(|(name, value)| (*name, value)))
            .env("PATH", format!("{own}:{path}"))
            .env("DISPATCHED", folders.dispatched())
            .envs(values(&step.env, contexts)?)
            .current_dir(&folders.workspace)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let status = timeout(LIMIT, command.status()).await.context("a step does not end")??;
        let mut text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        for command in COMMANDS {
            text += &String::from_utf8_lossy(&std::fs::read(folders.commands.join(command))?);
        }
        Ok((status.success(), text))
    }

    /// The variables that every step has, whatever it runs on. No secret is among them.
    fn standard(&self, folders: &Folders) -> Vec<(&'static str, String)> {
        let shown = |path: &Path| path.display().to_string();
        let (kind, name) = self.named();
        vec![
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_SERVER_URL", self.github.server.clone()),
            ("GITHUB_API_URL", self.github.api.clone()),
            ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ("GITHUB_REPOSITORY_OWNER", OWNER.to_owned()),
            ("GITHUB_EVENT_NAME", self.event_name.to_owned()),
            ("GITHUB_EVENT_PATH", shown(&folders.event())),
            ("GITHUB_REF", self.reference.to_owned()),
            ("GITHUB_REF_NAME", name.to_owned()),
            ("GITHUB_REF_TYPE", kind.to_owned()),
            ("GITHUB_SHA", self.commit.clone()),
            ("GITHUB_ACTOR", self.event["sender"]["login"].as_str().unwrap_or_default().to_owned()),
            ("GITHUB_WORKSPACE", shown(&folders.workspace)),
            ("GITHUB_OUTPUT", shown(&folders.commands.join("output"))),
            ("GITHUB_ENV", shown(&folders.commands.join("env"))),
            ("GITHUB_PATH", shown(&folders.commands.join("path"))),
            ("GITHUB_STEP_SUMMARY", shown(&folders.commands.join("summary"))),
            ("RUNNER_TEMP", shown(&folders.temporary)),
            ("RUNNER_TOOL_CACHE", shown(&folders.tool_cache)),
            ("HOME", shown(&folders.home)),
            ("LANG", "C.UTF-8".to_owned()),
        ]
    }

    /// What the reference is, `branch` or `tag`, and its short name. For GitHub, the merge of a pull request is a branch.
    fn named(&self) -> (&'static str, &str) {
        match self.reference.strip_prefix("refs/tags/") {
            Some(tag) => ("tag", tag),
            None => {
                let short = ["refs/heads/", "refs/pull/"].iter().find_map(|begin| self.reference.strip_prefix(begin));
                ("branch", short.unwrap_or(self.reference))
            }
        }
    }

    /// What GitHub says of a job in its identity.
    /// <https://docs.github.com/en/actions/reference/security/oidc#standard-claims>
    fn claims(&self, workflow: &str) -> Value {
        let file = format!("{REPOSITORY}/.github/workflows/{workflow}.yml@{}", self.reference);
        json!({
            "sub": format!("repo:{REPOSITORY}:ref:{}", self.reference), "repository": REPOSITORY,
            "repository_owner": OWNER, "event_name": self.event_name, "ref": self.reference, "sha": self.commit,
            "workflow": workflow, "workflow_ref": file, "workflow_sha": self.commit, "job_workflow_ref": file,
            "job_workflow_sha": self.commit, "run_id": RUN.to_string(), "run_attempt": "1",
            "runner_environment": "github-hosted",
        })
    }

    /// What expressions may name, but for what a job runs on and the row of its matrix.
    async fn contexts(&self, token: &str) -> Value {
        let (kind, name) = self.named();
        json!({
            "github": {
                "event": self.event, "event_name": self.event_name, "repository": REPOSITORY, "repository_owner": OWNER,
                "ref": self.reference, "ref_name": name, "ref_type": kind, "sha": self.commit, "token": token,
                "server_url": self.github.server, "run_id": RUN,
            },
            "inputs": self.event["inputs"],
            "secrets": { "GITHUB_TOKEN": token },
            "steps": Map::new(), "vars": self.github.variables().await, "env": Map::new(),
        })
    }
}

/// System and architecture of a runner by its label.
/// <https://docs.github.com/en/actions/reference/runners/github-hosted-runners>
fn machine(label: &str) -> Result<(&'static str, &'static str)> {
    Ok(match label {
        "ubuntu-24.04" => ("Linux", "X64"),
        "ubuntu-24.04-arm" => ("Linux", "ARM64"),
        "macos-15" => ("macOS", "ARM64"),
        other => bail!("the runner {other} is not known here"),
    })
}

fn values(texts: &BTreeMap<String, String>, contexts: &Value) -> Result<BTreeMap<String, String>> {
    texts.iter().map(|(name, text)| Ok((name.clone(), interpolate(text, contexts)?))).collect()
}

/// What a step wrote to `$GITHUB_OUTPUT`, one `name=value` a line.
fn outputs(file: &Path) -> Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(file)?;
    let pairs = text.lines().map(|line| line.split_once('=').with_context(|| format!("not an output: {line}")));
    pairs.map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned()))).collect()
}
