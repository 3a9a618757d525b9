//! Whether a cluster is one that the stack can run on. Pure: it judges what the API server answered.

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
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
    /// What to do if it is not met, or what to mind although it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
}

impl Examined {
    pub(crate) fn new(what: &str, ok: bool, found: impl Into<String>, how: &str) -> Self {
        Self { what: what.to_owned(), ok, found: found.into(), how: (!ok).then(|| how.to_owned()) }
    }

    /// A requirement that is met, or that cannot be judged from here, with what a person has to mind.
    fn with_note(what: &str, found: impl Into<String>, note: &str) -> Self {
        Self { what: what.to_owned(), ok: true, found: found.into(), how: Some(note.to_owned()) }
    }
}

/// The version of the API server. Minor versions may have a suffix, as in `34+`.
pub(crate) fn version(found: &Info, oldest: (u32, u32)) -> Examined {
    let digits =
        |text: &str| -> Option<u32> { text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok() };
    let ok = digits(&found.major).zip(digits(&found.minor)).is_some_and(|found| found >= oldest);
    let (major, minor) = oldest;
    let how = format!("upgrade the cluster to {major}.{minor} or newer, the oldest that every component supports");
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

/// On which ports the API server calls the webhooks of controllers: those of JobSet and Kubeflow Trainer. A private GKE cluster opens only
/// 443 and 10250 of its nodes to it, which are enough for cert-manager and External Secrets. `None` on other clusters.
pub(crate) fn webhooks(nodes: &[Node]) -> Option<Examined> {
    let provider = |node: &Node| node.spec.as_ref().and_then(|spec| spec.provider_id.clone()).unwrap_or_default();
    nodes.iter().any(|node| provider(node).starts_with("gce://")).then(|| {
        let note = "if its nodes are private, allow tcp:9443 from the control plane to the nodes, or the webhooks of JobSet and Kubeflow \
                    Trainer cannot be reached and nothing is installed after them: `gcloud compute firewall-rules create \
                    slipway-webhooks --network NETWORK --source-ranges CONTROL_PLANE_CIDR --target-tags NODE_TAG --allow tcp:9443`";
        Examined::with_note("webhooks", "GKE, which cannot be asked for its firewall rules", note)
    })
}

/// The name of one of the Gateway API's definitions, which stands for all of them.
pub(crate) const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";

/// Who has the Gateway API's definitions in hand: the tree, or a cloud, and not both. `found` is the one called [`GATEWAYS`].
pub(crate) fn gateway_api(found: Option<&CustomResourceDefinition>, does_tree_bring_it: bool) -> Examined {
    const WHAT: &str = "Gateway API";
    let Some(definition) = found else {
        let how = "add ../../argocd/applications/gateway-api to clusters/<env>/kustomization.yaml";
        let found = if does_tree_bring_it {
            "not there; this tree brings it"
        } else {
            "not there, and this tree does not bring it"
        };
        return Examined::new(WHAT, does_tree_bring_it, found, how);
    };
    let metadata = &definition.metadata;
    let version = metadata.annotations.as_ref().and_then(|all| all.get("gateway.networking.k8s.io/bundle-version"));
    let version = version.map_or("of an unknown version", String::as_str);
    let marks = || metadata.annotations.iter().chain(&metadata.labels).flat_map(|all| all.keys());
    let cloud = if marks().any(|key| key.starts_with("components.gke.io/")) {
        Some("GKE")
    } else if marks().any(|key| key.starts_with("addonmanager.kubernetes.io/")) {
        Some("the cluster's add-on manager")
    } else {
        None
    };
    let managers = || metadata.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref());
    match (cloud, does_tree_bring_it) {
        (Some(cloud), brought) => {
            let how = "leave it to the cloud, which would put its own version back again and again: remove \
                       ../../argocd/applications/gateway-api from clusters/<env>/kustomization.yaml";
            Examined::new(WHAT, !brought, format!("{version}, managed by {cloud}"), how)
        }
        (None, true) if managers().all(|manager| manager != "argocd-controller") => {
            let by = managers().next().unwrap_or("somebody");
            let note = "Argo CD takes it over. If your cloud manages it (AKS, EKS and OpenShift can), remove \
                        ../../argocd/applications/gateway-api from clusters/<env>/kustomization.yaml first";
            Examined::with_note(WHAT, format!("{version}, applied by {by}"), note)
        }
        (None, _) => Examined::new(WHAT, true, version, ""),
    }
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
    fn gke_may_need_a_firewall_rule() {
        let on = |provider: &str| vec![node("amd64", "True", &json!({ "providerID": provider }))];
        let note = webhooks(&on("gce://project/europe-west1-b/gke-a")).unwrap();
        assert!(note.ok && note.how.unwrap().contains("tcp:9443"));
        assert_eq!(webhooks(&on("aws:///eu-central-1a/i-0")), None);
        assert_eq!(webhooks(&[node("amd64", "True", &json!({}))]), None);
    }

    #[rstest]
    #[case::nobody_has_it(None, true, true, "this tree brings it", None)]
    #[case::nobody_brings_it(None, false, false, "does not bring it", Some("add "))]
    #[case::gke_and_the_tree(Some(GKE), true, false, "v1.1.0, managed by GKE", Some("remove "))]
    #[case::gke_alone(Some(GKE), false, true, "v1.1.0, managed by GKE", None)]
    #[case::an_add_on(
        Some(r#"{"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}"#),
        true,
        false,
        "add-on manager",
        Some("remove ")
    )]
    #[case::applied_by_hand(
        Some(r#"{"managedFields": [{"manager": "kubectl"}]}"#),
        true,
        true,
        "applied by kubectl",
        Some("takes it over")
    )]
    #[case::ours(
        Some(r#"{"managedFields": [{"manager": "kube-apiserver"}, {"manager": "argocd-controller"}]}"#),
        true,
        true,
        "unknown version",
        None
    )]
    #[case::by_hand_on_purpose(
        Some(r#"{"managedFields": [{"manager": "kubectl"}]}"#),
        false,
        true,
        "unknown version",
        None
    )]
    fn the_gateway_api_has_one_owner(
        #[case] metadata: Option<&str>,
        #[case] brought: bool,
        #[case] ok: bool,
        #[case] found: &str,
        #[case] how: Option<&str>,
    ) {
        let definition = metadata.map(|metadata| {
            let metadata: Value = serde_json::from_str(metadata).unwrap();
            let names = json!({"kind": "Gateway", "plural": "gateways"});
            let spec =
                json!({"group": "gateway.networking.k8s.io", "names": names, "scope": "Namespaced", "versions": []});
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
        });
        let examined = gateway_api(definition.as_ref(), brought);
        assert!(examined.ok == ok && examined.found.contains(found), "{examined:?}");
        match how {
            None => assert_eq!(examined.how, None),
            Some(part) => assert!(examined.how.unwrap().contains(part)),
        }
    }

    /// As a new GKE cluster has it.
    const GKE: &str = r#"{"annotations": {"components.gke.io/component-name": "gateway-api-crds", "components.gke.io/layer": "addon",
        "gateway.networking.k8s.io/bundle-version": "v1.1.0"}}"#;

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
