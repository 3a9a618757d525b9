//! The node's own network: it reaches its pods and itself, and nothing else.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use super::ADDRESS;

/// Gives the new network namespace its address and routes.
///
/// The address sits on an empty bridge, because not every kernel has the `dummy` device. Service addresses must lead somewhere
/// before kube-proxy has translated them. There is no default route: nothing leaves the node.
pub(super) fn arrange() -> io::Result<()> {
    let commands = format!(
        "link set lo up\n\
         link add node0 type bridge\n\
         address add {ADDRESS}/24 dev node0\n\
         link set node0 up\n\
         route add 10.96.0.0/16 dev node0\n"
    );
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = ip.stdin.take() {
        stdin.write_all(commands.as_bytes())?;
    }
    let status = ip.wait()?;
    if !status.success() {
        return Err(io::Error::other(format!("ip -batch: {status}, at one of:\n{commands}")));
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")
}
