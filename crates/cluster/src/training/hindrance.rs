//! Why a training cannot start or has failed, in words for a person, and what to do.

use crate::pods::PodTrouble;

/// Why a training cannot start or has failed, in words for a person, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hindrance {
    /// Why, in one line; Kubernetes' own words are part of it.
    pub reason: String,
    /// What to do, in one line; empty if nothing is known.
    pub advice: String,
}

impl Hindrance {
    pub(super) fn new(reason: impl Into<String>, advice: &str) -> Self {
        Self { reason: reason.into(), advice: advice.to_owned() }
    }
}

/// Why the containers of a pod do not run, or have ended. `image` is the one that it asks for.
pub(super) fn of_pod(trouble: &PodTrouble, image: &str) -> Hindrance {
    let message = one_line(&trouble.message);
    let named = |what: &str| if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") };
    match trouble.reason.as_str() {
        "Unschedulable" => of_nodes(&message),
        "SchedulingGated" => Hindrance::new(
            named("it is held back by a scheduling gate"),
            "What set the gate removes it; with Kueue that is when its queue has room.",
        ),
        "InvalidImageName" => Hindrance::new(
            format!("`{image}` is not a name that an image can have"),
            "Correct the image in clusters/<environment>/cluster.yaml or in the experiment, and render again.",
        ),
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => of_image(&message, image),
        "CreateContainerConfigError" => Hindrance::new(
            named("something that its container needs is missing"),
            "A Secret or a ConfigMap of the namespace is meant; `slipway status --cluster` shows whether its component is healthy.",
        ),
        "CreateContainerError" | "RunContainerError" | "StartError" | "ContainerCannotRun" => Hindrance::new(
            named("its program cannot be started"),
            "Look whether the image holds the program that the experiment names.",
        ),
        "OOMKilled" => Hindrance::new("a worker ran out of memory", "Raise spec.workers.memory of the experiment."),
        "Evicted"
        | "Preempting"
        | "Terminated"
        | "NodeShutdown"
        | "NodeAffinity"
        | "NodeLost"
        | "UnexpectedAdmissionError" => {
            Hindrance::new(named("a worker was taken off its node"), "Its workers start again by themselves.")
        }
        "" => Hindrance::new(named("a worker does not run"), ""),
        reason => Hindrance::new(named(reason), ""),
    }
}

/// What the scheduler says, such as `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. preemption: …`.
fn of_nodes(message: &str) -> Hindrance {
    // whether others could be driven off the nodes does not help
    let message = message.split(" preemption:").next().unwrap_or(message).trim_end_matches('.');
    let has = |part: &str| message.contains(part);
    let advice = if has("Insufficient") || has("Too many pods") {
        "It starts when a node has as much free. If no node is that large, ask for less in spec.workers, or add nodes."
    } else if has("persistentvolumeclaim") || has("PersistentVolumeClaim") || has("volume") {
        "Its volume has to be there first: look at the PersistentVolumeClaims of the namespace."
    } else if has("affinity") || has("selector") {
        "No node has the labels that it asks for: label a node, or correct the runtime."
    } else if has("taint") {
        "All nodes that it could run on are closed to it by a taint: add nodes, or a toleration to the runtime."
    } else {
        "It starts when a node fits."
    };
    Hindrance::new(format!("no node can take it: {message}"), advice)
}

fn of_image(message: &str, image: &str) -> Hindrance {
    let lower = message.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let advice = if has(&["unauthorized", "denied", "forbidden", "401", "403", "authentication"]) {
        "The cluster may not pull it: give its nodes or the service account `trainer` a login to the registry."
    } else if has(&["not found", "manifest unknown", "notfound", "404", "does not exist"]) {
        "Push it, or name one that is there in clusters/<environment>/cluster.yaml, and render again."
    } else if has(&["no such host", "timeout", "refused", "unreachable", "tls", "x509", "eof", "reset"]) {
        "The nodes cannot reach the registry: look at its address, its certificate and the network."
    } else {
        "Look whether the image is in its registry, and whether the cluster may pull it."
    };
    let of = if image.is_empty() { String::new() } else { format!(" {image}") };
    Hindrance::new(format!("its image{of} cannot be pulled: {message}"), advice)
}

/// The most characters of a message of others that are kept.
const CHARACTERS: usize = 600;

/// A message of others on one line.
pub(super) fn one_line(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
