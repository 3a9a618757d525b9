//! The node's own network, from which it reaches only its pods and itself.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use super::ADDRESS;

/// Gives the new network namespace its address and routes.
///
/// The address is on an empty bridge, because not every kernel has the `dummy` device. Service addresses need a route, since
/// kube-proxy translates them only after one was chosen. There is no default route: nothing leaves the node.
pub(super) fn set_up() -> io::Result<()> {
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
        return Err(io::Error::other(format!("ip -batch: {status}; one of these failed:\n{commands}")));
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1")
}
