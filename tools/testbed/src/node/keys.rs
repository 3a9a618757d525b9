//! Keys and kubeconfigs, created by kubeadm's phases once in a cluster's life.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Stdio;

use super::mounts::STATE;
use super::programs::command;

const PHASES: [&str; 3] = [
    "init phase certs all --config /run/etc/kubeadm.yaml",
    "init phase kubeconfig all --config /run/etc/kubeadm.yaml --kubeconfig-dir /run/testbed/etc",
    "kubeconfig user --config /run/etc/kubeadm.yaml --client-name system:kube-proxy",
];

/// Creates what is missing. kube-proxy's kubeconfig comes last: if it exists, all of them do.
pub(super) fn create() -> io::Result<()> {
    let last = Path::new(STATE).join("etc/kube-proxy.conf");
    if last.exists() {
        return Ok(());
    }
    let log = File::create(Path::new("/var/log/kubeadm.log"))?;
    let unfinished = last.with_extension("new");
    for phase in PHASES {
        let output = if phase.starts_with("kubeconfig") { File::create(&unfinished)? } else { log.try_clone()? };
        let status = command("kubeadm")
            .args(phase.split(' '))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log.try_clone()?)
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!(
                "kubeadm {phase}: {status}; its output:\n{}",
                fs::read_to_string("/var/log/kubeadm.log")?
            )));
        }
    }
    fs::rename(unfinished, last)
}
