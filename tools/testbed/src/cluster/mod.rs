//! Clusters as a person or a test sees them: brought up, looked at, taken down.

mod apply;
mod diagnose;
mod error;
mod folder;
mod load;
mod preflight;
mod processes;
mod ready;
pub(crate) mod stack;
mod status;
mod up;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

pub use apply::{Manifest, apply};
pub use error::Error;
pub use folder::{Folder, Forget};
pub use status::{ComponentStatus, Status};
pub use up::{Options, Progress};

use crate::Cache;
use crate::node::cgroups;
pub(crate) use error::Tried;

/// One cluster, by name. It need not run, nor exist yet.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: String,
    cache: Cache,
    folder: Folder,
}

impl Cluster {
    /// The cluster `name` whose state and programs lie in `cache`.
    ///
    /// # Errors
    /// A name that would not do as a folder's or a control group's.
    pub fn new(cache: &Cache, name: &str) -> Result<Self, Error> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=40).contains(&name.len())
            || !name.chars().all(good)
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
        {
            return Err(Error::Name(name.to_owned()));
        }
        Ok(Self { name: name.to_owned(), cache: cache.clone(), folder: Folder::at(cache.clusters().join(name)) })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it keeps on disk.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A client of its API, through the machine's loopback.
    ///
    /// # Errors
    /// The cluster does not run.
    pub async fn client(&self) -> Result<kube::Client, Error> {
        if self.folder.init().is_none() {
            return Err(Error::NotRunning(self.name.clone()));
        }
        client_of(&self.folder.kubeconfig()).await
    }

    /// Where the built kubectl lies.
    #[must_use]
    pub fn kubectl_program(&self) -> PathBuf {
        self.cache.program("kubectl")
    }

    /// The built kubectl, set to this cluster.
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

    /// What a shell needs to talk to the cluster, as variables with their values.
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

    /// Ends the cluster's init, and with it everything that runs in the cluster; waits until nothing is left.
    ///
    /// # Errors
    /// Processes that do not go within half a minute, or folders that cannot be removed.
    pub fn down(&self, forget: Forget) -> Result<(), Error> {
        let limit = Duration::from_secs(30);
        let end = Instant::now() + limit;
        while self.folder.is_locked() {
            if let Some(init) = self.folder.init().and_then(rustix::process::Pid::from_raw) {
                // Already gone is as good.
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
        // Left only when the keeper was killed as well.
        let hierarchies = cgroups::hierarchies().tried("reading /proc/self/mountinfo")?;
        cgroups::remove(&hierarchies, &self.name, Duration::from_secs(5)).tried("removing control groups")?;
        self.folder.forget(forget).tried(format!("removing what is in {}", self.folder.root().display()))
    }
}

/// A client for the cluster that a kubeconfig names.
pub(crate) async fn client_of(file: &std::path::Path) -> Result<kube::Client, Error> {
    let unreadable =
        |reason: &dyn std::fmt::Display| Error::Kubeconfig { file: file.to_owned(), reason: reason.to_string() };
    let kubeconfig = kube::config::Kubeconfig::read_from(file).map_err(|error| unreadable(&error))?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await;
    Ok(kube::Client::try_from(config.map_err(|error| unreadable(&error))?)?)
}
