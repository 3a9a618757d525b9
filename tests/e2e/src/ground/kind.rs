//! kind, set up as docs/kind.md says, with names of its own. It needs Linux, Docker and kubectl.
//!
//! | What | Name |
//! |---|---|
//! | cluster | `slipway-e2e` |
//! | network of Docker | `slipway-e2e` |
//! | registry, a container in that network | `slipway-e2e-registry` |
//! | git server, a process of this machine at its address in that network | the testbed's `gitserve` |
//! | files: kubeconfig, addresses, the repository | `~/.cache/slipway/testbed/clusters/e2e-kind` |
//!
//! Nothing else is touched, and [`Kind::down`] removes all of it. The images that Docker has pulled stay.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use slipway_loop::programs::{given, program, repository};
use testbed::Cache;
use testbed::progress::Progress;

use super::docker::{gateway, published, working_sets};
use super::ports::free_port;
use super::{Ground, Places, REGISTRY, REPOSITORY};
use crate::repository::run;
use crate::settings::with_host_port;
use crate::{Kubectl, until};

/// The name of the cluster, and of its network.
const NAME: &str = "slipway-e2e";
/// The container that is the node, as kind names it.
const NODE: &str = "slipway-e2e-control-plane";
/// The container that is the registry.
const REGISTRY_CONTAINER: &str = "slipway-e2e-registry";
/// The same program as the test cluster's registry.
const REGISTRY_IMAGE: &str = "docker.io/library/registry:3";
/// Where the node has MinIO's client.
const MC: &str = "/usr/local/bin/mc";
/// A git server is outside of the cluster, and the stack's network policies let nothing out to there but the ports 443 and 6443.
const GIT_PORT: u16 = 6443;

/// The kind cluster of the tests, whether it is up or not.
#[derive(Debug)]
pub struct Kind {
    cache: Cache,
    folder: PathBuf,
    program: PathBuf,
}

/// The addresses that [`Kind::up`] has chosen.
#[derive(Debug, Serialize, Deserialize)]
struct Addresses {
    registry: String,
    git: String,
    gateway: u16,
}

impl Kind {
    pub(super) fn locate() -> Result<Self> {
        let cache = Cache::locate().context("HOME is not set")?;
        let folder = cache.clusters().join("e2e-kind");
        Ok(Self { cache, folder, program: given("SLIPWAY_KIND")? })
    }

    /// Brings up an empty cluster, its registry and its git server. What an earlier run left is removed first.
    ///
    /// # Errors
    /// If Docker or kind fails, or one of the testbed's programs cannot be built.
    pub fn up() -> Result<()> {
        let kind = Self::locate()?;
        kind.remove()?;
        fs::create_dir_all(kind.git())?;
        let programs = ["gitserve", "mc"].into_iter().map(testbed::build::program).collect::<Result<Vec<_>, _>>()?;
        testbed::build::build(&kind.cache, &programs, &Progress::new())?;

        let gateway = free_port(Ipv4Addr::LOCALHOST, 80)?;
        let config = fs::read_to_string(repository().join("clusters/local/kind.yaml"))?;
        fs::write(kind.config(), with_host_port(&config, gateway)?)?;
        let hosts = kind.certs().join(REGISTRY);
        fs::create_dir_all(&hosts)?;
        fs::write(hosts.join("hosts.toml"), format!("[host.\"http://{REGISTRY_CONTAINER}:5000\"]\n"))?;
        kind.create()?;
        let addresses = Addresses { registry: start_registry()?, git: kind.start_git_server()?, gateway };
        Ok(fs::write(kind.addresses(), serde_json::to_string(&addresses)?)?)
    }

    /// Removes everything that [`Kind::up`] has created, also if that failed in between.
    ///
    /// # Errors
    /// If something cannot be removed. What can be is removed all the same.
    pub fn down() -> Result<()> {
        Self::locate()?.remove()
    }

    /// Writes into a folder what helps to find out why something failed: what `slipway doctor` says, and kind's logs.
    ///
    /// # Errors
    /// If the folder cannot be written. A command that fails leaves its message there instead of its result.
    pub fn diagnose(folder: &Path) -> Result<()> {
        let kind = Self::locate()?;
        fs::create_dir_all(folder)?;
        let mut doctor = Command::new(program("slipway")?);
        doctor.args(["doctor", "--cluster"]).env("KUBECONFIG", kind.kubeconfig());
        keep(&mut doctor, &folder.join("doctor.txt"))?;
        for (file, arguments) in [
            ("applications.yaml", ["get", "applications.argoproj.io", "-A", "-o", "yaml"]),
            ("pods.txt", ["get", "pods", "-A", "-o", "wide"]),
            ("events.txt", ["get", "events", "-A", "--sort-by", ".metadata.creationTimestamp"]),
        ] {
            keep(kind.kubectl().command().args(arguments), &folder.join(file))?;
        }
        keep(Command::new("cat").arg(kind.git_log()), &folder.join("gitserve.txt"))?;
        let mut logs = Command::new(&kind.program);
        logs.args(["export", "logs", "--name", NAME]).arg(folder.join("node"));
        keep(&mut logs, &folder.join("kind.txt"))
    }

    /// Creates the node, and prepares it.
    fn create(&self) -> Result<()> {
        let mut create = Command::new(&self.program);
        // a node that does not come up stays for `diagnose`
        create.args(["create", "cluster", "--name", NAME, "--retain", "--wait", "180s", "--config"]).arg(self.config());
        create.arg("--kubeconfig").arg(self.kubeconfig()).stdin(Stdio::null());
        // kind's usual network belongs to all of its clusters
        create.env("KIND_EXPERIMENTAL_PROVIDER", "docker").env("KIND_EXPERIMENTAL_DOCKER_NETWORK", NAME);
        let status = create.status().with_context(|| format!("running {create:?}"))?;
        ensure!(status.success(), "{create:?} ended with {status}");
        docker(&["cp", &self.certs().display().to_string(), &format!("{NODE}:/etc/containerd/")])?;
        docker(&["cp", &self.cache.program("mc").display().to_string(), &format!("{NODE}:{MC}")]).map(drop)
    }

    fn delete(&self) -> Result<()> {
        let mut delete = Command::new(&self.program);
        delete.args(["delete", "cluster", "--name", NAME, "--kubeconfig"]).arg(self.kubeconfig());
        run(delete.env("KIND_EXPERIMENTAL_PROVIDER", "docker")).map(drop)
    }

    /// Starts the git server, which runs until [`Kind::down`]. Pods and programs here reach it at the same address.
    fn start_git_server(&self) -> Result<String> {
        let address = gateway(&docker(&["network", "inspect", NAME, "--format", "{{json .IPAM.Config}}"])?)?;
        let port = free_port(address, GIT_PORT)?;
        let log = File::create(self.git_log())?;
        let mut server = Command::new(self.cache.program("gitserve"));
        server.args(["-addr", &format!("{address}:{port}"), "-root"]).arg(self.git());
        server.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let id = server.spawn().with_context(|| format!("running {server:?}"))?.id();
        fs::write(self.git_id(), id.to_string())?;
        until("the git server listens", Duration::from_secs(10), || Ok(Ok(TcpStream::connect((address, port))?)))?;
        Ok(format!("http://{address}:{port}"))
    }

    fn end_git_server(&self) -> Result<()> {
        let Ok(id) = fs::read_to_string(self.git_id()) else { return Ok(()) };
        // another process may have this id by now
        let command = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let is_ours =
            command.split('\0').next().is_some_and(|program| self.cache.program("gitserve") == Path::new(program));
        if is_ours { run(Command::new("kill").arg(&id)).map(drop) } else { Ok(()) }
    }

    fn remove(&self) -> Result<()> {
        let removed = [self.delete(), remove_registry(), remove_network(), self.end_git_server()];
        removed.into_iter().collect::<Result<()>>()?;
        if self.folder.exists() { Ok(fs::remove_dir_all(&self.folder)?) } else { Ok(()) }
    }

    fn kubectl(&self) -> Kubectl {
        Kubectl::new("kubectl".into(), self.kubeconfig())
    }

    fn addresses(&self) -> PathBuf {
        self.folder.join("addresses.json")
    }

    /// kind's configuration, with the port of this run.
    fn config(&self) -> PathBuf {
        self.folder.join("kind.yaml")
    }

    /// What the node gets as `/etc/containerd/certs.d`.
    fn certs(&self) -> PathBuf {
        self.folder.join("certs.d")
    }

    /// The folder of the git server.
    fn git(&self) -> PathBuf {
        self.folder.join("git")
    }

    fn git_log(&self) -> PathBuf {
        self.folder.join("gitserve.log")
    }

    /// Holds the process id of the git server.
    fn git_id(&self) -> PathBuf {
        self.folder.join("gitserve.pid")
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }
}

impl Ground for Kind {
    fn places(&self) -> Result<Places> {
        let addresses =
            fs::read_to_string(self.addresses()).context("`make e2e CLUSTER=kind` brings the cluster up")?;
        let Addresses { registry, git, gateway } = serde_json::from_str(&addresses)?;
        Ok(Places {
            kubectl: "kubectl".into(),
            kubeconfig: self.kubeconfig(),
            registry,
            forge: self.git().join(format!("{REPOSITORY}.git")),
            repository: format!("{git}/{REPOSITORY}.git"),
            // the git server of kind has no name and no certificate, and the training manager gives its token to HTTPS alone
            github: None,
            upstream: None,
            gateway,
        })
    }

    fn inside(&self) -> Result<Command> {
        let mut exec = Command::new("docker");
        exec.args(["exec", "--interactive", NODE]);
        Ok(exec)
    }

    fn mc(&self) -> PathBuf {
        MC.into()
    }

    fn memory(&self) -> Result<Vec<(String, u64)>> {
        let summary = self.kubectl().run(&["get", "--raw", &format!("/api/v1/nodes/{NODE}/proxy/stats/summary")])?;
        Ok(working_sets(&serde_json::from_str(&summary)?))
    }

    fn kill_runtime(&self) -> Result<()> {
        let kill = ["systemctl", "kill", "--signal=SIGKILL", "--kill-whom=main", "containerd"];
        run(self.inside()?.args(kill)).map(drop)
    }

    /// The registry and the git server are outside of the cluster, and stay.
    fn renew(&self) -> Result<()> {
        self.delete()?;
        self.create()
    }
}

/// Starts the registry. Returns its address for this machine; the node reaches it by its name.
fn start_registry() -> Result<String> {
    let run = ["run", "--detach", "--name", REGISTRY_CONTAINER, "--network", NAME];
    docker(&[&run[..], &["--publish", "127.0.0.1::5000", REGISTRY_IMAGE]].concat())?;
    let address = published(&docker(&["port", REGISTRY_CONTAINER, "5000/tcp"])?)?.to_string();
    let url = format!("http://{address}/v2/");
    let client = reqwest::blocking::Client::builder().no_proxy().build()?;
    until("the registry answers", Duration::from_secs(60), || Ok(Ok(client.get(&url).send()?.error_for_status()?)))?;
    Ok(address)
}

fn remove_registry() -> Result<()> {
    remove(
        &["ps", "--all", "--quiet", "--filter", &format!("name=^{REGISTRY_CONTAINER}$")],
        &["rm", "--force", "--volumes"],
    )
}

fn remove_network() -> Result<()> {
    remove(&["network", "ls", "--quiet", "--filter", &format!("name=^{NAME}$")], &["network", "rm"])
}

/// Removes what a command of Docker lists by ids, if it lists something.
fn remove(list: &[&str], remove: &[&str]) -> Result<()> {
    let listed = docker(list)?;
    let ids: Vec<&str> = listed.split_whitespace().collect();
    if ids.is_empty() { Ok(()) } else { docker(&[remove, &ids].concat()).map(drop) }
}

fn docker(arguments: &[&str]) -> Result<String> {
    run(Command::new("docker").args(arguments))
}

/// Writes a command's output and messages into a file, however it ends.
fn keep(command: &mut Command, file: &Path) -> Result<()> {
    let output = File::create(file)?;
    let status = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status();
    if let Err(error) = status {
        fs::write(file, format!("{command:?}: {error}\n"))?;
    }
    Ok(())
}
