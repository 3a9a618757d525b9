//! The processes of a cluster, as the machine sees them.

use std::fs;
use std::path::Path;

use crate::node::cgroups;

/// One process of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// File name of the program, from its first argument.
    pub(super) name: String,
    /// Its control groups, one line for each hierarchy, as in `/proc/PID/cgroup`.
    pub(super) group: String,
    /// Its share of memory in bytes: private pages, and shared ones divided among the processes that share them (PSS).
    pub(super) memory: u64,
}

/// Every process in the control groups of `cluster`, those of its pods included, which have PID namespaces of their own. A process
/// that ends meanwhile is left out.
pub(super) fn of(cluster: &str) -> Vec<Process> {
    let group = format!("/{}/", cgroups::group(cluster));
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| read(&entry.path(), &group)).collect()
}

fn read(folder: &Path, cluster_group: &str) -> Option<Process> {
    let pid = folder.file_name()?.to_str()?.parse().ok()?;
    let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let field = |text: &str, name: &str| Some(text.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned());
    let parent = field(&text("status")?, "PPid:")?.parse().ok()?;
    let cmdline = fs::read(folder.join("cmdline")).ok()?;
    let first = String::from_utf8_lossy(cmdline.split(|byte| *byte == 0).next()?).into_owned();
    let name = Path::new(&first).file_name()?.to_string_lossy().into_owned();
    let group = text("cgroup")?;
    group.contains(cluster_group).then_some(())?;
    let memory = field(&text("smaps_rollup")?, "Pss:")?.strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024;
    Some(Process { pid, parent, name, group, memory })
}
