//! How far a training is, from its objects.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};
use slipway_names::{exit, label};

use super::hindrance::{Hindrance, of_pod, one_line};
use super::objects::{JobSet, TrainJob, holding};
use super::refusal::of_warning;
use super::warning::Warning;
use super::worker::WorkerPod;
use crate::pods::PodTrouble;

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Training {
    /// The TrainJob's name.
    pub name: String,
    /// The experiment that it belongs to; `None` if somebody else made it.
    pub experiment: Option<String>,
    /// How far it is.
    pub state: State,
    /// Why it cannot start, or why it failed if the cluster itself ended it: then no worker could have said so.
    pub hindrance: Option<Hindrance>,
    /// Why it failed, as far as the cluster knows it: what the worker said last that failed first.
    pub message: String,
    /// How its last attempt ended, if a worker of that was seen.
    pub last_attempt: Option<Hindrance>,
    /// When its TrainJob was made.
    pub created: Option<Timestamp>,
    /// When its first worker was started, as far as its pods know.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How far the training itself is; `None` unless it runs and has said so.
    pub progress: Option<Progress>,
    /// The newest value of each metric that it has reported.
    pub metrics: BTreeMap<String, f64>,
    /// How many workers it asks for.
    pub wanted: u32,
    /// Those that are there, by rank.
    pub workers: Vec<Worker>,
    /// The image that they run; empty for that of the runtime.
    pub image: String,
}

/// How far a training is, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not all of its workers have started.
    #[default]
    Waiting,
    /// Its workers have started.
    Running,
    /// It finished.
    Finished,
    /// It failed.
    Failed,
    /// It is being deleted before it ended.
    Ending,
}

/// How far the training itself is, as its workers report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// From 0 to 100.
    pub percent: u32,
    /// How long the rest will take, as far as that is known.
    pub remaining_seconds: Option<u64>,
}

/// A worker that is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// Its rank, from 0.
    pub rank: u32,
    /// Its pod.
    pub pod: String,
    /// The node that the pod is on; empty until it is on one.
    pub node: String,
    /// How far it is, as Kubernetes calls it.
    pub phase: String,
    /// How often it was started again, alone or with all others.
    pub restarts: u32,
}

impl Training {
    /// Puts together what the objects of a TrainJob say. `pods` and `warnings` are those of this TrainJob, in any order.
    #[must_use]
    pub fn of(job: &TrainJob, set: Option<&JobSet>, pods: &[&WorkerPod], warnings: &[&Warning]) -> Self {
        let wanted = job.spec.trainer.num_nodes.unwrap_or(1);
        let last_attempt = last_attempt(pods);
        let pods = newest(pods);
        let conditions = &job.status.conditions;
        let (failed, complete) = (holding(conditions, "Failed"), holding(conditions, "Complete"));
        let is_going = job.meta().deletion_timestamp.is_some();
        let has_started = pods.values().filter(|pod| pod.has_started()).count() >= wanted as usize;
        let state = match () {
            () if failed.is_some() => State::Failed,
            () if complete.is_some() => State::Finished,
            () if is_going => State::Ending,
            () if has_started => State::Running,
            () => State::Waiting,
        };
        let (hindrance, message) = match (state, failed) {
            // pods of an attempt that has failed go away, and the next ones are only on their way
            (State::Waiting, _) => {
                (waiting(job, wanted, &pods, warnings).or_else(|| last_attempt.clone()), String::new())
            }
            (_, Some(failed)) if failed.reason == "DeadlineExceeded" => (Some(deadline(job)), failed.message.clone()),
            (_, Some(failed)) => (ended_from_outside(&pods), why(&pods, &failed.message)),
            _ => (None, String::new()),
        };
        let reported = job.status.trainer_status.as_ref();
        let progress = reported.filter(|_| state == State::Running).and_then(|reported| {
            let remaining_seconds = reported.estimated_remaining_seconds;
            Some(Progress { percent: reported.progress_percentage?.min(100), remaining_seconds })
        });
        let metrics = reported.into_iter().flat_map(|reported| &reported.metrics);
        let ended = failed.or(complete).and_then(|condition| condition.last_transition_time.as_ref());
        let restarts = set.map_or(0, |set| set.status.restarts);
        Self {
            name: job.name_any(),
            experiment: job.labels().get(label::EXPERIMENT).cloned(),
            state,
            hindrance,
            message,
            last_attempt,
            created: job.meta().creation_timestamp.as_ref().map(|time| time.0),
            started: pods.values().filter_map(|pod| pod.started).min(),
            ended: ended.map(|time| time.0),
            progress,
            metrics: metrics.filter_map(|one| Some((one.name.clone(), one.value.parse().ok()?))).collect(),
            wanted,
            workers: pods.values().map(|pod| Worker::of(pod, restarts)).collect(),
            image: job.spec.trainer.image.clone().unwrap_or_default(),
        }
    }

    /// This training, which was like that `before`: how an attempt ended is known for longer than its pods are there.
    #[must_use]
    pub fn after(mut self, before: &Self) -> Self {
        if self.last_attempt.is_none() && self.created == before.created {
            self.last_attempt.clone_from(&before.last_attempt);
        }
        if self.state == State::Waiting && self.hindrance.is_none() {
            self.hindrance.clone_from(&self.last_attempt);
        }
        self
    }
}

impl Worker {
    fn of(pod: &WorkerPod, restarts: u32) -> Self {
        let WorkerPod { rank, pod: name, node, phase, .. } = pod;
        let restarts = restarts + pod.restarts;
        Self { rank: *rank, pod: name.clone(), node: node.clone(), phase: phase.clone(), restarts }
    }
}

/// The pod of each rank: the newest one, since that of an attempt before may still be going.
fn newest<'a>(pods: &[&'a WorkerPod]) -> BTreeMap<u32, &'a WorkerPod> {
    let mut pods = pods.to_vec();
    pods.sort_by_key(|pod| (!pod.is_going, pod.created));
    pods.into_iter().map(|pod| (pod.rank, pod)).collect()
}

/// Why a training waits; `None` if it is only on its way.
fn waiting(job: &TrainJob, wanted: u32, pods: &BTreeMap<u32, &WorkerPod>, warnings: &[&Warning]) -> Option<Hindrance> {
    let suspended = holding(&job.status.conditions, "Suspended");
    if suspended.is_some() || job.spec.suspend == Some(true) {
        return Some(of_suspended(suspended.map_or("", |condition| &condition.message), warnings));
    }
    let held = pods.values().filter(|pod| !pod.has_started() && !pod.is_going);
    if let Some(hindrance) = held.filter_map(|pod| of_waiting_pod(pod, warnings)).next() {
        return Some(hindrance);
    }
    if pods.len() >= wanted as usize {
        return None;
    }
    // what could not be made: an attempt that ended gives warnings too, of other kinds
    let is_refusal = |warning: &&&Warning| {
        warning.kind != "Pod"
            && (warning.reason.starts_with("FailedCreate") || warning.reason.contains("CreationFailed"))
    };
    warnings.iter().filter(is_refusal).max_by_key(|warning| warning.time).map(|warning| of_warning(warning))
}

fn of_waiting_pod(pod: &WorkerPod, warnings: &[&Warning]) -> Option<Hindrance> {
    let own = warnings.iter().filter(|warning| warning.kind == "Pod" && warning.about == pod.pod);
    if let Some(trouble) = &pod.trouble {
        // `Back-off pulling image "…"` leaves out why; the warning before it does not
        let pull = own.filter(|warning| warning.message.starts_with("Failed to pull image"));
        let pull = pull.max_by_key(|warning| warning.time);
        return Some(match (trouble.reason.as_str(), pull) {
            ("ErrImagePull" | "ImagePullBackOff", Some(pull)) => {
                let message = pull.message.split_once("\": ").map_or(pull.message.as_str(), |(_, why)| why);
                of_pod(&PodTrouble { message: message.to_owned(), ..trouble.clone() }, &pod.image)
            }
            _ => of_pod(trouble, &pod.image),
        });
    }
    let is_told = |warning: &&&Warning| {
        let reason = warning.reason.as_str();
        ["FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"].contains(&reason)
    };
    own.filter(is_told).max_by_key(|warning| warning.time).map(|warning| of_warning(warning))
}

fn of_suspended(message: &str, warnings: &[&Warning]) -> Hindrance {
    let queue = warnings.iter().filter(|warning| warning.kind == "Workload").max_by_key(|warning| warning.time);
    if let Some(queue) = queue {
        return Hindrance::new(
            format!("its queue has no room yet: {}", queue.message),
            "It starts when other jobs have ended.",
        );
    }
    let message = one_line(message);
    match message.as_str() {
        // what Trainer says of every job that is suspended
        "" | "TrainJob is suspended" => Hindrance::new(
            "it is suspended",
            "With Kueue it starts when its queue has room. If somebody has suspended it by hand, set its spec.suspend to false.",
        ),
        _ => Hindrance::new(message, "It starts when other jobs have ended."),
    }
}

fn deadline(job: &TrainJob) -> Hindrance {
    let limit = job.spec.active_deadline_seconds.map(|seconds| format!(" of {seconds} s")).unwrap_or_default();
    Hindrance::new(
        format!("it ran longer than its deadline{limit}"),
        "Raise spec.budget.deadline of the experiment, and spec.budget.cpuHours with it.",
    )
}

/// What the system did to a worker; its memory comes first, because it ends the others too.
fn ended_from_outside(pods: &BTreeMap<u32, &WorkerPod>) -> Option<Hindrance> {
    let mut troubles: Vec<&&WorkerPod> = pods.values().filter(|pod| pod.trouble.is_some()).collect();
    troubles.sort_by_key(|pod| pod.trouble.as_ref().is_none_or(|trouble| trouble.reason != "OOMKilled"));
    let pod = troubles.first()?;
    pod.trouble.as_ref().map(|trouble| of_pod(trouble, &pod.image))
}

/// How an attempt ended, by those of its workers that have failed.
fn last_attempt(pods: &[&WorkerPod]) -> Option<Hindrance> {
    let ended = pods.iter().filter(|pod| pod.phase == "Failed" || pod.exit.is_some());
    let ended: BTreeMap<u32, &WorkerPod> = ended.map(|pod| (pod.rank, *pod)).collect();
    let Hindrance { reason, advice } = ended_from_outside(&ended).or_else(|| first_exit(&ended))?;
    let advice = if advice.is_empty() { "All of its workers start again, a few times.".to_owned() } else { advice };
    Some(Hindrance { reason: format!("its last attempt failed: {reason}"), advice })
}

/// What the worker said that failed first: one that lost another, or was stopped, failed later.
fn why(pods: &BTreeMap<u32, &WorkerPod>, message: &str) -> String {
    first_exit(pods).map_or_else(
        || one_line(message),
        |Hindrance { reason, advice }| if advice.is_empty() { reason } else { format!("{reason}. {advice}") },
    )
}

fn first_exit(pods: &BTreeMap<u32, &WorkerPod>) -> Option<Hindrance> {
    let exits = pods.values().filter_map(|pod| pod.exit.as_ref());
    let is_later = |code: i32| [exit::PEER, exit::TERMINATED].map(i32::from).contains(&code);
    exits.min_by_key(|exit| is_later(exit.code)).map(super::exit::Exit::explained)
}
