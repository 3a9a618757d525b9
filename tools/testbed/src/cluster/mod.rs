//! Clusters as a person or a test uses them: brought up, inspected, taken down.

mod apply;
mod diagnose;
mod error;
mod load;
mod manifest;
mod milestone;
mod preflight;
mod processes;
pub(crate) mod stack;
mod status;
mod up;
mod workloads;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

pub use apply::apply;
pub use error::Error;
pub use manifest::Manifest;
pub use milestone::OnMilestone;
pub use status::{ComponentStatus, Status};
pub use up::Options;

pub use crate::folder::{Folder, Forget};

use crate::Cache;
use crate::node::cgroups;
pub(crate) use error::Tried;

/// One cluster, by name. It need not run or exist yet.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    cache: Cache,
    folder: Folder,
}

impl Cluster {
    /// The cluster `name` whose state and programs are in `cache`.
    ///
    /// # Errors
    /// A name that cannot be a folder's or a control group's.
    pub fn new(cache: &Cache, name: &str) -> Result<Self, Error> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=40).contains(&name.len())
            || !name.chars().all(is_allowed)
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
        {
            return Err(Error::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), cache: cache.clone(), folder: Folder::at(cache.clusters().join(name)) })
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its files.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its API, through the machine's loopback.
    ///
    /// # Errors
    /// The cluster does not run.
    pub async fn api(&self) -> Result<slipway_cluster::Cluster, Error> {
        if self.folder.init().is_none() {
            return Err(Error::NotRunning(self.name.clone()));
        }
        Ok(slipway_cluster::Cluster::of_kubeconfig(&self.folder.kubeconfig(), None).await?)
    }

    /// kube's client of its API.
    ///
    /// # Errors
    /// The cluster does not run.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        Ok(self.api().await?.client().clone())
    }

    /// The path of the built kubectl.
    #[must_use]
    pub fn kubectl_program(&self) -> PathBuf {
        self.cache.program("kubectl")
    }

    /// A command of the built kubectl for this cluster.
    #[must_use]
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut kubectl = Command::new(self.kubectl_program());
        kubectl.env("KUBECONFIG", self.folder.kubeconfig()).args(arguments);
        kubectl
    }

    /// A command inside the node: its network, its mounts, its processes. `None` while the cluster does not run.
    #[must_use]
    pub fn inside<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Option<Command> {
        let mut nsenter = Command::new("nsenter");
        nsenter.arg("--target").arg(self.folder.init()?.to_string());
        nsenter.args(["--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--"]).args(arguments);
        Some(nsenter)
    }

    /// The variables that a shell needs to use the cluster, with their values.
    ///
    /// # Errors
    /// The cluster does not run.
    pub fn environment(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let forwards = fs::read_to_string(self.folder.forwards()).unwrap_or_default();
        let address = |name| forwards.lines().filter_map(|line| line.split_once('=')).find(|(other, _)| *other == name);
        let (Some((_, registry)), Some((_, git)), Some((_, gateway)), Some(_)) =
            (address("registry"), address("git"), address("gateway"), self.folder.init())
        else {
            return Err(Error::NotRunning(self.name.clone()));
        };
        Ok(vec![
            ("KUBECONFIG", self.folder.kubeconfig().display().to_string()),
            ("SLIPWAY_TESTBED_REGISTRY", registry.to_owned()),
            ("SLIPWAY_TESTBED_GIT", format!("http://{git}")),
            ("SLIPWAY_TESTBED_GATEWAY", gateway.to_owned()),
        ])
    }

    /// Kills the cluster's init, and with it everything that runs in the cluster; returns when nothing is left.
    ///
    /// # Errors
    /// Processes that do not end within half a minute, or folders that cannot be removed.
    pub fn down(&self, forget: Forget) -> Result<(), Error> {
        let limit = Duration::from_secs(30);
        let end = Instant::now() + limit;
        while self.folder.is_locked() {
            if let Some(init) = self.folder.init().and_then(rustix::process::Pid::from_raw) {
                // an init that has ended already is fine
                let _ = rustix::process::kill_process(init, rustix::process::Signal::KILL);
            }
            if Instant::now() > end {
                return Err(Error::Late {
                    what: format!("the end of cluster `{}`", self.name),
                    limit,
                    evidence: String::new(),
                });
            }
            thread::sleep(Duration::from_millis(10));
        }
        // left only if the keeper was killed as well
        let hierarchies = cgroups::hierarchies().tried("reading /proc/self/mountinfo")?;
        cgroups::remove(&hierarchies, &self.name, Duration::from_secs(5)).tried("removing control groups")?;
        self.folder.forget(forget).tried(format!("removing what is in {}", self.folder.root().display()))
    }
}
