//! The file system that the node's processes see: the machine's, read only, and a few folders of their own.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount};

use super::cgroups::{self, Hierarchy};

/// The cluster's folder, inside.
pub(super) const STATE: &str = "/run/testbed";
/// The cache with the built programs, inside.
pub(super) const CACHE: &str = "/run/testbed-cache";

/// Settings of the whole machine, with the values that kubelet wants. It finds these in files that are mounted over the real ones,
/// and so changes nothing.
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Sets up the mounts of this process's own mount namespace.
pub(super) fn set_up(state: &Path, cache: &Path, hierarchies: &[Hierarchy]) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // opened before anything is mounted over the folders that they may be in
    let (state, cache) = (folder(state)?, folder(cache)?);
    mount("proc", "/proc", "proc", plain(), None)?;
    mount("sysfs", "/sys", "sysfs", plain(), None)?;
    for (folder, options) in [("/run", c"mode=755"), ("/tmp", c"mode=1777"), ("/var/lib", c"mode=755")] {
        mount("tmpfs", folder, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(options))?;
    }
    fs::create_dir("/run/lock")?;
    for (folder, target) in [(&state, STATE), (&cache, CACHE)] {
        fs::create_dir(target)?;
        mount_bind(format!("/proc/self/fd/{}", folder.as_raw_fd()), target)?;
    }
    // kubelet links every container's log into /var/log/containers
    mount_bind(Path::new(STATE).join("log"), "/var/log")?;
    cgroups::mount_own(hierarchies)?;
    cover_tunables()?;
    mount_remount("/", MountFlags::BIND | MountFlags::RDONLY, "")?;
    // volumes that are mounted while a pod runs must reach it
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC).map_err(io::Error::from)
}

fn plain() -> MountFlags {
    MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC
}

fn folder(path: &Path) -> io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn cover_tunables() -> io::Result<()> {
    let covers = Path::new("/run/tunables");
    fs::create_dir(covers)?;
    for (name, value) in TUNABLES {
        let (cover, real) = (covers.join(name.replace('/', ".")), Path::new("/proc/sys").join(name));
        if real.exists() {
            fs::write(&cover, value)?;
            mount_bind(&cover, &real)?;
        }
    }
    Ok(())
}
