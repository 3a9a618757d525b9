//! How the tests run a container: as Pod Security's level `restricted` with a read-only root file system would.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::containerd::Containerd;

/// What runc gives a container unless told otherwise; all of it is taken away.
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

/// The options of `ctr run`: on the machine's loopback, so that the tests can ask it, without anything else of the machine.
pub fn options() -> Vec<String> {
    let mut all: Vec<String> = ["--net-host", "--read-only", "--seccomp"].map(str::to_owned).into();
    all.extend(CAPABILITIES.iter().flat_map(|name| ["--cap-drop".to_owned(), (*name).to_owned()]));
    // the 64 MiB of /dev/shm and a /tmp in memory, as an emptyDir would be
    all.extend(
        ["--mount", "type=tmpfs,src=tmpfs,dst=/tmp,options=nosuid:nodev:size=512m:mode=1777"].map(str::to_owned),
    );
    all
}

/// Writes a program that runs the image in a container in the place of a program of this machine: what it is told by its
/// environment goes in, its output, signals and exit code come out. The folder that `SLIPWAY_CACHE` names can be written there,
/// the one of `SLIPWAY_MODELS` read.
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

/// Starts a container that goes on.
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

/// Runs a program inside a container; what it printed.
pub fn inside(containerd: &Containerd, id: &str, program: &[&str]) -> Result<String> {
    let mut arguments = vec!["tasks", "exec", "--exec-id", "inside", id];
    arguments.extend(program);
    containerd.does(&arguments)
}

/// Fails unless the container's first process has no right that it does not need: not root, no capability, no way to get one,
/// a root file system that cannot be written.
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

/// A tar of an image as `slipway image build` writes it.
pub fn tar(repository: &Path, name: &str, folder: &Path) -> Result<std::path::PathBuf> {
    let file = folder.join(format!("{name}.tar"));
    crate::built::image(repository, &["build", name, "--to", &format!("tar:{}", file.display())])?;
    Ok(file)
}
