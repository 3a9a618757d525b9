//! A worker, as its pod shows it.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::exit::Exit;
use crate::pods::{PodTrouble, troubles};

/// The label that names the TrainJob, and so the JobSet, of a pod.
pub const JOBSET: &str = "jobset.sigs.k8s.io/jobset-name";
/// The rank of a worker.
const RANK: &str = "batch.kubernetes.io/job-completion-index";

/// What is kept of a worker's pod.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerPod {
    /// The TrainJob.
    pub job: String,
    /// Its rank, from 0.
    pub rank: u32,
    /// The pod's name.
    pub pod: String,
    /// The node that it is on; empty until it is on one.
    pub node: String,
    /// How far it is, as Kubernetes calls it.
    pub phase: String,
    /// How often its container was started again.
    pub restarts: u32,
    /// When the pod was made.
    pub created: Option<Timestamp>,
    /// When its container was started first, as far as the pod knows.
    pub started: Option<Timestamp>,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// Why it does not run, or was ended from outside.
    pub(super) trouble: Option<PodTrouble>,
    /// The image of the container that has the trouble.
    pub(super) image: String,
    /// How it ended, if that was not well.
    pub(super) exit: Option<Exit>,
}

impl WorkerPod {
    /// The worker that a pod is; `None` for a pod that no TrainJob has.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let label = |name: &str| pod.labels().get(name).map(String::as_str);
        let job = label(JOBSET)?.to_owned();
        let rank = label(RANK).and_then(|rank| rank.parse().ok()).unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        let containers = status.container_statuses.unwrap_or_default();
        let exit = containers.iter().find_map(exit);
        // how a container ended is said by its exit code, unless the system ended it
        let is_exit =
            |trouble: &PodTrouble| matches!(trouble.reason.as_str(), "Error" | "NotReady" | "CrashLoopBackOff");
        let trouble = troubles(pod).into_iter().find(|trouble| !is_exit(trouble));
        let image = trouble.as_ref().and_then(|trouble| containers.iter().find(|one| one.name == trouble.container));
        let image = image.map(|container| container.image.clone()).unwrap_or_default();
        Some(Self {
            job,
            rank,
            pod: pod.name_any(),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
            phase: status.phase.unwrap_or_default(),
            restarts: containers.iter().map(|one| u32::try_from(one.restart_count).unwrap_or_default()).sum(),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            started: containers.iter().filter_map(started).min(),
            is_going: pod.metadata.deletion_timestamp.is_some(),
            trouble,
            image,
            exit,
        })
    }

    /// Whether its program was started.
    pub(super) fn has_started(&self) -> bool {
        self.started.is_some() || matches!(self.phase.as_str(), "Running" | "Succeeded")
    }
}

fn started(status: &ContainerStatus) -> Option<Timestamp> {
    let state = status.state.as_ref()?;
    let running = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let ended = state.terminated.as_ref().and_then(|ended| ended.started_at.as_ref());
    let last = status.last_state.as_ref().and_then(|last| last.terminated.as_ref()?.started_at.as_ref());
    // a container that could not be started has begun in 1970
    [running, ended, last].into_iter().flatten().map(|time| time.0).filter(|time| *time > Timestamp::UNIX_EPOCH).min()
}

fn exit(status: &ContainerStatus) -> Option<Exit> {
    let states = [&status.state, &status.last_state].into_iter().flatten();
    let mut ended = states.filter_map(|state| state.terminated.as_ref()).filter(|ended| ended.exit_code != 0);
    ended.next().map(|ended| Exit::new(ended.exit_code, ended.message.as_deref().unwrap_or_default()))
}
