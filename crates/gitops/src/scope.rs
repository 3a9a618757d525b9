//! Whether the objects of a kind are in a namespace or belong to the whole cluster.

use std::collections::BTreeMap;

use slipway_source::Node;

/// Where the objects of a kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Namespace,
    Cluster,
}

/// The scope of each kind that the CustomResourceDefinitions of a tree define, by group and kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(BTreeMap<(String, String), Scope>);

impl Scopes {
    /// Reads the CustomResourceDefinitions among some objects.
    pub(crate) fn defined_by<'a>(objects: impl IntoIterator<Item = &'a Node>) -> Self {
        let defined = objects.into_iter().filter_map(|node| {
            let group = group_of(node.text_at("apiVersion")?);
            if group != "apiextensions.k8s.io" || node.text_at("kind")? != "CustomResourceDefinition" {
                return None;
            }
            let scope = if node.text_at("spec.scope")? == "Cluster" { Scope::Cluster } else { Scope::Namespace };
            Some(((node.text_at("spec.group")?.to_owned(), node.text_at("spec.names.kind")?.to_owned()), scope))
        });
        Self(defined.collect())
    }

    /// The scope of a kind: as its definition says, otherwise as [`BUILT_IN`] says. `None` if neither has the kind.
    pub(crate) fn of(&self, group: &str, kind: &str) -> Option<Scope> {
        let defined = self.0.get(&(group.to_owned(), kind.to_owned())).copied();
        defined.or_else(|| {
            let (_, namespaced, cluster) = BUILT_IN.iter().find(|(known, ..)| *known == group)?;
            if cluster.contains(&kind) {
                Some(Scope::Cluster)
            } else {
                namespaced.contains(&kind).then_some(Scope::Namespace)
            }
        })
    }
}

/// The group of an `apiVersion`: `apps` for `apps/v1`, empty for `v1`.
pub(crate) fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// The kinds of Kubernetes, and of the components that this repository deploys from upstream: group, kinds in a namespace, kinds of the
/// cluster. As `kubectl api-resources` lists them.
const BUILT_IN: [(&str, &[&str], &[&str]); 29] = [
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
        &["ComponentStatus", "Namespace", "Node", "PersistentVolume"],
    ),
    (
        "admissionregistration.k8s.io",
        &[],
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &[], &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &[], &["APIService"]),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"], &[]),
    ("argoproj.io", &["AppProject", "Application", "ApplicationSet"], &[]),
    ("autoscaling", &["HorizontalPodAutoscaler"], &[]),
    ("batch", &["CronJob", "Job"], &[]),
    ("cert-manager.io", &["Certificate", "CertificateRequest", "Issuer"], &["ClusterIssuer"]),
    ("certificates.k8s.io", &[], &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"], &[]),
    ("discovery.k8s.io", &["EndpointSlice"], &[]),
    ("events.k8s.io", &["Event"], &[]),
    (
        "external-secrets.io",
        &["ExternalSecret", "PushSecret", "SecretStore"],
        &["ClusterExternalSecret", "ClusterPushSecret", "ClusterSecretStore"],
    ),
    ("flowcontrol.apiserver.k8s.io", &[], &["FlowSchema", "PriorityLevelConfiguration"]),
    (
        "gateway.networking.k8s.io",
        &[
            "BackendTLSPolicy",
            "GRPCRoute",
            "Gateway",
            "HTTPRoute",
            "ReferenceGrant",
            "TCPRoute",
            "TLSRoute",
            "UDPRoute",
        ],
        &["GatewayClass"],
    ),
    ("jobset.x-k8s.io", &["JobSet"], &[]),
    (
        "kueue.x-k8s.io",
        &["LocalQueue", "Workload"],
        &["AdmissionCheck", "ClusterQueue", "Cohort", "ResourceFlavor", "Topology", "WorkloadPriorityClass"],
    ),
    ("metrics.k8s.io", &["PodMetrics"], &["NodeMetrics"]),
    ("networking.k8s.io", &["Ingress", "NetworkPolicy"], &["IPAddress", "IngressClass", "ServiceCIDR"]),
    ("node.k8s.io", &[], &["RuntimeClass"]),
    ("policy", &["PodDisruptionBudget"], &[]),
    ("rbac.authorization.k8s.io", &["Role", "RoleBinding"], &["ClusterRole", "ClusterRoleBinding"]),
    ("resource.k8s.io", &["ResourceClaim", "ResourceClaimTemplate"], &["DeviceClass", "ResourceSlice"]),
    ("scheduling.k8s.io", &[], &["PriorityClass"]),
    ("snapshot.storage.k8s.io", &["VolumeSnapshot"], &["VolumeSnapshotClass", "VolumeSnapshotContent"]),
    (
        "storage.k8s.io",
        &["CSIStorageCapacity"],
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("trainer.kubeflow.org", &["TrainJob", "TrainingRuntime"], &["ClusterTrainingRuntime"]),
    ("storagemigration.k8s.io", &[], &["StorageVersionMigration"]),
];
