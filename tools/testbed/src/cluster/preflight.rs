//! What a machine needs before a cluster can run on it.

use std::env;
use std::path::Path;

use super::error::Error;
use crate::Cache;
use crate::node::{cgroups, programs::PROGRAMS};

/// Programs, each with the Debian package that has it.
const PACKAGED: [(&str, &str); 10] = [
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("runc", "runc"),
    ("iptables", "iptables"),
    ("ip", "iproute2"),
    ("conntrack", "conntrack"),
    ("ipset", "ipset"),
    ("ethtool", "ethtool"),
    ("socat", "socat"),
    ("nsenter", "util-linux"),
];

/// Checks that the machine can run a cluster.
///
/// # Errors
/// Everything that is missing, with what to do about it.
pub(super) fn check(cache: &Cache) -> Result<(), Error> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push(
            "root: the cluster's programs run in namespaces and control groups of their own, which only root may create"
                .to_owned(),
        );
    }
    let mut packages: Vec<_> =
        PACKAGED.iter().filter(|(program, _)| !is_on_path(program)).map(|(_, package)| *package).collect();
    if !["bridge", "host-local", "loopback", "portmap"]
        .iter()
        .all(|plugin| Path::new("/usr/lib/cni").join(plugin).exists())
    {
        packages.push("containernetworking-plugins");
    }
    packages.dedup();
    if !packages.is_empty() {
        missing.push(format!("Debian packages: apt-get install {}", packages.join(" ")));
    }
    if cgroups::hierarchies().is_ok_and(|found| found.is_empty()) {
        missing.push("control groups: none is mounted under /sys/fs/cgroup".to_owned());
    }
    let unbuilt: Vec<_> = PROGRAMS
        .iter()
        .map(|program| program.name)
        .chain(["kubeadm"])
        .filter(|name| *name != "containerd" && !cache.program(name).exists())
        .collect();
    if !unbuilt.is_empty() {
        missing.push(format!("built programs ({}): make cluster-build", unbuilt.join(", ")));
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Machine(missing)) }
}

/// System folders are searched as well, since not every root user has them on the path.
fn is_on_path(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|folder| folder.join(program).is_file())
}
