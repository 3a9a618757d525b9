//! The stack: made once, used by every test.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use slipway_loop::programs::program;
use testbed::testing::Testbed;
use testbed::{Cache, Cluster};

use crate::repository::run;
use crate::{Kubectl, Repository};

/// What is reached through the Gateway, by the names of clusters/local; the page has none of its own.
const HOSTS: [&str; 5] = ["argocd", "minio", "mlflow", "models", "s3"];

/// What `slipway bootstrap local` said, and how long it took.
#[derive(Debug)]
pub struct Bootstrapped {
    /// Its JSON.
    pub report: Value,
    /// The whole command.
    pub took: Duration,
}

/// The test cluster `e2e` with everything on it.
#[derive(Debug)]
pub struct Stack {
    cluster: Cluster,
    kubectl: Kubectl,
    repository: Repository,
    http: reqwest::blocking::Client,
    /// The Gateway's port on this machine.
    port: u16,
    environment: Vec<(String, String)>,
    /// The bootstrap of this run.
    pub bootstrapped: Bootstrapped,
}

impl Stack {
    /// The stack; the first call makes it. On a cluster that has it already, it goes on with that.
    ///
    /// # Errors
    /// It does not come up; all later calls fail with the same words.
    pub fn get() -> Result<&'static Self> {
        static STACK: OnceLock<Result<Stack, String>> = OnceLock::new();
        let made = STACK.get_or_init(|| Self::make().map_err(|error| format!("{error:?}")));
        made.as_ref().map_err(|said| anyhow!("there is no stack to test: {said}"))
    }

    fn make() -> Result<Self> {
        let cluster = Cluster::new(&Cache::locate().context("HOME is not set")?, "e2e")?;
        let given = cluster.environment().context("`make e2e` brings the test cluster up")?;
        let value = |name: &str| given.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let registry = value("SLIPWAY_TESTBED_REGISTRY").context("no registry")?;
        let git = value("SLIPWAY_TESTBED_GIT").context("no git server")?;
        let gateway = value("SLIPWAY_TESTBED_GATEWAY").context("no gateway")?;
        let port: u16 = gateway.rsplit(':').next().context("no port")?.parse()?;

        let testbed = Testbed::of(&cluster)?;
        testbed.repository("github.com/slipway-dev/slipway")?;
        let forge = cluster.folder().git().join("github.com/slipway-dev/slipway.git");
        let repository = Repository::open(&forge, |root| push_images(root, &registry))?;

        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let http = HOSTS.iter().fold(reqwest::blocking::Client::builder().no_proxy(), |http, host| {
            http.resolve(&format!("{host}.slipway.localhost"), loopback)
        });
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let environment = vec![
            pair("KUBECONFIG", cluster.folder().kubeconfig().display().to_string()),
            // upstream's repositories, as everything in the cluster sees them
            pair("GIT_CONFIG_COUNT", "1".to_owned()),
            pair("GIT_CONFIG_KEY_0", format!("url.{git}/github.com/.insteadOf")),
            pair("GIT_CONFIG_VALUE_0", "https://github.com/".to_owned()),
            pair("MLFLOW_TRACKING_URI", format!("http://mlflow.slipway.localhost:{port}")),
            pair("SLIPWAY_REMOTE", forge.display().to_string()),
        ];
        let mut stack = Self {
            kubectl: Kubectl::new(testbed),
            cluster,
            repository,
            http: http.timeout(Duration::from_secs(30)).build()?,
            port,
            environment,
            bootstrapped: Bootstrapped { report: Value::Null, took: Duration::ZERO },
        };
        let began = Instant::now();
        let report = stack.slipway(&["bootstrap", "local"])?;
        stack.bootstrapped = Bootstrapped { report, took: began.elapsed() };
        stack.add_dataset()?;
        Ok(stack)
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// kubectl on it.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// The repository that it follows.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// A client that finds what is behind the Gateway.
    #[must_use]
    pub fn http(&self) -> &reqwest::blocking::Client {
        &self.http
    }

    /// Where something is reached through the Gateway; the page by an empty name.
    #[must_use]
    pub fn url(&self, host: &str) -> String {
        let dot = if host.is_empty() { "" } else { "." };
        format!("http://{host}{dot}slipway.localhost:{}", self.port)
    }

    /// Asks for JSON through the Gateway.
    ///
    /// # Errors
    /// Nobody answers, or not with a success.
    pub fn ask(&self, url: &str) -> Result<Value> {
        let answer = self.http.get(url).send()?.error_for_status()?;
        Ok(serde_json::from_str(&answer.text()?)?)
    }

    /// Runs a `slipway` command in the clone; its JSON.
    ///
    /// # Errors
    /// It fails; with what it said.
    pub fn slipway(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = slipway(self.repository.root())?;
        command.args(["-o", "json"]).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(serde_json::from_str(&run(&mut command)?)?)
    }

    /// A command inside the node, which reaches Services by address and whose `/tmp` is its own.
    ///
    /// # Errors
    /// It fails; with what it said.
    pub fn inside<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Result<String> {
        run(&mut self.cluster.inside(arguments).context("the cluster does not run")?)
    }

    /// Changes files on main, as a merged pull request does, and lets GitHub's webhook tell Argo CD.
    ///
    /// # Errors
    /// git fails, or Argo CD does not take the webhook.
    pub fn change(&self, message: &str, edit: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (before, after) = self.repository.change(message, edit)?;
        self.tell_argocd(&before, &after)
    }

    /// Merges a pull request, and lets GitHub's webhook tell Argo CD.
    ///
    /// # Errors
    /// It cannot be merged, or Argo CD does not take the webhook.
    pub fn merge(&self, number: u64) -> Result<()> {
        let (before, after) = self.repository.merge(number)?;
        self.tell_argocd(&before, &after)
    }

    /// What a person does who brings data: the key from the cluster, then `slipway dataset add`.
    fn add_dataset(&self) -> Result<()> {
        let key = self.kubectl.secret("minio", "minio-user-datasets", "AWS_SECRET_ACCESS_KEY")?;
        let mut command = slipway(self.repository.root())?;
        command.args(["dataset", "add", "datasets/mnist-10k.yaml"]);
        command.env("AWS_ENDPOINT_URL_S3", self.url("s3"));
        command.env("AWS_ACCESS_KEY_ID", "datasets").env("AWS_SECRET_ACCESS_KEY", key);
        run(&mut command).map(drop)
    }
}

/// The command line, in a clone.
fn slipway(root: &Path) -> Result<Command> {
    let mut command = Command::new(program("slipway")?);
    command.arg("--repo").arg(root);
    Ok(command)
}

/// Builds the images of this repository, pushes them into the cluster's registry, and pins them as what they are called there.
fn push_images(root: &Path, registry: &str) -> Result<()> {
    let pushed = run(slipway(root)?.args(["-o", "json", "image", "push", "--to", &format!("{registry}/slipway")]))?;
    let pushed: Value = serde_json::from_str(&pushed)?;
    let images = pushed.as_array().context("no list of images")?.iter().map(|one| {
        let image = one["image"].as_str().context("an image without a name")?;
        // every registry's name leads the node to its own
        Ok(image.replacen(registry, "localhost:5001", 1))
    });
    let images = images.collect::<Result<Vec<_>>>()?;
    run(slipway(root)?.args(["image", "pin", "--environment", "local"]).args(images)).map(drop)
}
