//! Pod templates in objects of any kind.

use slipway_source::Node;

use crate::object::Object;
use crate::path::Path;

/// A pod template in an object.
#[derive(Clone, Debug)]
pub(crate) struct Pod<'a> {
    /// The template, with `metadata` and `spec`.
    pub(crate) template: &'a Node,
    /// Its path in the object.
    pub(crate) at: Path,
    /// Whether it runs until it is stopped, so that it needs probes.
    pub(crate) serves: bool,
    /// Whether a TrainJob brings the image and the resources.
    pub(crate) for_train_jobs: bool,
}

/// One container of a pod.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: &'a Node,
    pub(crate) at: Path,
    /// Whether it ends before the others start.
    pub(crate) init: bool,
}

/// The pod templates of an object.
pub(crate) fn pods(object: &Object) -> Vec<Pod<'_>> {
    let node = &object.node;
    let pod = |at: &str, serves| {
        let template = if at.is_empty() { Some(node) } else { node.find(at) };
        let at = if at.is_empty() { Path::default() } else { Path::of(at) };
        template.map(|template| Pod { template, at, serves, for_train_jobs: false }).into_iter().collect()
    };
    match object.id.kind.as_str() {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => pod("spec.template", true),
        "Job" => pod("spec.template", false),
        "CronJob" => pod("spec.jobTemplate.spec.template", false),
        "Pod" => pod("", false),
        "JobSet" => replicated(node, "spec.replicatedJobs", false),
        "ClusterTrainingRuntime" | "TrainingRuntime" => replicated(node, "spec.template.spec.replicatedJobs", true),
        _ => Vec::new(),
    }
}

fn replicated<'a>(node: &'a Node, list: &str, for_train_jobs: bool) -> Vec<Pod<'a>> {
    let jobs = node.items_at(list).iter().filter_map(|job| {
        let at = Path::of(list).named(job.text_at("name")?).key("template.spec.template");
        Some(Pod { template: job.find("template.spec.template")?, at, serves: false, for_train_jobs })
    });
    jobs.collect()
}

impl<'a> Pod<'a> {
    /// Its containers, init containers first.
    pub(crate) fn containers(&self) -> Vec<Container<'a>> {
        let mut all = Vec::new();
        for (list, init) in [("initContainers", true), ("containers", false)] {
            for node in self.template.items_at(&format!("spec.{list}")) {
                let name = node.text_at("name").unwrap_or_default();
                // an init container that always restarts is a sidecar
                let init = init && node.text_at("restartPolicy") != Some("Always");
                all.push(Container { name, node, at: self.at.key("spec").key(list).named(name), init });
            }
        }
        all
    }
}
