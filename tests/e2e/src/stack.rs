//! The stack, which is created once and used by every test.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde_json::Value;
use slipway_loop::programs::{fresh_clone, given, program};

use crate::ground::{Ground, Named, REGISTRY, ground};
use crate::repository::{make_forge, run};
use crate::settings::{set_github, set_repository};
use crate::{GitHub, Kubectl, Repository};

/// The hosts behind the Gateway, by their names in clusters/local. The page has no name of its own.
const HOSTS: [&str; 6] = ["argocd", "manager", "minio", "mlflow", "models", "s3"];

/// The result of `slipway bootstrap local`.
#[derive(Debug)]
pub struct Bootstrapped {
    /// Its report as JSON.
    pub report: Value,
    /// How long the whole command took.
    pub took: Duration,
}

/// A cluster with the whole stack on it.
#[derive(Debug)]
pub struct Stack {
    ground: Arc<dyn Ground>,
    kubectl: Kubectl,
    repository: Repository,
    /// The URL by which Argo CD reads the repository.
    repository_url: String,
    http: reqwest::blocking::Client,
    /// The Gateway's port on this machine.
    port: u16,
    environment: Vec<(String, String)>,
    /// Settings of git for the command line.
    git: Vec<(String, String)>,
    /// How pods meet GitHub.
    pub(crate) named: Option<Named>,
    pub(crate) github: OnceLock<Result<GitHub, String>>,
    /// The bootstrap of this run.
    pub bootstrapped: Bootstrapped,
}

impl Stack {
    /// The stack. The first call creates it; on a cluster that already has one, that one is used.
    ///
    /// # Errors
    /// If it does not come up; all later calls fail with the same error.
    pub fn get() -> Result<&'static Self> {
        static STACK: OnceLock<Result<Stack, String>> = OnceLock::new();
        let made = STACK.get_or_init(|| Self::make().map_err(|error| format!("{error:?}")));
        made.as_ref().map_err(|error| anyhow!("there is no stack to test: {error}"))
    }

    fn make() -> Result<Self> {
        let stack = Self::bootstrapped(ground()?, None)?;
        stack.add_dataset("datasets/mnist-10k.yaml")?;
        Ok(stack)
    }

    /// Takes the cluster down, forgets all that it held, and bootstraps another one from the same repository, as after the loss of a
    /// cluster. Its stores are empty. The old stack is of no use any more.
    ///
    /// # Errors
    /// If the new cluster does not come up.
    pub fn in_a_fresh_cluster(&self) -> Result<Self> {
        let kept = tempfile::tempdir()?;
        let repository = kept.path().join("slipway.git");
        run(Command::new("git").args(["clone", "--quiet", "--mirror"]).arg(self.repository.forge()).arg(&repository))?;
        self.ground.renew()?;
        Self::bootstrapped(self.ground.clone(), Some(&repository))
    }

    /// The stack on a cluster that runs, from a repository that was kept, or from this one.
    fn bootstrapped(ground: Arc<dyn Ground>, kept: Option<&Path>) -> Result<Self> {
        let places = ground.places()?;
        if let Some(kept) = kept {
            make_forge(&places.forge)?;
            run(Command::new("git").arg("-C").arg(kept).args(["push", "--quiet"]).arg(&places.forge).arg("main"))?;
            // the same commit gives the same images, which the kept repository has pinned
            let folder = tempfile::tempdir()?;
            let root = folder.path().join("slipway");
            fresh_clone(&root)?;
            push_images(&root, &places.registry)?;
        }
        let repository = Repository::open(&places.forge, |root| {
            // images before anything is changed: an image says whether its commit is what it was built from
            let images = push_images(root, &places.registry)?;
            set_repository(root, &places.repository)?;
            if let Some(Named { host, authority, .. }) = &places.github {
                set_github(root, host, authority)?;
            }
            pin_images(root, &images)
        })?;

        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let http = HOSTS.iter().fold(reqwest::blocking::Client::builder().no_proxy(), |http, host| {
            http.resolve(&format!("{host}.slipway.localhost"), loopback)
        });
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let environment = vec![
            pair("KUBECONFIG", places.kubeconfig.display().to_string()),
            pair("MLFLOW_TRACKING_URI", format!("http://mlflow.slipway.localhost:{}", places.gateway)),
            pair("SLIPWAY_REMOTE", places.forge.display().to_string()),
        ];
        // upstream repositories come from where the cluster has them from
        let upstream = places.upstream.into_iter();
        let git = upstream.map(|upstream| (format!("url.{upstream}.insteadOf"), "https://github.com/".to_owned()));
        let mut stack = Self {
            ground,
            kubectl: Kubectl::new(places.kubectl, places.kubeconfig),
            repository,
            repository_url: places.repository,
            http: http.timeout(Duration::from_secs(30)).build()?,
            port: places.gateway,
            environment,
            git: git.collect(),
            named: places.github,
            github: OnceLock::new(),
            bootstrapped: Bootstrapped { report: Value::Null, took: Duration::ZERO },
        };
        let began = Instant::now();
        let report = stack.slipway(&["bootstrap", "local"])?;
        stack.bootstrapped = Bootstrapped { report, took: began.elapsed() };
        Ok(stack)
    }

    pub(crate) fn ground(&self) -> &dyn Ground {
        &*self.ground
    }

    /// kubectl on the cluster.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// The repository that Argo CD follows.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The URL by which Argo CD reads that repository.
    pub(crate) fn repository_url(&self) -> &str {
        &self.repository_url
    }

    /// A client that reaches the hosts behind the Gateway.
    #[must_use]
    pub fn http(&self) -> &reqwest::blocking::Client {
        &self.http
    }

    /// The URL of a host behind the Gateway; an empty name is the page.
    #[must_use]
    pub fn url(&self, host: &str) -> String {
        let dot = if host.is_empty() { "" } else { "." };
        format!("http://{host}{dot}slipway.localhost:{}", self.port)
    }

    /// Gets JSON through the Gateway.
    ///
    /// # Errors
    /// If there is no answer, or it is not a success.
    pub fn ask(&self, url: &str) -> Result<Value> {
        let answer = self.http.get(url).send()?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text()?)?)
    }

    /// Gets JSON from the server as the page does: at the address where every registered version answers, from the page's own pod.
    ///
    /// # Errors
    /// If there is no answer, or it is not a success.
    pub fn ask_server_as_page(&self, path: &str) -> Result<Value> {
        const GET: &str = "import os, sys, urllib.request\n\
            print(urllib.request.urlopen(os.environ['SLIPWAY_SERVER_URL'] + sys.argv[1], timeout=30).read().decode())";
        let exec = ["exec", "-n", "demo-ui", "deployment/demo-ui", "--", "/usr/bin/python3.11", "-c", GET, path];
        Ok(serde_json::from_str(&self.kubectl.run(&exec)?)?)
    }

    /// Runs a `slipway` command in the clone and returns its JSON.
    ///
    /// # Errors
    /// If it fails; the error holds its message.
    pub fn slipway(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&run(self.command(arguments)?.args(["-o", "json"]))?)?)
    }

    /// Runs a `slipway` command in the clone and returns what it prints for a person.
    ///
    /// # Errors
    /// If it fails; the error holds its message.
    pub fn slipway_text(&self, arguments: &[&str]) -> Result<String> {
        run(&mut self.command(arguments)?)
    }

    /// Runs a `slipway` command in the clone that must end with this code, and returns what it prints for a person.
    ///
    /// # Errors
    /// If it ends otherwise; the error holds its message.
    pub fn slipway_fails(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let done = self.command(arguments)?.stdin(Stdio::null()).output()?;
        let (result, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        ensure!(done.status.code() == Some(code), "{arguments:?} ended with {}:\n{errors}{result}", done.status);
        Ok(result.into_owned())
    }

    /// A `slipway` command in the clone.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        self.command_with(arguments, &[])
    }

    /// The same with more settings of git.
    pub(crate) fn command_with(&self, arguments: &[&str], git: &[(String, String)]) -> Result<Command> {
        let mut command = slipway(self.repository.root())?;
        command.args(arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        let all: Vec<_> = self.git.iter().chain(git).collect();
        command.env("GIT_CONFIG_COUNT", all.len().to_string());
        for (number, (key, value)) in all.into_iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), key).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        Ok(command)
    }

    /// Kills the node's container runtime, as a crash does. The node starts it again, and containers run on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill_runtime(&self) -> Result<()> {
        self.ground.kill_runtime()
    }

    /// Runs a command inside the node, which reaches Services by address and has its own `/tmp`.
    ///
    /// # Errors
    /// If it fails; the error holds its message.
    pub fn inside<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        run(self.ground.inside()?.args(arguments))
    }

    /// Changes files on main, as a merged pull request does, and notifies Argo CD as GitHub's webhook does.
    ///
    /// # Errors
    /// If git fails, or Argo CD does not accept the webhook.
    pub fn change(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (before, after) = self.repository.change(message, edit)?;
        self.notify_argocd(&before, &after)
    }

    /// Merges a pull request, and notifies Argo CD as GitHub's webhook does.
    ///
    /// # Errors
    /// If it cannot be merged, or Argo CD does not accept the webhook.
    pub fn merge(&self, number: u64) -> Result<()> {
        let (before, after) = self.repository.merge(number)?;
        self.notify_argocd(&before, &after)
    }

    /// Adds a dataset as a person does: with the key from the cluster and `slipway dataset add`.
    ///
    /// # Errors
    /// If its declaration or its files have a mistake, or the store refuses it.
    pub fn add_dataset(&self, declaration: &str) -> Result<()> {
        let key = self.kubectl.secret("minio", "minio-user-datasets", "AWS_SECRET_ACCESS_KEY")?;
        let mut command = slipway(self.repository.root())?;
        command.args(["dataset", "add", declaration]);
        command.env("AWS_ENDPOINT_URL_S3", self.url("s3"));
        command.env("AWS_ACCESS_KEY_ID", "datasets").env("AWS_SECRET_ACCESS_KEY", key);
        run(&mut command).map(drop)
    }
}

/// The command `slipway` in a clone.
fn slipway(root: &Path) -> Result<Command> {
    let mut command = Command::new(program("slipway")?);
    command.arg("--repo").arg(root);
    Ok(command)
}

/// Builds the images of a repository from the programs under test, and pushes them to a registry. Returns their names there, as the
/// cluster knows them.
fn push_images(root: &Path, registry: &str) -> Result<Vec<String>> {
    let programs = given("SLIPWAY_BIN")?;
    let mut push = slipway(root)?;
    push.args(["-o", "json", "image", "push", "--to", &format!("{registry}/slipway")]);
    push.arg("--target-dir").arg(programs.parent().context("SLIPWAY_BIN is a folder of cargo's target folder")?);
    let pushed = run(&mut push)?;
    let pushed: Value = serde_json::from_str(&pushed)?;
    let images = pushed.as_array().context("no list of images")?.iter().map(|one| {
        let image = one["image"].as_str().context("an image without a name")?;
        Ok(image.replacen(registry, REGISTRY, 1))
    });
    images.collect()
}

/// Pins images in the environment `local`.
fn pin_images(root: &Path, images: &[String]) -> Result<()> {
    run(slipway(root)?.args(["image", "pin", "--environment", "local"]).args(images)).map(drop)
}
