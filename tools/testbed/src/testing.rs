//! Fixtures for tests that need a cluster: the cluster itself, and a namespace for each test.
//!
//! The environment variable `CLUSTER` chooses the cluster: the testbed's own of that name (default `slipway`), or `kind`.

mod kind;
mod namespace;

use std::path::PathBuf;
use std::process::Command;

pub use namespace::{Forward, Namespace};

use crate::cluster::{Error, Options, Tried as _};
use crate::{Cache, Cluster};

/// A running cluster with every component ready.
#[derive(Debug, Clone)]
pub struct Testbed {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    git: Git,
}

/// The cluster's git server; everyone who reaches it may push.
#[derive(Debug, Clone)]
struct Git {
    root: PathBuf,
    here: String,
    inside: String,
}

/// A repository to push to, by its two addresses.
#[derive(Debug, Clone)]
pub struct Repository {
    /// For programs on this machine.
    pub here: String,
    /// For pods.
    pub inside: String,
}

impl Testbed {
    /// The cluster; brought up if it does not run. Several tests may call this at once.
    ///
    /// # Errors
    /// It does not come up; the message says why.
    pub async fn get() -> Result<Self, Error> {
        let cache = Cache::locate()
            .ok_or_else(|| Error::Machine(vec!["a folder for the cache: set XDG_CACHE_HOME or HOME".to_owned()]))?;
        match std::env::var("CLUSTER").as_deref() {
            Ok("kind") => kind::get(&cache).await,
            Ok(name) => Self::own(&cache, name).await,
            Err(_) => Self::own(&cache, "slipway").await,
        }
    }

    async fn own(cache: &Cache, name: &str) -> Result<Self, Error> {
        let cluster = Cluster::new(cache, name)?;
        cluster.up(&Options::default(), &|_| {}).await?;
        Self::of(&cluster)
    }

    /// A cluster of the testbed that is up.
    ///
    /// # Errors
    /// It does not run.
    pub fn of(cluster: &Cluster) -> Result<Self, Error> {
        let here =
            cluster.environment()?.into_iter().find(|(name, _)| *name == "SLIPWAY_TESTBED_GIT").map(|(_, url)| url);
        let git = Git {
            root: cluster.folder().git(),
            here: here.unwrap_or_default(),
            inside: format!("http://{}:3000", crate::node::ADDRESS),
        };
        Ok(Self { kubeconfig: cluster.folder().kubeconfig(), kubectl: cluster.kubectl_program(), git })
    }

    /// Its API.
    ///
    /// # Errors
    /// A kubeconfig that cannot be used.
    pub async fn api(&self) -> Result<slipway_cluster::Cluster, Error> {
        Ok(slipway_cluster::Cluster::of_kubeconfig(&self.kubeconfig, None).await?)
    }

    /// A command of kubectl for this cluster.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        kubectl.env("KUBECONFIG", &self.kubeconfig);
        kubectl
    }

    /// A new, empty repository on a git server that pods reach.
    ///
    /// # Errors
    /// git fails; the message has its output.
    pub fn repository(&self, name: &str) -> Result<Repository, Error> {
        let mut git = Command::new("git");
        git.args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(self.git.root.join(format!("{name}.git")));
        let output = git.output().tried("running git")?;
        if !output.status.success() {
            return Err(Error::Program {
                what: "git init".to_owned(),
                reason: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        Ok(Repository {
            here: format!("{}/{name}.git", self.git.here),
            inside: format!("{}/{name}.git", self.git.inside),
        })
    }

    /// A new namespace whose name begins with `prefix`; it is deleted when the value is dropped.
    ///
    /// # Errors
    /// The API server refuses, or the namespace's service account does not appear.
    pub async fn namespace(&self, prefix: &str) -> Result<Namespace, Error> {
        Namespace::create(self, prefix, &[]).await
    }

    /// The same with labels, such as those that select a pod security level.
    ///
    /// # Errors
    /// As [`Testbed::namespace`].
    pub async fn namespace_with(&self, prefix: &str, labels: &[(&str, &str)]) -> Result<Namespace, Error> {
        Namespace::create(self, prefix, labels).await
    }
}
