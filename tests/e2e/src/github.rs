//! GitHub over the repository that Argo CD follows, emulated by tests/github: people merge there, and the training manager and the dataset
//! monitor sign in as the same App, by HTTPS with a certificate of an authority that they have to be told of.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use slipway_forge::{Credentials, Forge, GitHub as Client, Opened, Publication};
use slipway_github_tests::GitHub as Emulated;
use slipway_github_tests::accounts::{ANN, MANAGER, NAME, OWNER, REPOSITORY};
use slipway_proposal::is_retraining_of;
use tokio::runtime::Runtime;

use crate::kubectl::text;
use crate::repository::run;
use crate::settings::WRITERS;
use crate::{Stack, until};

/// How long a start of the training manager, or of the dataset monitor, may take.
const START: Duration = Duration::from_secs(180);

/// A GitHub that runs as long as this value lives.
#[derive(Debug)]
pub struct GitHub {
    server: Emulated,
    runtime: Runtime,
}

/// An experiment whose pull request was merged on GitHub.
#[derive(Debug, Clone)]
pub struct Started {
    /// The number of the pull request.
    pub number: u64,
    /// Its TrainJobs.
    pub jobs: Vec<String>,
}

impl GitHub {
    fn start(folder: &Path, server: &str, socket: &Path) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let server = runtime.block_on(Emulated::over(folder, server, socket))?;
        Ok(Self { server, runtime })
    }

    /// The reports on a pull request, each comment's text. Whoever wrote them, there must not be a second one.
    ///
    /// # Errors
    /// If there is no such pull request.
    pub fn comments(&self, number: u64) -> Result<Vec<String>> {
        let all = self.get(&format!("/issues/{number}/comments"))?;
        let texts = all.as_array().into_iter().flatten().map(|one| text(one, "/body").to_owned());
        Ok(texts.filter(|text| text.starts_with("<!-- slipway:report ")).collect())
    }

    /// Writes a plan on a pull request, as the workflow `report` does.
    fn plan(&self, number: u64) -> Result<()> {
        let permissions = [("pull_requests".to_owned(), "write".to_owned())].into();
        self.runtime.block_on(async {
            let runner = Credentials::Runner(self.server.job_token(&permissions).await?.into());
            let forge = Forge::GitHub(Client::new(&self.server.api, OWNER, NAME, runner));
            let plan = async |opened: &Opened, _: Option<&str>| {
                let parts = vec!["the plan, before the merge".to_owned()];
                Ok::<_, slipway_forge::Error>(Publication { head: opened.head.clone(), parts, check: None })
            };
            forge.publish(number, plan).await?;
            Ok(())
        })
    }

    /// The pull requests that the training manager or the dataset monitor, which are the same App, has opened to put a model into service, whatever
    /// became of them.
    ///
    /// # Errors
    /// If GitHub refuses.
    pub fn promotions(&self, model: &str) -> Result<Vec<Value>> {
        let mut all = self.get("/pulls?state=all")?.as_array().cloned().unwrap_or_default();
        let title = format!("Serve {model} version ");
        all.retain(|one| is_of_manager(one) && text(one, "/title").starts_with(&title));
        Ok(all)
    }

    /// The pull requests by which the training manager moves jobs to the history, whatever became of them.
    ///
    /// # Errors
    /// If GitHub refuses.
    pub fn archives(&self) -> Result<Vec<Value>> {
        let mut all = self.get("/pulls?state=all")?.as_array().cloned().unwrap_or_default();
        all.retain(|one| is_of_manager(one) && text(one, "/head/ref").starts_with("slipway/history-"));
        Ok(all)
    }

    /// The retrain pull requests of a dataset, whatever became of them: the branch of each.
    ///
    /// # Errors
    /// If GitHub refuses.
    pub fn retrainings(&self, dataset: &str) -> Result<Vec<String>> {
        let all = self.get("/pulls?state=all")?;
        let branches = all.as_array().into_iter().flatten().map(|one| text(one, "/head/ref").to_owned());
        Ok(branches.filter(|branch| is_retraining_of(dataset, branch)).collect())
    }

    /// The number of the retrain pull request of a branch.
    ///
    /// # Errors
    /// If GitHub refuses, or there is none.
    pub fn retraining(&self, branch: &str) -> Result<u64> {
        let all = self.get("/pulls?state=all")?;
        let found = all.as_array().into_iter().flatten().find(|one| text(one, "/head/ref") == branch);
        found.and_then(|one| one["number"].as_u64()).with_context(|| format!("there is no pull request of {branch}"))
    }

    /// What was asked of the API since the last time: method and path.
    pub fn asked(&self) -> Vec<String> {
        self.runtime.block_on(self.server.asked())
    }

    /// What is below the repository's address in the API; all pages of a list.
    fn get(&self, path: &str) -> Result<Value> {
        self.runtime.block_on(self.server.get(path))
    }

    /// Merges a pull request as ann.
    fn merge(&self, number: u64) -> Result<()> {
        let path = format!("/repos/{REPOSITORY}/pulls/{number}/merge");
        let body = json!({});
        let (status, answer) = self.runtime.block_on(self.server.ask(Method::PUT, &path, ANN.token, Some(&body)))?;
        ensure!(status.is_success(), "#{number} is not merged: {status} {answer}");
        Ok(())
    }
}

fn is_of_manager(one: &Value) -> bool {
    text(one, "/user/login").strip_suffix("[bot]") == Some(MANAGER.slug)
}

impl Stack {
    /// GitHub, where the training manager and the dataset monitor have signed in with a key. The first call starts it, and gives them the key.
    ///
    /// # Errors
    /// If it does not start, or they do not; all later calls fail with the same error.
    pub fn github(&self) -> Result<&GitHub> {
        let made = self.github.get_or_init(|| self.sign_in().map_err(|error| format!("{error:?}")));
        made.as_ref().map_err(|error| anyhow!("there is no GitHub: {error}"))
    }

    fn sign_in(&self) -> Result<GitHub> {
        let named = self.named.as_ref().context("pods cannot reach one here")?;
        let folder = self.repository().forge().ancestors().nth(2).context("the repository is below its host")?;
        let github = GitHub::start(folder, &format!("https://{}", named.host), &named.socket)?;
        // as docs/github.md says
        for writer in WRITERS {
            let secret = json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"namespace": writer, "name": format!("{writer}-github")},
                "stringData": {"SLIPWAY_GITHUB_APP_ID": MANAGER.id.to_string(), "SLIPWAY_GITHUB_APP_PRIVATE_KEY": github.server.key(MANAGER)?}});
            self.kubectl().give(&["apply", "-f", "-"], &secret)?;
            self.restart(writer)?;
        }
        until("the training manager answers", START, || Ok(Ok(self.ask_manager("summary")?)))?;
        Ok(github)
    }

    /// Takes the App's key away from the training manager, as on a new cluster, where there is no GitHub yet.
    ///
    /// # Errors
    /// If there is a GitHub already, or the manager does not come up without one.
    pub fn without_app(&self) -> Result<()> {
        ensure!(self.github.get().is_none(), "a test has started GitHub already");
        let delete = ["delete", "secret", "training-manager-github", "-n", "training-manager", "--ignore-not-found"];
        self.kubectl().run(&delete)?;
        self.restart_manager()
    }

    /// Restarts the training manager, and waits until every replica is a new one.
    ///
    /// # Errors
    /// If they do not come up.
    pub fn restart_manager(&self) -> Result<()> {
        self.restart("training-manager")
    }

    /// The same for a Deployment that has the name of its namespace.
    fn restart(&self, name: &str) -> Result<()> {
        let deployment = format!("deployment/{name}");
        let rollout = |arguments: &[&str]| {
            self.kubectl().run(&[&["rollout"][..], arguments, &["-n", name, &deployment]].concat())
        };
        rollout(&["restart"])?;
        rollout(&["status", &format!("--timeout={}s", START.as_secs())]).map(drop)
    }

    /// Writes an experiment's file, proposes it on GitHub as ann, reports on it as the workflow does, and merges the pull request there.
    ///
    /// # Errors
    /// If a command or the merge fails.
    pub fn start_on_github(&self, name: &str, yaml: &str) -> Result<Started> {
        let (number, jobs) = self.proposed(name, yaml, |arguments| self.slipway_on_github(arguments))?;
        self.github()?.plan(number)?;
        self.merge_on_github(number)?;
        Ok(Started { number, jobs })
    }

    /// Merges a pull request on GitHub, and notifies Argo CD as GitHub's webhook does.
    ///
    /// # Errors
    /// If it cannot be merged, or Argo CD does not accept the webhook.
    pub fn merge_on_github(&self, number: u64) -> Result<()> {
        let before = self.repository().main()?;
        self.github()?.merge(number)?;
        self.repository().pull()?;
        self.notify_argocd(&before, &self.repository().main()?)
    }

    /// Runs a `slipway` command in the clone of somebody who is ann on GitHub, and returns its JSON.
    fn slipway_on_github(&self, arguments: &[&str]) -> Result<Value> {
        let server = &self.github()?.server;
        let helper = format!("!f() {{ echo username={}; echo password={}; }}; f", ANN.login, ANN.token);
        let mut command = self.command_with(arguments, &[("credential.helper".to_owned(), helper)])?;
        for (name, _) in std::env::vars_os() {
            if ["GH_", "GITHUB_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .env("GITHUB_SERVER_URL", &server.server)
            .env("GITHUB_API_URL", &server.api)
            .env("GITHUB_TOKEN", ANN.token)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("SLIPWAY_REMOTE", format!("{}/{REPOSITORY}.git", server.server));
        Ok(serde_json::from_str(&run(command.args(["-o", "json"]))?)?)
    }
}
