//! The folder of one cluster: everything that it keeps.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// What a cluster forgets when it is taken down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Forget {
    /// It continues where it was.
    #[default]
    Nothing,
    /// State and keys; the images that containerd has unpacked stay.
    State,
    /// The images too.
    Everything,
}

/// One cluster's folder, `<cache>/clusters/NAME`. Inside the node it is `/run/testbed`.
///
/// ```text
/// lock         held by the keeper while the cluster runs
/// node.pid     process id of the node's init, as the machine counts
/// kubeconfig   for the machine: the API on a port of its loopback
/// forwards     registry, git server and gateway on the machine's loopback, NAME=ADDRESS a line
/// etc/         keys and kubeconfigs of the components
/// etcd/ kubelet/ containerd/
/// registry/    what the registry serves
/// git/         what the git server serves
/// github.sock  where a program of the machine may listen that answers for https://github.test
/// log/         NAME.log for each component; pods/ and containers/ are kubelet's
/// ```
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The folder at `root`, which need not exist.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The kubeconfig that works on the machine while the cluster runs.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// Addresses on the machine's loopback, `NAME=ADDRESS` a line.
    #[must_use]
    pub fn forwards(&self) -> PathBuf {
        self.root.join("forwards")
    }

    /// Storage of the cluster's registry.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.root.join("registry")
    }

    /// Repositories of the cluster's git server.
    #[must_use]
    pub fn git(&self) -> PathBuf {
        self.root.join("git")
    }

    /// A Unix socket. Pods reach whatever listens there as the API of `https://github.test`, and as its git if they sign in. Who does not
    /// gets its repositories from [`Folder::git`].
    #[must_use]
    pub fn github(&self) -> PathBuf {
        self.root.join("github.sock")
    }

    /// Logs of the components, and of pods.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The log of one component.
    #[must_use]
    pub fn log_of(&self, component: &str) -> PathBuf {
        self.log().join(component).with_extension("log")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.root.join("node.pid")
    }

    /// The process id of the node's init; `None` unless the cluster runs.
    #[must_use]
    pub fn init(&self) -> Option<i32> {
        if !self.is_locked() {
            return None;
        }
        let pid = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        // A keeper that has just started has not removed its predecessor's file, and another process may have that id by now.
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let name = self.root.file_name()?.as_encoded_bytes();
        (cmdline == [&b"testbed\0init\0--cluster\0"[..], name, b"\0"].concat()).then_some(pid)
    }

    /// Whether the cluster runs, comes up or goes down.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        File::open(self.root.join("lock"))
            .is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Takes the lock, and holds it as long as the returned file lives.
    ///
    /// # Errors
    /// `WouldBlock` when another keeper holds it.
    pub(crate) fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.root)?;
        let lock = File::options().create(true).truncate(false).write(true).open(self.root.join("lock"))?;
        lock.try_lock().map_err(io::Error::from)?;
        Ok(lock)
    }

    /// Makes the folders that the node's programs expect.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        for folder in ["etc", "etcd", "kubelet", "containerd", "registry", "git", "log"] {
            fs::create_dir_all(self.root.join(folder))?;
        }
        // Each is written again once it is true; the process id is removed last, since the others are valid only with it.
        for stale in [self.kubeconfig(), self.forwards(), self.pid_file()] {
            match fs::remove_file(stale) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes what a cluster that is down keeps.
    pub(crate) fn forget(&self, what: Forget) -> io::Result<()> {
        let folders: &[&str] = match what {
            Forget::Nothing => &[],
            Forget::State => &["etc", "etcd", "kubelet", "registry", "git", "log"],
            Forget::Everything => &[""],
        };
        for folder in folders {
            match fs::remove_dir_all(self.root.join(folder)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
