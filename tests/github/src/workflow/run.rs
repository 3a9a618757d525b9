//! Runs the jobs of a workflow for an event.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::actions::Used;
use super::{Does, Job, Step, Workflow, evaluate, interpolate, is_true};
use crate::GitHub;
use crate::accounts::{OWNER, REPOSITORY};

/// The number of every run.
const RUN: u64 = 1;
/// Longer than any step takes.
const LIMIT: Duration = Duration::from_secs(600);

/// What `gh` does on a runner, for the commands that the workflow uses: `gh auth setup-git`, `gh workflow run`, and `gh pr list --jq`, whose list is
/// in the file `$PULLS`.
const GH: &str = r#"#!/bin/sh
case "$1 $2" in
"auth setup-git")
  [ -n "$GH_TOKEN" ] || exit 4
  git config --file "$HOME/.gitconfig" "credential.$GITHUB_SERVER_URL.helper" '!f() { echo username=x-access-token; echo "password=$GH_TOKEN"; }; f' ;;
"workflow run")
  shift 2
  [ -n "$GH_TOKEN" ] && printf '%s\n' "$*" >> "$DISPATCHED" ;;
"pr list")
  [ -n "$GH_TOKEN" ] || exit 4
  while [ "$1" != --jq ]; do shift; done
  jq --raw-output "$2" "$PULLS" ;;
*)
  exit 1 ;;
esac
"#;

/// A runner for one workflow and one event.
#[derive(Debug)]
pub struct Runner<'a> {
    /// Where it runs.
    pub github: &'a GitHub,
    /// `workflow_run` and the like.
    pub event_name: &'a str,
    /// The event, as GitHub sends it.
    pub event: Value,
    /// The commit of the default branch that the workflow is from.
    pub commit: String,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Said {
    /// The jobs that ran, with whether they succeeded.
    pub jobs: BTreeMap<String, bool>,
    /// What each step printed, with its name.
    pub steps: Vec<(String, String)>,
    /// The workflows that were started by `gh workflow run`, with its arguments.
    pub dispatched: Vec<String>,
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

/// The folders of a job.
#[derive(Debug)]
pub(super) struct Folders {
    pub(super) home: PathBuf,
    pub(super) workspace: PathBuf,
    temporary: PathBuf,
    commands: PathBuf,
}

impl Runner<'_> {
    /// Runs the workflow's jobs whose conditions hold, in the order that `needs` asks for.
    ///
    /// # Errors
    /// When the workflow has something that is not known here. A step that fails ends its job, and no more.
    pub async fn run(&self, workflow: &Workflow) -> Result<Said> {
        let mut said =
            Said { jobs: BTreeMap::new(), steps: Vec::new(), dispatched: Vec::new(), artifacts: tempfile::tempdir()? };
        for job in &workflow.jobs {
            let ready = job.needs.iter().all(|needed| said.jobs.get(needed) == Some(&true));
            ensure!(
                job.needs.iter().all(|needed| workflow.jobs.iter().any(|job| &job.id == needed)),
                "{:?}",
                job.needs
            );
            let token = self.token(job).await?;
            let contexts = self.contexts(&token, Path::new(""));
            let condition = job.condition.as_deref().map(|condition| evaluate(condition, &contexts)).transpose()?;
            if ready && condition.is_none_or(|value| is_true(&value)) {
                let succeeded = self.job(job, &token, &mut said).await.with_context(|| format!("job {}", job.id))?;
                said.jobs.insert(job.id.clone(), succeeded);
            }
        }
        Ok(said)
    }

    async fn token(&self, job: &Job) -> Result<String> {
        let permissions = job.permissions.iter();
        let permissions = permissions.map(|(name, level)| (name.replace('-', "_"), level.clone())).collect();
        self.github.job_token(&permissions).await
    }

    async fn job(&self, job: &Job, token: &str, said: &mut Said) -> Result<bool> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let folders = Folders {
            home: at("home"),
            workspace: at("workspace"),
            temporary: at("temporary"),
            commands: at("commands"),
        };
        for folder in [&folders.home, &folders.workspace, &folders.temporary, &folders.commands, &at("bin")] {
            std::fs::create_dir(folder)?;
        }
        std::fs::write(at("bin/gh"), GH)?;
        std::fs::set_permissions(at("bin/gh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        std::fs::write(at("event.json"), self.event.to_string())?;
        std::fs::write(at("pulls.json"), self.listed().await?.to_string())?;
        let mut contexts = self.contexts(token, &folders.temporary);
        for step in &job.steps {
            let name = format!("{} / {}", job.id, step.name);
            let condition = step.condition.as_deref().map(|condition| evaluate(condition, &contexts)).transpose()?;
            if !condition.is_none_or(|value| is_true(&value)) {
                continue;
            }
            let outputs = match &step.does {
                Does::Use { action, with } => {
                    let inputs = values(with, &contexts)?;
                    let repository = format!("{}/{REPOSITORY}", self.github.server);
                    let used = Used {
                        folders: &folders,
                        artifacts: said.artifacts.path(),
                        repository: &repository,
                        commit: &self.commit,
                        with: &inputs,
                    };
                    used.run(action).await.with_context(|| name.clone())?
                }
                Does::Run(script) => {
                    let (succeeded, text) = self.step(step, script, &folders, folder.path(), &contexts).await?;
                    said.steps.push((name, text));
                    if !succeeded {
                        return Ok(false);
                    }
                    outputs(&folders.commands.join("output"))?
                }
            };
            if let Some(id) = &step.id {
                contexts["steps"][id] = json!({ "outputs": outputs });
            }
        }
        let dispatched = std::fs::read_to_string(at("dispatched")).unwrap_or_default();
        said.dispatched.extend(dispatched.lines().map(str::to_owned));
        Ok(true)
    }

    /// The open pull requests into main, as `gh pr list --json` shows them.
    async fn listed(&self) -> Result<Value> {
        let pulls = self.github.get("/pulls?state=open&base=main&per_page=100").await?;
        let bare = self.github.bare(REPOSITORY);
        let mut listed = Vec::new();
        for pull in pulls.as_array().into_iter().flatten() {
            let head = pull["head"]["sha"].as_str().context("a pull request has a head")?;
            // one without a common history has all of its files
            let changed = match bare.git(&["diff", "--name-only", "-z", &format!("{}...{head}", self.commit)]).await {
                Ok(changed) => changed,
                Err(_) => bare.git(&["ls-tree", "-r", "--name-only", "-z", head]).await?,
            };
            let files: Vec<&str> = changed.split('\0').filter(|path| !path.is_empty()).collect();
            listed.push(json!({
                "changedFiles": files.len(),
                "files": files.iter().take(100).map(|path| json!({ "path": path })).collect::<Vec<_>>(),
                "headRefName": pull["head"]["ref"], "headRefOid": head,
                "headRepositoryOwner": { "login": pull["head"]["user"]["login"] },
            }));
        }
        Ok(listed.into())
    }

    /// Runs a script as `shell: bash` says; whether it succeeded, and what it printed and wrote for people.
    async fn step(
        &self,
        step: &Step,
        script: &str,
        folders: &Folders,
        folder: &Path,
        contexts: &Value,
    ) -> Result<(bool, String)> {
        let file = folder.join("step.sh");
        std::fs::write(&file, interpolate(script, contexts)?)?;
        for command in ["output", "env", "path", "summary"] {
            std::fs::write(folders.commands.join(command), "")?;
        }
        let log = folder.join("log");
        let output = std::fs::File::create(&log)?;
        let path = std::env::var("PATH").unwrap_or_default();
        let own =
            [folders.home.join(".cargo/bin"), folder.join("bin")].map(|path| path.display().to_string()).join(":");
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&file)
            .env_clear()
            .envs(self.standard(folders, folder))
            .env("PATH", format!("{own}:{path}"))
            .env("DISPATCHED", folder.join("dispatched"))
            .env("PULLS", folder.join("pulls.json"))
            .envs(values(&step.env, contexts)?)
            .current_dir(&folders.workspace)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let status = timeout(LIMIT, command.status()).await.context("a step does not end")??;
        let mut text = String::from_utf8_lossy(&std::fs::read(&log)?).into_owned();
        for command in ["output", "env", "path", "summary"] {
            text += &String::from_utf8_lossy(&std::fs::read(folders.commands.join(command))?);
        }
        Ok((status.success(), text))
    }

    /// The variables that every step has. No secret is among them.
    fn standard(&self, folders: &Folders, folder: &Path) -> Vec<(&'static str, String)> {
        let shown = |path: &Path| path.display().to_string();
        vec![
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_SERVER_URL", self.github.server.clone()),
            ("GITHUB_API_URL", self.github.api.clone()),
            ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ("GITHUB_REPOSITORY_OWNER", OWNER.to_owned()),
            ("GITHUB_EVENT_NAME", self.event_name.to_owned()),
            ("GITHUB_EVENT_PATH", shown(&folder.join("event.json"))),
            ("GITHUB_REF", "refs/heads/main".to_owned()),
            ("GITHUB_SHA", self.commit.clone()),
            ("GITHUB_ACTOR", self.event["sender"]["login"].as_str().unwrap_or_default().to_owned()),
            ("GITHUB_WORKSPACE", shown(&folders.workspace)),
            ("GITHUB_OUTPUT", shown(&folders.commands.join("output"))),
            ("GITHUB_ENV", shown(&folders.commands.join("env"))),
            ("GITHUB_PATH", shown(&folders.commands.join("path"))),
            ("GITHUB_STEP_SUMMARY", shown(&folders.commands.join("summary"))),
            ("RUNNER_TEMP", shown(&folders.temporary)),
            ("RUNNER_OS", "Linux".to_owned()),
            ("RUNNER_ARCH", "X64".to_owned()),
            ("HOME", shown(&folders.home)),
            ("LANG", "C.UTF-8".to_owned()),
        ]
    }

    fn contexts(&self, token: &str, temporary: &Path) -> Value {
        json!({
            "github": {
                "event": self.event, "event_name": self.event_name, "repository": REPOSITORY, "repository_owner": OWNER,
                "ref": "refs/heads/main", "sha": self.commit, "token": token,
                "server_url": self.github.server, "run_id": RUN,
            },
            "inputs": self.event["inputs"],
            "runner": { "os": "Linux", "arch": "X64", "temp": temporary },
            "secrets": { "GITHUB_TOKEN": token },
            "steps": Map::new(), "vars": Map::new(), "env": Map::new(),
        })
    }
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
