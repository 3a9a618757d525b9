//! Process 1 of a cluster.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use nix::sched::CloneFlags;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Signal, set_parent_process_death_signal};

use super::mounts::{self, STATE};
use super::programs::PROGRAMS;
use super::supervisor::Supervisor;
use super::{ADDRESS, NAME, cgroups, forward, keys, network};
use crate::{Cache, Folder};

const ETC: &str = "/run/etc";

/// Builds the node around this process and runs it. The process must be the first of a new PID namespace and have one thread.
///
/// # Errors
/// Whatever prevents the node from being built. Programs that end later are restarted.
pub fn run(cache: &Cache, cluster: &str) -> io::Result<Infallible> {
    // a keeper that is killed leaves no cluster behind
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if std::process::id() != 1 {
        return Err(io::Error::other("only `testbed up` starts this"));
    }
    let outside = open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let hierarchies = cgroups::hierarchies()?;
    cgroups::enter(&hierarchies, cluster)?;
    nix::sched::unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWCGROUP
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS,
    )?;
    rustix::system::sethostname(NAME.as_bytes())?;
    mounts::set_up(cache.clusters().join(cluster).as_path(), cache.root(), &hierarchies)?;
    network::set_up()?;
    write_configuration()?;

    let supervisor = Supervisor::default();
    let (before_keys, after_keys): (Vec<_>, Vec<_>) =
        PROGRAMS.iter().partition(|program| !program.name.starts_with("kube"));
    before_keys.into_iter().for_each(|program| supervisor.start(program));
    keys::create()?;
    after_keys.into_iter().for_each(|program| supervisor.start(program));

    let folder = Folder::at(STATE.into());
    let node: Ipv4Addr = ADDRESS.parse().map_err(io::Error::other)?;
    let api = forward::serve(&outside, SocketAddr::from((node, 6443)))?;
    let registry = forward::serve(&outside, SocketAddr::from((node, 5000)))?;
    let git = forward::serve(&outside, SocketAddr::from((node, 3000)))?;
    // nothing listens there until a gateway is deployed on this port, as overlays/local/traefik does
    let gateway = forward::serve(&outside, SocketAddr::from((node, 30080)))?;
    fs::write(folder.forwards(), format!("registry={registry}\ngit={git}\ngateway={gateway}\n"))?;
    write_kubeconfig(&folder, api)?;
    supervisor.reap()
}

fn write_configuration() -> io::Result<()> {
    for (file, text) in [
        ("kubeadm.yaml", include_str!("etc/kubeadm.yaml")),
        ("containerd.toml", include_str!("etc/containerd.toml")),
        ("registries/_default/hosts.toml", include_str!("etc/hosts.toml")),
        ("registry.yaml", include_str!("etc/registry.yaml")),
        ("kubelet.yaml", include_str!("etc/kubelet.yaml")),
        ("kube-proxy.yaml", include_str!("etc/kube-proxy.yaml")),
        ("cni/10-bridge.conflist", include_str!("etc/bridge.conflist")),
        // no name server: names outside the cluster do not exist
        ("resolv.conf", ""),
    ] {
        let file = Path::new(ETC).join(file);
        fs::create_dir_all(file.parent().unwrap_or(Path::new(ETC)))?;
        fs::write(file, text)?;
    }
    Ok(())
}

/// Writes the administrator's kubeconfig with the forwarded address; the file appears complete.
fn write_kubeconfig(folder: &Folder, api: SocketAddr) -> io::Result<()> {
    let inside = fs::read_to_string(Path::new(STATE).join("etc/super-admin.conf"))?;
    let unfinished = folder.root().join("kubeconfig.new");
    fs::write(&unfinished, inside.replace(&format!("https://{ADDRESS}:6443"), &format!("https://{api}")))?;
    fs::rename(unfinished, folder.kubeconfig())
}
