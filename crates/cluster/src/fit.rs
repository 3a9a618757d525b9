//! Whether a cluster is one that the stack can run on. Pure: it judges what the API server answered.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::ResourceExt as _;
use serde::Serialize;

/// What the stack requires of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The oldest version that will do, such as `(1, 31)`.
    pub version: (u32, u32),
    /// The architectures that there are images for, in Kubernetes' words.
    pub architectures: Vec<String>,
    /// A storage class by name; empty for the default one; `None` if no storage is required.
    pub storage_class: Option<String>,
}

/// The result for one requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// The requirement.
    pub what: String,
    /// Whether it is met.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do if it is not met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
}

impl Examined {
    pub(crate) fn new(what: &str, ok: bool, found: impl Into<String>, how: &str) -> Self {
        Self { what: what.to_owned(), ok, found: found.into(), how: (!ok).then(|| how.to_owned()) }
    }
}

/// The version of the API server. Minor versions may have a suffix, as in `34+`.
pub(crate) fn version(found: &Info, oldest: (u32, u32)) -> Examined {
    let digits =
        |text: &str| -> Option<u32> { text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok() };
    let ok = digits(&found.major).zip(digits(&found.minor)).is_some_and(|found| found >= oldest);
    let (major, minor) = oldest;
    let how = format!("upgrade the cluster to {major}.{minor} or newer, which Kubeflow Trainer needs");
    Examined::new("Kubernetes' version", ok, found.git_version.clone(), &how)
}

/// Nodes that pods are placed on, and their architectures. `is_pinned` is asked only if there are nodes that no image runs on.
pub(crate) fn nodes(nodes: &[Node], required: &Requirements, is_pinned: impl FnOnce() -> bool) -> Examined {
    const WHAT: &str = "nodes";
    let usable: Vec<&Node> = nodes.iter().filter(|node| takes_pods(node)).collect();
    if usable.is_empty() {
        let found = format!(
            "none of {} can take pods: each is not ready, cordoned, or has a taint that keeps pods away",
            nodes.len()
        );
        return Examined::new(WHAT, false, found, "`kubectl describe nodes` shows conditions and taints");
    }
    let mut architectures: Vec<&str> = usable.iter().map(|node| architecture(node)).collect();
    architectures.sort_unstable();
    architectures.dedup();
    let found = format!("{} ready, {}", usable.len(), architectures.join(" and "));
    let images = required.architectures.join(" and ");
    let is_supported = |one: &&str| required.architectures.iter().any(|supported| supported == one);
    let (supported, other): (Vec<&str>, Vec<&str>) = architectures.into_iter().partition(|one| is_supported(one));
    if supported.is_empty() {
        let how = format!("there are images for {images} only: add a node of such an architecture");
        return Examined::new(WHAT, false, found, &how);
    }
    let taints: Vec<String> = other
        .iter()
        .map(|one| format!("`kubectl taint nodes -l kubernetes.io/arch={one} kubernetes.io/arch={one}:NoSchedule`"))
        .collect();
    let how = format!(
        "there are images for {images} only, and pods may be placed on the other nodes: keep them away with {}, or set nodeSelector \
         kubernetes.io/arch in every pod template",
        taints.join(" and ")
    );
    Examined::new(WHAT, other.is_empty() || is_pinned(), found, &how)
}

/// Whether a pod without tolerations may be placed on a node.
fn takes_pods(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let spec = node.spec.as_ref();
    let cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
    let mut taints = spec.into_iter().flat_map(|spec| spec.taints.iter().flatten());
    ready && !cordoned && !taints.any(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
}

fn architecture(node: &Node) -> &str {
    let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
    info.map(|info| info.architecture.as_str()).unwrap_or_default()
}

/// The storage class that claims will get; `name` is empty for the default one.
pub(crate) fn storage_class(classes: &[StorageClass], name: &str) -> Examined {
    const DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";
    let names: Vec<String> = classes.iter().map(StorageClass::name_any).collect();
    let existing = if names.is_empty() {
        "there are no storage classes".to_owned()
    } else {
        format!("the cluster has: {}", names.join(", "))
    };
    if name.is_empty() {
        let is_default = |class: &&StorageClass| class.annotations().get(DEFAULT).is_some_and(|value| value == "true");
        let default = classes.iter().find(is_default);
        let how = format!("mark one as the default: kubectl annotate storageclass NAME {DEFAULT}=true");
        let found = default.map_or_else(|| format!("no default; {existing}"), StorageClass::name_any);
        return Examined::new("default storage class", default.is_some(), found, &how);
    }
    let ok = names.iter().any(|one| one == name);
    let found = if ok { name.to_owned() } else { format!("no {name}; {existing}") };
    Examined::new("storage class", ok, found, "create it, or name another one in clusters/<env>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case("1", "34", true)]
    #[case("1", "31+", true)]
    #[case("1", "30", false)]
    #[case("2", "0", true)]
    #[case("", "", false)]
    fn old_versions_are_refused(#[case] major: &str, #[case] minor: &str, #[case] ok: bool) {
        let found = Info { major: major.into(), minor: minor.into(), git_version: "v".into(), ..Info::default() };
        assert_eq!(version(&found, (1, 31)).ok, ok);
    }

    fn node(architecture: &str, ready: &str, spec: &Value) -> Node {
        let status =
            json!({"nodeInfo": {"architecture": architecture}, "conditions": [{"type": "Ready", "status": ready}]});
        serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status})).unwrap()
    }

    fn examine(all: &[Node], pinned: bool) -> Examined {
        let architectures = vec!["amd64".to_owned(), "arm64".to_owned()];
        nodes(all, &Requirements { version: (1, 31), architectures, storage_class: None }, || pinned)
    }

    #[test]
    fn nodes_must_be_ready_and_of_an_architecture_with_images() {
        let plain = json!({});
        assert!(examine(&[node("arm64", "True", &plain), node("s390x", "False", &plain)], false).ok);
        assert!(!examine(&[node("amd64", "False", &plain)], false).ok);
        assert!(!examine(&[], false).ok);
        let mixed = examine(&[node("amd64", "True", &plain), node("riscv64", "True", &plain)], false);
        assert!(!mixed.ok && mixed.found.contains("riscv64"), "{mixed:?}");
        let alone = examine(&[node("riscv64", "True", &plain)], true);
        assert!(!alone.ok && alone.how.unwrap().contains("add a node"));
    }

    #[test]
    fn a_mixed_cluster_fits_once_its_advice_was_followed() {
        let plain = json!({});
        let mixed = [node("amd64", "True", &plain), node("riscv64", "True", &plain)];
        let how = examine(&mixed, false).how.unwrap();
        let taint = "kubectl taint nodes -l kubernetes.io/arch=riscv64 kubernetes.io/arch=riscv64:NoSchedule";
        assert!(how.contains(taint) && how.contains("nodeSelector"), "{how}");
        for spec in [
            json!({"taints": [{"key": "kubernetes.io/arch", "value": "riscv64", "effect": "NoSchedule"}]}),
            json!({"taints": [{"key": "a", "effect": "NoExecute"}]}),
            json!({"unschedulable": true}),
        ] {
            let tainted = [node("amd64", "True", &plain), node("riscv64", "True", &spec)];
            assert!(examine(&tainted, false).ok, "{spec}");
        }
        let preferred = json!({"taints": [{"key": "a", "effect": "PreferNoSchedule"}]});
        assert!(!examine(&[node("amd64", "True", &plain), node("riscv64", "True", &preferred)], false).ok);
        assert!(examine(&mixed, true).ok);
        // a control plane that takes no pods is not a node to run on
        let control = json!({"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]});
        assert!(!examine(&[node("amd64", "True", &control)], false).ok);
    }

    #[test]
    fn claims_need_a_class() {
        let class = |name: &str, default: &str| {
            let annotations = json!({"storageclass.kubernetes.io/is-default-class": default});
            let class = json!({"metadata": {"name": name, "annotations": annotations}});
            serde_json::from_value::<StorageClass>(class).unwrap()
        };
        assert!(storage_class(&[class("a", "false"), class("b", "true")], "").ok);
        assert!(!storage_class(&[class("a", "false")], "").ok);
        assert!(storage_class(&[class("a", "false")], "a").ok);
        let missing = storage_class(&[class("a", "false")], "fast");
        assert!(!missing.ok && missing.found.contains("the cluster has: a"), "{missing:?}");
    }
}
