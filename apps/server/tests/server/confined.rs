//! The server with a root file system that is read-only, as a pod has it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::{Server, list, picture, program, request};
use crate::registry::Registry;

/// The same program, which can write to its cache and nowhere else.
fn confined(command: &Command, cache: &Path) -> Command {
    const SCRIPT: &str = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro / && shift && exec \"$@\"";
    let mut confined = Command::new("unshare");
    confined.args(["--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(cache).arg(command.get_program());
    confined.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    confined.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    confined
}

#[tokio::test]
#[ignore = "needs mount namespaces: `make test-confined`"]
async fn it_writes_only_to_its_cache() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    std::fs::write(folder.path().join("models.yaml"), list("1", &digest)).unwrap();
    let command = confined(&program(folder.path(), &registry.address()), &cache);
    let mut server = Server::run(command, folder);
    server.ready().await;
    assert_eq!(server.post("mnist", request(&picture(0, 1))).await.0, 200);
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", server.pid())).unwrap();
    let root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/")).unwrap();
    assert!(root.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{root}");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}
