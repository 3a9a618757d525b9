//! Pod templates, wherever a kind keeps them.

use crate::object::Object;
use crate::path::Path;
use crate::yaml::Node;

/// A pod template in an object.
#[derive(Clone, Debug)]
pub(crate) struct Pod<'a> {
    /// `metadata` and `spec`.
    pub(crate) template: &'a Node,
    /// Where it stands.
    pub(crate) at: Path,
    /// Whether it runs until it is told to end, so that someone must ask it how it is.
    pub(crate) serves: bool,
    /// Whether image and resources come from a TrainJob.
    pub(crate) for_train_jobs: bool,
}

/// One container of a pod.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: &'a Node,
    pub(crate) at: Path,
    /// Runs to its end before the others begin.
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
    /// Its containers, those that run first first.
    pub(crate) fn containers(&self) -> Vec<Container<'a>> {
        let mut all = Vec::new();
        for (list, init) in [("initContainers", true), ("containers", false)] {
            for node in self.template.items_at(&format!("spec.{list}")) {
                let name = node.text_at("name").unwrap_or_default();
                // one that restarts always runs beside the others
                let init = init && node.text_at("restartPolicy") != Some("Always");
                all.push(Container { name, node, at: self.at.key("spec").key(list).named(name), init });
            }
        }
        all
    }
}
