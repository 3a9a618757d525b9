//! What the programs of a person's own machine know: `gh` its logins, `ssh` its aliases.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Variables;

const LIMIT: Duration = Duration::from_secs(5);
/// With one of these set, `gh auth token` gives it back whatever the host.
const TOKENS: [&str; 4] = ["GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

/// The token of a login by `gh auth login --hostname <host>`. Returns `None` without `gh` or without such a login.
pub(crate) fn gh_token(host: &str) -> Option<String> {
    let mut command = Command::new("gh");
    command.args(["auth", "token", "--hostname", host]);
    TOKENS.iter().for_each(|name| {
        command.env_remove(name);
    });
    Some(output(command, LIMIT)?.trim().to_owned()).filter(|token| !token.is_empty())
}

/// The host that `~/.ssh/config` gives for a name, asked of the ssh that git runs. Returns `None` if that cannot tell.
pub(crate) fn ssh_host(name: &str, variables: Variables) -> Option<String> {
    let mut command = match (variables("GIT_SSH_COMMAND"), variables("GIT_SSH")) {
        (Some(line), _) => {
            // a line of a shell, as for git
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("{line} \"$@\"")).arg("sh");
            shell
        }
        (None, Some(program)) => Command::new(program),
        (None, None) => Command::new("ssh"),
    };
    command.args(["-G", name]);
    let settings = output(command, LIMIT)?;
    settings.lines().find_map(|line| line.strip_prefix("hostname ")).map(|host| host.trim().to_owned())
}

/// What a program prints, if it succeeds within `limit`. After that it is killed.
pub(crate) fn output(mut command: Command, limit: Duration) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let mut pipe = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    // The thread ends with the pipe. If a grandchild keeps that open, nobody waits for the thread.
    thread::spawn(move || {
        let mut text = String::new();
        // the receiver has gone once time is up
        let _ = sender.send(pipe.read_to_string(&mut text).map(|_| text));
    });
    let text = receiver.recv_timeout(limit).ok().and_then(Result::ok);
    if text.is_none() {
        // it may have ended in between
        let _ = child.kill();
    }
    let status = child.wait().ok()?;
    text.filter(|_| status.success())
}
