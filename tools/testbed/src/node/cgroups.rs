//! One control group for each cluster in every hierarchy; the cluster's processes see no others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, mount};

const ROOT: &str = "/sys/fs/cgroup";
/// The group of the node's own processes: with cgroup v2 a group has either processes or children with limits.
const LEAF: &str = "node";

/// One mounted hierarchy: version 2, or one set of version 1's controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    folder: PathBuf,
    /// Mount data of version 1 (`memory`, `none,name=systemd`); `None` for version 2.
    controllers: Option<String>,
}

/// The hierarchies that are mounted here, as `/proc/self/mountinfo` lists them.
pub(crate) fn hierarchies() -> io::Result<Vec<Hierarchy>> {
    Ok(parse(&fs::read_to_string("/proc/self/mountinfo")?))
}

fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, filesystem)) = line.split_once(" - ") else { continue };
        let mut filesystem = filesystem.split(' ');
        let (kind, options) = (filesystem.next(), filesystem.nth(1).unwrap_or(""));
        let controllers = match kind {
            Some("cgroup2") => None,
            Some("cgroup") => {
                let named: Vec<_> = options.split(',').filter(|option| !is_flag(option)).collect();
                let named = named.join(",");
                Some(if named.starts_with("name=") { format!("none,{named}") } else { named })
            }
            _ => continue,
        };
        let Some(folder) = mount.split(' ').nth(4).map(PathBuf::from) else { continue };
        // a hierarchy may be mounted twice; one is enough
        if folder.starts_with(ROOT) && !found.iter().any(|other| other.controllers == controllers) {
            found.push(Hierarchy { folder, controllers });
        }
    }
    found
}

fn is_flag(option: &str) -> bool {
    matches!(option, "rw" | "ro" | "xattr" | "clone_children" | "noprefix") || option.starts_with("release_agent=")
}

/// The name of a cluster's group.
pub(crate) fn group(cluster: &str) -> String {
    format!("slipway-testbed-{cluster}")
}

/// Creates the cluster's group in every hierarchy.
pub(crate) fn create(hierarchies: &[Hierarchy], cluster: &str) -> io::Result<()> {
    for hierarchy in hierarchies {
        let group = hierarchy.folder.join(group(cluster));
        if hierarchy.controllers.is_none() {
            delegate(&hierarchy.folder)?;
        }
        fs::create_dir_all(group.join(LEAF))?;
        if hierarchy.controllers.as_deref().is_some_and(|names| names.split(',').any(|name| name == "cpuset")) {
            // with version 1, a group without processors and memory takes no processes
            for child in [group.clone(), group.join(LEAF)] {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    fs::write(child.join(file), fs::read_to_string(hierarchy.folder.join(file))?)?;
                }
            }
        }
    }
    Ok(())
}

/// Version 2: children of `folder` may use every controller that it has.
fn delegate(folder: &Path) -> io::Result<()> {
    for controller in fs::read_to_string(folder.join("cgroup.controllers"))?.split_whitespace() {
        fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"))?;
    }
    Ok(())
}

/// Moves this process into the cluster's groups, so that they are the roots of a control group namespace that it creates next.
pub(crate) fn enter(hierarchies: &[Hierarchy], cluster: &str) -> io::Result<()> {
    for hierarchy in hierarchies {
        fs::write(hierarchy.folder.join(group(cluster)).join("cgroup.procs"), "0")?;
    }
    Ok(())
}

/// Inside the new namespaces: mounts the hierarchies where the machine has them, with only the cluster's groups in them.
pub(crate) fn mount_own(hierarchies: &[Hierarchy]) -> io::Result<()> {
    if hierarchies.iter().any(|hierarchy| hierarchy.folder != Path::new(ROOT)) {
        mount("tmpfs", ROOT, "tmpfs", MountFlags::empty(), Some(c"mode=755"))?;
    }
    for Hierarchy { folder, controllers } in hierarchies {
        fs::create_dir_all(folder)?;
        let data = controllers.clone().map(std::ffi::CString::new).transpose()?;
        let kind = if data.is_some() { "cgroup" } else { "cgroup2" };
        mount(kind, folder, kind, MountFlags::empty(), data.as_deref())?;
        fs::write(folder.join(LEAF).join("cgroup.procs"), "0")?;
        if controllers.is_none() {
            delegate(folder)?;
        }
    }
    Ok(())
}

/// Removes the cluster's groups. Their processes have ended or are about to: a group that is busy is tried again for `limit`.
pub(crate) fn remove(hierarchies: &[Hierarchy], cluster: &str, limit: Duration) -> io::Result<()> {
    let end = Instant::now() + limit;
    for hierarchy in hierarchies {
        let group = hierarchy.folder.join(group(cluster));
        loop {
            match remove_tree(&group) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) if Instant::now() >= end => {
                    return Err(io::Error::new(error.kind(), format!("cannot remove {}: {error}", group.display())));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
    Ok(())
}

/// Removes children first. The files of a group disappear with it.
fn remove_tree(group: &Path) -> io::Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_from_mountinfo() {
        let mountinfo = "\
30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
34 30 0:30 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
35 30 0:30 / /mnt/again rw,relatime - cgroup2 cgroup2 rw
";
        let of = |folder: &str, controllers: Option<&str>| Hierarchy {
            folder: Path::new(ROOT).join(folder),
            controllers: controllers.map(str::to_owned),
        };
        assert_eq!(
            parse(mountinfo),
            [
                of("memory", Some("memory")),
                of("cpu,cpuacct", Some("cpu,cpuacct")),
                of("systemd", Some("none,name=systemd")),
                of("unified", None),
            ]
        );
    }
}
