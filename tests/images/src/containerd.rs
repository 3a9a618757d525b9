//! A containerd for one test. Its root, state and socket are in a temporary folder, and it ends with the test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A running containerd.
pub struct Containerd {
    child: Child,
    folder: TempDir,
    socket: String,
}

impl Containerd {
    /// Starts containerd and waits until it answers.
    pub fn start() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "containers need root here: run `sudo make test-images`");
        // a short path, because that of a socket is limited to 107 bytes
        let folder = tempfile::Builder::new().prefix("slipway-").tempdir()?;
        let socket = folder.path().join("c.sock").display().to_string();
        let at = folder.path().display();
        let configuration = format!(
            "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\", \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.zfs\", \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.aufs\"]\n\
             [grpc]\naddress = \"{socket}\"\n"
        );
        let file = folder.path().join("config.toml");
        std::fs::write(&file, configuration)?;
        let log = std::fs::File::create(folder.path().join("containerd.log"))?;
        let child = Command::new("containerd")
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("install containerd: apt-get install containerd runc, or `make test-images` as root")?;
        let mut new = Self { child, folder, socket };
        let begun = Instant::now();
        while !new.ctr().arg("version").output()?.status.success() {
            if let Some(status) = new.child.try_wait()? {
                bail!("containerd ended with {status}:\n{}", new.log());
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "containerd does not answer:\n{}", new.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(new)
    }

    /// The temporary folder, which is removed at the end.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address for `ctr`.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("containerd.log")).unwrap_or_default()
    }

    /// A `ctr` command for this containerd.
    pub fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.socket]).stdin(Stdio::null());
        command
    }

    /// Runs `ctr` to its end; returns its output.
    pub fn does(&self, arguments: &[&str]) -> Result<String> {
        let done = self.ctr().args(arguments).output()?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        ensure!(
            done.status.success(),
            "ctr {arguments:?}: {}\n{text}{}",
            done.status,
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(text)
    }

    /// Imports an image from a tar and unpacks it; returns its name.
    pub fn import(&self, tar: &Path) -> Result<String> {
        let before = self.does(&["images", "list", "--quiet"])?;
        self.does(&["images", "import", &tar.display().to_string()])?;
        let after = self.does(&["images", "list", "--quiet"])?;
        let new = after.lines().find(|name| !before.lines().any(|old| old == *name));
        Ok(new.with_context(|| format!("nothing new was imported: {after}"))?.to_owned())
    }

    /// Stops and removes every container.
    fn clear(&self) -> Result<()> {
        for id in self.does(&["containers", "list", "--quiet"])?.split_whitespace() {
            let _ = self.does(&["tasks", "kill", "--signal", "SIGKILL", id]);
            let _ = self.does(&["tasks", "delete", "--force", id]);
            self.does(&["containers", "delete", id])?;
        }
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.clear();
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
