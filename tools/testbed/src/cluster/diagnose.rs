//! The evidence in the logs if something does not come up, and its likely cause.

use std::fs;
use std::path::Path;

const LINES: usize = 12;

/// A sign in a log line, and the cause that it points to with what to do about it.
const CAUSES: [(&str, &str); 9] = [
    (
        "cgroup driver",
        "kubelet and containerd disagree about the cgroup driver; node/etc/kubelet.yaml says `cgroupfs`, so containerd's runc must not have SystemdCgroup",
    ),
    (
        "address already in use",
        "something listens on that port inside the cluster's own network; take the cluster down and up again",
    ),
    (
        "too many open files",
        "the machine allows too few inotify instances for another cluster: sysctl -w fs.inotify.max_user_instances=512",
    ),
    ("no space left on device", "the disk is full: testbed down --fresh, or remove the cache's gocache folder"),
    (
        "executable file not found",
        "a Debian package is missing: apt-get install containerd runc iptables iproute2 containernetworking-plugins conntrack",
    ),
    ("failed to find plugin", "the network plugins are missing: apt-get install containernetworking-plugins"),
    (
        "Operation not permitted",
        "root without CAP_SYS_ADMIN or CAP_NET_ADMIN (in a container?) cannot create the cluster's namespaces",
    ),
    (
        "mkdir /sys/fs/cgroup",
        "control groups are read only here (in a container?); run on the machine itself, or with --privileged",
    ),
    ("x509: certificate", "the keys belong to another cluster: testbed down --fresh"),
];

/// The last lines of a log and the likely cause, to be appended to a sentence; empty if there is no log.
pub(crate) fn evidence(log: &Path) -> String {
    let Ok(bytes) = fs::read(log) else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LINES)..];
    if last.is_empty() {
        return format!("; {} is empty", log.display());
    }
    let mut evidence = format!("; the end of {}:\n  {}", log.display(), last.join("\n  "));
    if let Some(cause) = cause(last) {
        evidence += &format!("\nlikely cause: {cause}");
    }
    evidence
}

/// The cause that the last line with a sign points to.
pub(crate) fn cause(lines: &[&str]) -> Option<&'static str> {
    lines.iter().rev().find_map(|line| {
        let line = line.to_lowercase();
        CAUSES.iter().find(|(sign, _)| line.contains(&sign.to_lowercase())).map(|(_, cause)| *cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_the_end_of_the_log_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("kubelet.log");
        let mut text: String = (0..50).map(|n| format!("line {n}\n")).collect();
        text += "listen tcp 127.0.0.1:10248: bind: address already in use\n";
        fs::write(&log, text).unwrap();
        let evidence = evidence(&log);
        assert!(evidence.contains("line 49") && !evidence.contains("line 30"), "{evidence}");
        assert!(evidence.contains("likely cause: something listens on that port"), "{evidence}");
        assert_eq!(super::evidence(&folder.path().join("none.log")), "");
    }
}
