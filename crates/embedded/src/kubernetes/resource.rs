//! The kinds of objects that are served, and what discovery says about each.

use serde_json::{Value, json};

/// A kind of objects that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resource {
    TrainJobs,
    JobSets,
    Pods,
    Events,
    Leases,
}

impl Resource {
    pub(super) const ALL: [Self; 5] = [Self::TrainJobs, Self::JobSets, Self::Pods, Self::Events, Self::Leases];

    /// The API group; empty for Kubernetes' own oldest one.
    pub(super) fn group(self) -> &'static str {
        match self {
            Self::TrainJobs => "trainer.kubeflow.org",
            Self::JobSets => "jobset.x-k8s.io",
            Self::Pods | Self::Events => "",
            Self::Leases => "coordination.k8s.io",
        }
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Self::TrainJobs => "v1alpha1",
            Self::JobSets => "v1alpha2",
            Self::Pods | Self::Events | Self::Leases => "v1",
        }
    }

    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::TrainJobs => "TrainJob",
            Self::JobSets => "JobSet",
            Self::Pods => "Pod",
            Self::Events => "Event",
            Self::Leases => "Lease",
        }
    }

    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::TrainJobs => "trainjobs",
            Self::JobSets => "jobsets",
            Self::Pods => "pods",
            Self::Events => "events",
            Self::Leases => "leases",
        }
    }

    /// `v1`, or `coordination.k8s.io/v1`.
    pub(super) fn api_version(self) -> String {
        match self.group() {
            "" => self.version().to_owned(),
            group => format!("{group}/{}", self.version()),
        }
    }

    /// The path below which its objects are.
    pub(super) fn path(self) -> String {
        match self.group() {
            "" => format!("/api/{}", self.version()),
            group => format!("/apis/{group}/{}", self.version()),
        }
    }

    /// The name that a person reads in a message, such as `trainjobs.trainer.kubeflow.org`.
    pub(super) fn title(self) -> String {
        match self.group() {
            "" => self.plural().to_owned(),
            group => format!("{}.{group}", self.plural()),
        }
    }

    /// Short names, for kubectl.
    fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::Pods => &["po"],
            Self::Events => &["ev"],
            _ => &[],
        }
    }

    /// Whether clients may write it. Jobs come from files on main.
    pub(super) fn is_written(self) -> bool {
        self == Self::Leases
    }

    /// Its entries in the list of its group: itself, and what is below its objects.
    pub(super) fn entries(self) -> Vec<Value> {
        let mut verbs = vec!["get", "list", "watch"];
        if self.is_written() {
            verbs.extend(["create", "patch", "update"]);
        }
        let (kind, plural) = (self.kind(), self.plural());
        let mut entries = vec![json!({
            "name": plural,
            "singularName": kind.to_lowercase(),
            "namespaced": true,
            "kind": kind,
            "verbs": verbs,
            "shortNames": self.short_names(),
        })];
        if self == Self::Pods {
            let name = format!("{plural}/log");
            entries
                .push(json!({ "name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"] }));
        }
        entries
    }
}
