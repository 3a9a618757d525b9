//! How the tests run a container: like a pod under Pod Security's level `restricted`, with a read-only root file system.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::containerd::Containerd;

/// The capabilities that runc gives a container by default; the tests drop all of them.
const CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// The user of every image.
pub const USER: u32 = 65532;

/// The options of `ctr run`. A container uses the machine's loopback, so that the tests can reach it, and nothing else of the machine.
pub fn options() -> Vec<String> {
    writing_to("/tmp")
}

/// The same for a container that may write to another folder alone.
pub fn writing_to(folder: &str) -> Vec<String> {
    let mut all: Vec<String> = ["--net-host", "--read-only", "--seccomp"].map(str::to_owned).into();
    all.extend(CAPABILITIES.iter().flat_map(|name| ["--cap-drop".to_owned(), (*name).to_owned()]));
    // in memory, like an emptyDir
    let mount = format!("type=tmpfs,src=tmpfs,dst={folder},options=nosuid:nodev:size=512m:mode=1777");
    all.extend(["--mount".to_owned(), mount]);
    all
}

/// Writes a program that runs the image in a container, to be used instead of a program of this machine. It passes its environment in,
/// and output, signals and exit code out. The container can write the folder of `SLIPWAY_CACHE` and read that of `SLIPWAY_MODELS`.
pub fn stand_in(containerd: &Containerd, image: &str, name: &str) -> Result<std::path::PathBuf> {
    use std::os::unix::fs::PermissionsExt;

    let path = containerd.folder().join(name);
    let options: String = options().iter().map(|option| format!(" '{option}'")).collect();
    let script = format!(
        "#!/bin/sh\nset -eu\n\
         file={folder}/{name}-$$.env\n\
         env | grep -E '^(SLIPWAY|MLFLOW|AWS|PET|OMP|JOB)_' > \"$file\"\n\
         mkdir -p \"$SLIPWAY_CACHE\" && chmod 0777 \"$SLIPWAY_CACHE\"\n\
         set -- --mount \"type=bind,src=$SLIPWAY_CACHE,dst=$SLIPWAY_CACHE,options=rbind:rw\"\n\
         if [ -n \"${{SLIPWAY_MODELS:-}}\" ]; then\n\
           folder=$(dirname \"$SLIPWAY_MODELS\")\n\
           set -- \"$@\" --mount \"type=bind,src=$folder,dst=$folder,options=rbind:ro\"\n\
         fi\n\
         echo {name}-$$ >> {folder}/{name}.started\n\
         exec ctr --address {socket} run --rm{options} --env-file \"$file\" \"$@\" {image} {name}-$$\n",
        folder = containerd.folder().display(),
        socket = containerd.socket(),
    );
    std::fs::write(&path, script)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Starts a container in the background.
pub fn start(
    containerd: &Containerd,
    image: &str,
    id: &str,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> Result<()> {
    let mut command = containerd.ctr();
    command.args(["run", "--detach"]).args(options());
    command.args(["--log-uri", &format!("file://{}/{id}.log", containerd.folder().display())]);
    for (name, value) in environment {
        command.args(["--env", &format!("{name}={value}")]);
    }
    command.arg(image).arg(id).args(arguments);
    let done = command.output()?;
    ensure!(
        done.status.success(),
        "{id}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// Runs a program inside a container; returns its output.
pub fn inside(containerd: &Containerd, id: &str, program: &[&str]) -> Result<String> {
    let mut arguments = vec!["tasks", "exec", "--exec-id", "inside", id];
    arguments.extend(program);
    containerd.does(&arguments)
}

/// Fails unless the container's first process is confined: not root, without capabilities and any way to gain them, on a read-only
/// root file system.
pub fn is_confined(containerd: &Containerd, id: &str) -> Result<()> {
    let tasks = containerd.does(&["tasks", "list"])?;
    let pid = tasks
        .lines()
        .find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(id)).then(|| words.next().map(str::to_owned))?
        })
        .with_context(|| format!("no task {id}: {tasks}"))?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let user = USER.to_string();
    for name in ["Uid:", "Gid:"] {
        ensure!(value(name).split_whitespace().all(|id| id == user), "{id} runs as {name} {}", value(name));
    }
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        ensure!(value(name) == "0000000000000000", "{id} has {name} {}", value(name));
    }
    ensure!(value("NoNewPrivs:") == "1", "{id} can gain privileges");
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).context("no root")?;
    ensure!(
        root.split(' ').nth(5).is_some_and(|options| options.split(',').any(|one| one == "ro")),
        "{id} can write /: {root}"
    );
    Ok(())
}

/// Builds an image into a tar; returns its path.
pub fn tar(repository: &Path, name: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let file = folder.join(format!("{name}.tar"));
    crate::built::image(repository, &["build", name, "--to", &format!("tar:{}", file.display())])?;
    Ok(file)
}
