//! A table of what runs: state, version, memory.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};
use std::thread;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use slipway_cluster::list_all;

use super::error::{Error, Tried as _};
use super::processes::{self, Process};
use super::{Cluster, diagnose};
use crate::node::programs::PROGRAMS;

/// The state of a cluster at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// Whether its node runs.
    pub running: bool,
    /// The node's programs, then the pods.
    pub components: Vec<ComponentStatus>,
    /// Memory of all of the cluster's processes in bytes (PSS: shared pages are divided among the processes that share them).
    pub memory: u64,
}

/// One program of the node, or one pod.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentStatus {
    /// The program, or the pod as `namespace/name`.
    pub name: String,
    /// `running`, `starting`, or what the pod waits for.
    pub state: String,
    /// The version that the program reports, or the tag of the pod's first image; empty if unknown.
    pub version: String,
    /// Memory of its processes in bytes (PSS).
    pub memory: u64,
    /// The process id of a program of the node, in the machine's PID namespace; `None` for pods.
    pub pid: Option<i32>,
}

impl Cluster {
    /// Inspects the cluster's processes and, if the API answers, its pods.
    ///
    /// # Errors
    /// An API that answers with an error.
    pub async fn status(&self) -> Result<Status, Error> {
        let Some(init) = self.folder.init() else {
            return Ok(Status { cluster: self.name.clone(), running: false, components: Vec::new(), memory: 0 });
        };
        let processes = processes::of(&self.name);
        let versions = self.versions();
        let mut components: Vec<_> = PROGRAMS
            .iter()
            .zip(versions)
            .map(|(program, version)| {
                let found = processes.iter().find(|process| process.parent == init && process.name == program.name);
                let state = if found.is_some() { "running" } else { "starting" };
                let memory = found.map_or(0, |process| process.memory);
                ComponentStatus {
                    name: program.name.to_owned(),
                    state: state.to_owned(),
                    version,
                    memory,
                    pid: found.map(|process| process.pid),
                }
            })
            .collect();
        let pods = match self.client().await {
            Ok(client) => list_all(&Api::<Pod>::all(client), &ListParams::default()).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        components.extend(pods.iter().map(|pod| of_pod(pod, &processes)));
        let memory = processes.iter().map(|process| process.memory).sum();
        Ok(Status { cluster: self.name.clone(), running: true, components, memory })
    }

    /// Kills a program of the node, such as `containerd`, as a crash does. The node starts it again.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&self, program: &str) -> Result<(), Error> {
        let pid = self.process_of(program).and_then(|process| Pid::from_raw(process.pid));
        let pid =
            pid.ok_or_else(|| Error::Program { what: program.to_owned(), reason: "it does not run".to_owned() })?;
        kill_process(pid, Signal::KILL).map_err(io::Error::from).tried(format!("killing {program}"))
    }

    pub(super) fn runs(&self, program: &str) -> bool {
        self.process_of(program).is_some()
    }

    /// The process of a program of the node.
    fn process_of(&self, program: &str) -> Option<Process> {
        let init = self.folder.init()?;
        processes::of(&self.name).into_iter().find(|process| process.parent == init && process.name == program)
    }

    fn versions(&self) -> Vec<String> {
        let threads: Vec<_> = PROGRAMS
            .iter()
            .map(|program| {
                let built = self.cache.program(program.name);
                let path = if built.exists() { built } else { program.name.into() };
                thread::spawn(move || {
                    let output = Command::new(path).arg("--version").stdin(Stdio::null()).output();
                    output.map(|output| version_in(&String::from_utf8_lossy(&output.stdout))).unwrap_or_default()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    }
}

/// The first word that looks like a version, without what follows `~` or `+`.
fn version_in(text: &str) -> String {
    let word = text
        .split_whitespace()
        .find(|word| word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    word.map(|word| word.trim_start_matches('v').split(['~', '+']).next().unwrap_or(word).to_owned())
        .unwrap_or_default()
}

fn of_pod(pod: &Pod, processes: &[Process]) -> ComponentStatus {
    let uid = pod.uid().unwrap_or_default();
    let memory = processes.iter().filter(|process| process.group.contains(&uid)).map(|process| process.memory).sum();
    let image = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.containers.first())
        .and_then(|container| container.image.clone())
        .unwrap_or_default();
    let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
    ComponentStatus { name, state: state_of(pod), version: version_of(&image), memory, pid: None }
}

/// The tag of an image, or the beginning of its digest.
fn version_of(image: &str) -> String {
    if let Some((_, digest)) = image.split_once("@sha256:") {
        return digest.chars().take(12).collect();
    }
    let tag = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    tag.map(|(_, tag)| tag.trim_start_matches('v').to_owned()).unwrap_or_default()
}

fn state_of(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.container_statuses.unwrap_or_default();
    let waits = containers.iter().find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    match (waits, status.phase.as_deref()) {
        (Some(reason), _) => reason,
        (None, Some("Running")) if containers.iter().all(|container| container.ready) => "running".to_owned(),
        (None, Some("Running")) => "starting".to_owned(),
        (None, phase) => phase.unwrap_or("Unknown").to_owned(),
    }
}

/// Why a pod is not ready, as far as its status and its logs show.
pub(super) async fn troubles(client: &Client, pod: &Pod) -> String {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let mut text = format!("; pod {namespace}/{name} is {}", state_of(pod));
    let status = pod.status.clone().unwrap_or_default();
    let containers = status.init_container_statuses.into_iter().chain(status.container_statuses).flatten();
    for container in containers.filter(|container| !container.ready) {
        if let Some(message) = container.state.and_then(|state| state.waiting).and_then(|waiting| waiting.message) {
            text += &format!("\n  {}: {message}", container.name);
        }
        let last = LogParams { container: Some(container.name.clone()), tail_lines: Some(12), ..LogParams::default() };
        if let Ok(log) = Api::<Pod>::namespaced(client.clone(), &namespace).logs(&name, &last).await {
            let lines: Vec<_> = log.lines().collect();
            text += &format!("\n  the end of {}'s log:\n    {}", container.name, lines.join("\n    "));
            text += &diagnose::cause(&lines).map(|cause| format!("\nlikely cause: {cause}")).unwrap_or_default();
        }
    }
    text
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.running {
            return writeln!(f, "cluster `{}` is not running", self.cluster);
        }
        let width = self.components.iter().map(|component| component.name.len()).max().unwrap_or(0).max(9);
        let version = self.components.iter().map(|component| component.version.len()).max().unwrap_or(0).max(7);
        writeln!(f, "{:width$}  {:10}  {:version$}  {:>8}", "COMPONENT", "STATE", "VERSION", "MEMORY")?;
        for component in &self.components {
            let ComponentStatus { name, state, version: of, memory, .. } = component;
            writeln!(f, "{name:width$}  {state:10}  {of:version$}  {:>4} MiB", memory >> 20)?;
        }
        writeln!(f, "{:width$}  {:10}  {:version$}  {:>4} MiB", "all", "", "", self.memory >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version_in("Kubernetes v1.36.3\n"), "1.36.3");
        assert_eq!(version_in("etcd Version: 3.6.14\nGit SHA: GitNotFound\n"), "3.6.14");
        assert_eq!(
            version_in("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3\n"),
            "1.6.20"
        );
        assert_eq!(version_in(""), "");
    }

    #[test]
    fn the_version_of_an_image_is_its_tag_or_its_digest() {
        assert_eq!(version_of("quay.io/argoproj/argocd:v3.5.7"), "3.5.7");
        assert_eq!(version_of("localhost:5001/slipway/server@sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(version_of("localhost:5001/slipway/server"), "");
    }
}
