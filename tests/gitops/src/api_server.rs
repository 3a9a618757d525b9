//! An API server with its etcd on loopback, for as long as a value of it lives. There is no node: nothing runs, everything is judged.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Printed, path, run};

/// How long it may take to start.
const LIMIT: Duration = Duration::from_secs(90);

/// A running API server.
#[derive(Debug)]
pub struct ApiServer {
    folder: TempDir,
    etcd: Process,
    server: Process,
}

/// A process that ends with its owner.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl ApiServer {
    /// Starts one and returns when it answers.
    ///
    /// # Errors
    /// When a program is missing or it does not answer in time.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let [client, peer, port] = ports()?;
        let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let etcd = spawn(
            "etcd",
            folder.path(),
            &[
                ("data-dir", &at("etcd")),
                ("listen-client-urls", &client),
                ("advertise-client-urls", &client),
                ("listen-peer-urls", &peer),
                ("initial-advertise-peer-urls", &peer),
                ("initial-cluster", &format!("default={peer}")),
            ],
        )?;
        let keys =
            run(Command::new(path("kubeadm")?).args(["init", "phase", "certs", "sa", "--cert-dir", &at("keys")]), "")?;
        ensure!(keys.succeeded, "kubeadm made no keys: {}", keys.errors);
        std::fs::write(folder.path().join("tokens"), "test,admin,admin,system:masters\n")?;
        let server = spawn(
            "kube-apiserver",
            folder.path(),
            &[
                ("etcd-servers", &client),
                ("bind-address", "127.0.0.1"),
                ("secure-port", &port.to_string()),
                ("cert-dir", &at("certificates")),
                ("service-account-issuer", "https://kubernetes.default.svc"),
                ("service-account-key-file", &at("keys/sa.pub")),
                ("service-account-signing-key-file", &at("keys/sa.key")),
                ("service-cluster-ip-range", "10.96.0.0/16"),
                ("token-auth-file", &at("tokens")),
                ("authorization-mode", "RBAC"),
            ],
        )?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": format!("https://127.0.0.1:{port}"), "insecure-skip-tls-verify": true}}],
            "users": [{"name": "test", "user": {"token": "test"}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string())?;
        let mut made = Self { folder, etcd, server };
        made.answers()?;
        Ok(made)
    }

    /// Runs kubectl.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<Printed> {
        let mut command = Command::new(path("kubectl")?);
        command.arg("--kubeconfig").arg(self.folder.path().join("kubeconfig")).args(arguments);
        run(&mut command, input)
    }

    /// Applies objects; nothing is kept when `dry`. Fields that no schema knows are errors.
    ///
    /// # Errors
    /// When the API server refuses one, or warns.
    pub fn apply(&self, objects: &[Value], dry: bool) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        let mode = if dry { "--dry-run=server" } else { "--dry-run=none" };
        let printed = self
            .kubectl(&["apply", "--server-side", "--force-conflicts", "--validate=strict", mode, "-f", "-"], &list)?;
        ensure!(printed.succeeded && !printed.errors.contains("Warning"), "{}", printed.errors);
        Ok(())
    }

    /// Installs definitions and returns when they are in force.
    ///
    /// # Errors
    /// When one is not accepted.
    pub fn define(&self, definitions: &[Value]) -> Result<()> {
        self.apply(definitions, false)?;
        let printed = self.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "")?;
        ensure!(printed.succeeded, "{}", printed.errors);
        Ok(())
    }

    fn answers(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let answer = self.kubectl(&["get", "--raw", "/readyz"], "")?;
            if answer.succeeded {
                return Ok(());
            }
            for (name, process) in [("etcd", &mut self.etcd), ("kube-apiserver", &mut self.server)] {
                if let Some(status) = process.0.try_wait()? {
                    let log =
                        std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default();
                    let last: Vec<&str> = log.lines().rev().take(5).collect();
                    bail!("{name} ended with {status}: {}", last.join("\n"));
                }
            }
            ensure!(started.elapsed() < LIMIT, "no answer after {} s: {}", LIMIT.as_secs(), answer.errors);
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn spawn(name: &str, folder: &Path, flags: &[(&str, &str)]) -> Result<Process> {
    let log = File::create(folder.join(format!("{name}.log")))?;
    let child = Command::new(path(name)?)
        .args(flags.iter().map(|(flag, value)| format!("--{flag}={value}")))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    Ok(Process(child))
}

/// Ports of loopback that nobody has just now.
fn ports() -> Result<[u16; 3]> {
    let listeners =
        [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
