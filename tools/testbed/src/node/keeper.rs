//! The one process of a cluster that runs outside of it.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::cgroups;
use crate::{Cache, Folder};

/// Runs the cluster's init in a new PID namespace until it ends, and then removes the control groups.
///
/// # Errors
/// `WouldBlock` if the cluster runs already; otherwise what prevents init from starting, or the control groups from being removed.
pub fn run(cache: &Cache, cluster: &str) -> io::Result<()> {
    // closing the terminal that brought the cluster up does not take it down
    rustix::process::setsid()?;
    let folder = Folder::at(cache.clusters().join(cluster));
    let _lock = folder.lock()?;
    folder.prepare()?;
    let hierarchies = cgroups::hierarchies()?;
    cgroups::create(&hierarchies, cluster)?;
    let outcome = run_init(&folder, cluster);
    cgroups::remove(&hierarchies, cluster, Duration::from_secs(5))?;
    outcome
}

fn run_init(folder: &Folder, cluster: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWPID)?;
    let log = File::options().create(true).append(true).open(folder.log_of("node"))?;
    let mut init = Command::new("/proc/self/exe")
        .arg0("testbed")
        .args(["init", "--cluster", cluster])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?;
    fs::write(folder.pid_file(), init.id().to_string())?;
    // it does not end by itself: `testbed down` kills it
    init.wait().map(|_| ())
}
