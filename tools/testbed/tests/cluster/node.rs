//! What a cluster leaves on the machine, and that two do not meet. These clusters are bare: a node and nothing in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, ObjectMeta, PostParams};
use rustix::process::{Pid, Signal, kill_process};
use testbed::cluster::{Forget, Options};
use testbed::{Cache, Cluster};

/// A bare cluster of its own, taken down when the value is dropped.
pub(crate) struct Bare(pub(crate) Cluster);

impl Bare {
    pub(crate) async fn up(name: &str) -> Self {
        let cluster = Cluster::new(&Cache::locate().unwrap(), name).unwrap();
        let options = Options { fresh: true, components: Some(Vec::new()) };
        cluster.up(&options, &|_| {}).await.unwrap();
        Self(cluster)
    }

    fn init(&self) -> Pid {
        Pid::from_raw(self.0.folder().init().unwrap()).unwrap()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let down = self.0.down(Forget::Everything);
        if !std::thread::panicking() {
            down.unwrap();
        }
    }
}

/// Everything outside of its folder that a cluster could leave behind, a line each.
fn traces(cluster: &str) -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    let mut add = |kind: &str, lines: String| traces.extend(lines.lines().map(|line| format!("{kind}: {line}")));
    let output = |program: &str, arguments: &[&str]| {
        String::from_utf8(Command::new(program).args(arguments).output().unwrap().stdout).unwrap()
    };
    add("mount", fs::read_to_string("/proc/self/mountinfo").unwrap());
    add("interface", names(Path::new("/sys/class/net")));
    add(
        "rule",
        output("iptables-save", &[]).lines().filter(|line| !line.starts_with('#')).map(without_counters).collect(),
    );
    add("route", output("ip", &["route"]));
    for folder in [
        "/",
        "/run",
        "/run/netns",
        "/run/containerd",
        "/var/lib",
        "/var/lib/cni",
        "/var/log",
        "/etc",
        "/etc/cni",
        "/opt",
        "/usr/libexec",
    ] {
        add(folder, names(Path::new(folder)));
    }
    for setting in [
        "vm/overcommit_memory",
        "vm/panic_on_oom",
        "kernel/panic",
        "kernel/panic_on_oops",
        "kernel/hostname",
        "net/ipv4/ip_forward",
    ] {
        add(setting, fs::read_to_string(Path::new("/proc/sys").join(setting)).unwrap());
    }
    let groups = output("find", &["/sys/fs/cgroup", "-name", &format!("slipway-testbed-{cluster}")]);
    add("control group", groups);
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let cmdline = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        if cmdline.contains(&format!("--cluster {cluster} ")) {
            add("process", cmdline);
        }
    }
    traces
}

fn names(folder: &Path) -> String {
    let Ok(entries) = fs::read_dir(folder) else { return String::new() };
    entries.flatten().map(|entry| format!("{}\n", entry.file_name().display())).collect()
}

fn without_counters(line: &str) -> String {
    format!("{}\n", line.split(" [").next().unwrap_or(line))
}

/// Processes in the PID namespace of `init`, which is gone with its last process: so its inode is asked for before.
fn inhabitants(namespace: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter(|process| fs::read_link(process.path().join("ns/pid")).is_ok_and(|other| other == namespace))
        .count()
}

fn wait_until_unlocked(cluster: &Cluster) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while cluster.folder().is_locked() {
        assert!(Instant::now() < deadline, "the keeper does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asserts that nothing is there that was not there before. Other programs of the machine may have taken things away meanwhile.
fn assert_nothing_new(before: &BTreeSet<String>, cluster: &str) {
    let after = traces(cluster);
    let new: Vec<_> = after.difference(before).collect();
    assert!(new.is_empty(), "left behind: {new:#?}");
}

#[tokio::test]
async fn nothing_is_left_by_down_nor_by_a_killed_init_nor_by_a_killed_keeper() {
    let before = traces("test-alone");
    assert!(
        !before.iter().any(|trace| trace.contains("slipway-testbed-test-alone")),
        "an earlier test left its control groups"
    );

    let bare = Bare::up("test-alone").await;
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", bare.init().as_raw_nonzero())).unwrap();
    assert!(inhabitants(&namespace) > 8, "the node's programs are in its PID namespace");
    let during: Vec<_> = traces("test-alone").difference(&before).cloned().collect();
    assert!(
        during.iter().all(|trace| trace.starts_with("process: ") || trace.starts_with("control group: ")),
        "{during:#?}"
    );
    drop(bare);
    assert_eq!(inhabitants(&namespace), 0);
    assert_nothing_new(&before, "test-alone");

    let bare = Bare::up("test-alone").await;
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", bare.init().as_raw_nonzero())).unwrap();
    kill_process(bare.init(), Signal::KILL).unwrap();
    wait_until_unlocked(&bare.0);
    assert_eq!(inhabitants(&namespace), 0);
    assert_nothing_new(&before, "test-alone");

    let again = Bare::up("test-alone").await;
    let init = again.init();
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", init.as_raw_nonzero())).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", init.as_raw_nonzero())).unwrap();
    let keeper = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(keeper).unwrap(), Signal::KILL).unwrap();
    wait_until_unlocked(&again.0);
    let deadline = Instant::now() + Duration::from_secs(20);
    while inhabitants(&namespace) > 0 {
        assert!(Instant::now() < deadline, "the node outlives its keeper");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Nobody is left to remove the empty control groups; the next command does.
    drop(again);
    assert_nothing_new(&before, "test-alone");
}

#[tokio::test]
async fn two_clusters_run_side_by_side() {
    let (one, two) = tokio::join!(Bare::up("test-one"), Bare::up("test-two"));
    let uid = async |cluster: &Bare| {
        let namespaces: Api<Namespace> = Api::all(cluster.0.client().await.unwrap());
        namespaces.get("kube-system").await.unwrap().metadata.uid.unwrap()
    };
    assert_ne!(uid(&one).await, uid(&two).await);

    let maps = async |cluster: &Bare| -> Api<ConfigMap> { Api::default_namespaced(cluster.0.client().await.unwrap()) };
    let only_in_one = ConfigMap {
        metadata: ObjectMeta { name: Some("mine".to_owned()), ..ObjectMeta::default() },
        ..ConfigMap::default()
    };
    maps(&one).await.create(&PostParams::default(), &only_in_one).await.unwrap();
    let found = maps(&two).await.list(&ListParams::default()).await.unwrap();
    assert!(found.iter().all(|map| map.metadata.name.as_deref() != Some("mine")));

    drop(one);
    assert!(!uid(&two).await.is_empty(), "the other runs on");
}

#[tokio::test]
async fn the_node_reaches_nothing_of_the_machine() {
    let bare = Bare::up("test-apart").await;
    let inside = |command: &str| {
        let output = bare.0.inside(["bash", "-c", command]).unwrap().output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(inside("ip route show default"), (true, String::new()));
    let (_, interfaces) = inside("ls /sys/class/net");
    assert_eq!(interfaces, "lo\nnode0\n");
    assert!(!inside("touch /etc/of-the-node").0, "the machine's files are read only");
    let mark = format!("/tmp/of-the-node-{}", std::process::id());
    assert!(inside(&format!("touch {mark}")).0);
    assert!(!Path::new(&mark).exists(), "its /tmp is its own");
    // Its own port of the machine's loopback is not on the node's.
    let kubeconfig = fs::read_to_string(bare.0.folder().kubeconfig()).unwrap();
    let port = kubeconfig.split("https://127.0.0.1:").nth(1).unwrap().lines().next().unwrap();
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    assert!(inside("exec 3<>/dev/tcp/127.0.0.1/2379").0, "etcd is on the node's own loopback");
    assert!(!inside(&format!("exec 3<>/dev/tcp/127.0.0.1/{port}")).0);
}

#[tokio::test]
async fn status_names_every_program_with_its_version_and_memory() {
    let bare = Bare::up("test-status").await;
    let status = bare.0.status().await.unwrap();
    let names: Vec<_> = status.components.iter().map(|component| component.name.as_str()).collect();
    for program in [
        "etcd",
        "containerd",
        "registry",
        "gitserve",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
        "kube-proxy",
    ] {
        assert!(names.contains(&program), "{names:?}");
    }
    assert!(
        status.components.iter().all(|component| component.state == "running" && component.memory > 1 << 20),
        "{status}"
    );
    let version = |name: &str| &status.components.iter().find(|component| component.name == name).unwrap().version;
    assert_eq!((version("kubelet").as_str(), version("etcd").as_str()), ("1.36.3", "3.6.14"));
    assert!(status.to_string().lines().count() >= 11, "{status}");
    bare.0.down(Forget::Nothing).unwrap();
    assert!(!bare.0.status().await.unwrap().running);
    assert!(bare.0.client().await.is_err_and(|error| error.to_string().contains("testbed up --cluster test-status")));
}
