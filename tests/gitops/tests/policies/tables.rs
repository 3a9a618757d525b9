//! Which pods there are, and what may talk to what: the tables, and what their words mean.

use std::net::Ipv4Addr;

use slipway_gitops_tests::policies::{Pod, Protocol};

pub(crate) const DEMO_UI: &str = "demo-ui/demo-ui";
pub(crate) const TRAEFIK: &str = "gateway/traefik";
pub(crate) const MINIO: &str = "minio/minio";
pub(crate) const MINIO_SET_UP: &str = "minio/minio-set-up";
pub(crate) const MLFLOW: &str = "mlflow/mlflow";
pub(crate) const POSTGRES: &str = "postgres/postgres";
pub(crate) const POSTGRES_SET_UP: &str = "postgres/postgres-set-up";
pub(crate) const SERVER: &str = "server/server";
pub(crate) const TRAINER: &str = "training/slipway-torch-node";
pub(crate) const MANAGER: &str = "training-manager/training-manager";
pub(crate) const MONITOR: &str = "dataset-monitor/dataset-monitor";
/// Upstream's.
pub(crate) const ARGOCD: [&str; 4] =
    ["argocd/argocd-application-controller", "argocd/argocd-redis", "argocd/argocd-repo-server", ARGOCD_SERVER];
pub(crate) const ARGOCD_SERVER: &str = "argocd/argocd-server";
pub(crate) const JOBSET: &str = "jobset-system/jobset-controller-manager";
pub(crate) const KUBEFLOW_TRAINER: &str = "kubeflow-system/kubeflow-trainer-controller-manager";
/// Those of charts.
pub(crate) const CERT_MANAGER: [&str; 3] =
    ["cert-manager/cert-manager", "cert-manager/cert-manager-cainjector", "cert-manager/cert-manager-webhook"];
pub(crate) const EXTERNAL_SECRETS: [&str; 3] = [
    "external-secrets/external-secrets",
    "external-secrets/external-secrets-cert-controller",
    "external-secrets/external-secrets-webhook",
];
/// The cluster's own, of which nothing is declared here: of most clusters, and of OpenShift.
pub(crate) const DNS: &str = "kube-system/coredns";
pub(crate) const OPENSHIFT_DNS: &str = "openshift-dns/dns-default";
/// Where a node answers for names itself: NodeLocal DNSCache, and GKE's Cloud DNS.
pub(crate) const NODE_DNS: [Ipv4Addr; 2] = [Ipv4Addr::new(169, 254, 20, 10), Ipv4Addr::new(169, 254, 169, 254)];
/// Every pod of `OURS`, with whatever labels.
pub(crate) const ANY_OF_OURS: &str = "any pod of ours";
/// Every pod outside of `OURS`, with whatever labels.
pub(crate) const ANYBODY: &str = "anybody";
/// Those of `ANYBODY` that do not monitor.
pub(crate) const STRANGERS: &str = "any stranger";
/// Every pod of a namespace that is labelled as one that monitors.
pub(crate) const MONITORING: &str = "any pod that monitors";
/// Every pod of Argo CD.
pub(crate) const ANY_OF_ARGOCD: &str = "any pod of argocd";

/// The environments, and the pods of this tree that each has: no more and no fewer.
pub(crate) const PODS: [(&str, &[&str]); 3] = [
    (
        "local",
        &[DEMO_UI, TRAEFIK, MINIO, MINIO_SET_UP, MLFLOW, POSTGRES, POSTGRES_SET_UP, SERVER, TRAINER, MANAGER, MONITOR],
    ),
    // Its stores are managed, outside of the cluster.
    ("production", &[DEMO_UI, TRAEFIK, MLFLOW, SERVER, TRAINER, MANAGER, MONITOR]),
    (
        "staging",
        &[DEMO_UI, TRAEFIK, MINIO, MINIO_SET_UP, MLFLOW, POSTGRES, POSTGRES_SET_UP, SERVER, TRAINER, MANAGER, MONITOR],
    ),
];
pub(crate) const EVERYWHERE: &[&str] = &["local", "production", "staging"];
pub(crate) const PRODUCTION: &[&str] = &["production"];

/// Namespaces that are closed in both directions but for what a policy names.
pub(crate) const OURS: [&str; 11] = [
    "dataset-monitor",
    "demo-ui",
    "gateway",
    "jobset-system",
    "kubeflow-system",
    "minio",
    "mlflow",
    "postgres",
    "server",
    "training",
    "training-manager",
];
/// Those that are not: upstream's manifests and charts say what their pods let in.
pub(crate) const NOT_OURS: [&str; 3] = ["argocd", "cert-manager", "external-secrets"];
/// Those that no file here declares: the cluster's own, two with anybody in them, and one that monitors.
pub(crate) const UNDECLARED: [&str; 5] = ["kube-system", "openshift-dns", "default", "stranger", MONITORING_NAMESPACE];
pub(crate) const MONITORING_NAMESPACE: &str = "monitoring";

/// Ports of a row.
#[derive(Clone, Copy)]
pub(crate) enum Ports {
    Tcp(u16),
    Udp(u16),
    /// Each of each protocol.
    All,
    /// Those that the destination's containers declare.
    Declared,
}
use Ports::{All, Declared, Tcp, Udp};

/// From where, to where, at which ports.
pub(crate) type Row = (&'static str, &'static str, Ports);

/// What the product needs. Into a pod of ours nothing else is allowed.
pub(crate) const ALLOWED: &[Row] = &[
    // The door: the page, the models, and what operates the stack.
    (ANYBODY, TRAEFIK, Tcp(8000)),
    (ANYBODY, TRAEFIK, Tcp(8443)),
    (ANYBODY, TRAEFIK, Tcp(8444)),
    (TRAEFIK, DEMO_UI, Tcp(8501)),
    (TRAEFIK, SERVER, Tcp(8080)),
    (TRAEFIK, MLFLOW, Tcp(5000)),
    (TRAEFIK, MINIO, Tcp(9000)),
    (TRAEFIK, MINIO, Tcp(9001)),
    (TRAEFIK, ARGOCD_SERVER, Tcp(8080)),
    (TRAEFIK, MANAGER, Tcp(8080)),
    // The page asks for an answer, for what is known of the version that gave it, and for trainings.
    (DEMO_UI, SERVER, Tcp(8081)),
    (DEMO_UI, MLFLOW, Tcp(5000)),
    (DEMO_UI, MANAGER, Tcp(8080)),
    // Curves, results, and the logs of ended jobs. Trainings themselves it sees through the API server.
    (MANAGER, MLFLOW, Tcp(5000)),
    // How the versions are that are tried beside those in service.
    (MANAGER, SERVER, Tcp(8081)),
    // The monitor: what the version in service was trained on, what it answers, what has landed.
    (MONITOR, MLFLOW, Tcp(5000)),
    (MONITOR, SERVER, Tcp(8081)),
    (MONITOR, MINIO, Tcp(9000)),
    // Notifications, which are hints, and what the page shows of datasets.
    (MINIO, MONITOR, Tcp(8080)),
    (DEMO_UI, MONITOR, Tcp(8080)),
    // Models come through MLflow, which alone has the keys of their bucket.
    (SERVER, MLFLOW, Tcp(5000)),
    (MLFLOW, POSTGRES, Tcp(5432)),
    (MLFLOW, MINIO, Tcp(9000)),
    // Workers: each other, runs and models, datasets, progress.
    (TRAINER, TRAINER, All),
    (TRAINER, MLFLOW, Tcp(5000)),
    (TRAINER, MINIO, Tcp(9000)),
    (TRAINER, KUBEFLOW_TRAINER, Tcp(10443)),
    // Jobs that make roles, buckets and users.
    (POSTGRES_SET_UP, POSTGRES, Tcp(5432)),
    (MINIO_SET_UP, MINIO, Tcp(9000)),
    // Webhooks: no policy can name the API server, so anybody may.
    (ANYBODY, JOBSET, Tcp(9443)),
    (ANYBODY, KUBEFLOW_TRAINER, Tcp(9443)),
    // Metrics, of what asks to be scraped.
    (MONITORING, TRAEFIK, Tcp(8080)),
    (MONITORING, SERVER, Tcp(8080)),
    (MONITORING, MANAGER, Tcp(8080)),
    (MONITORING, MONITOR, Tcp(8080)),
    // Names.
    (ANY_OF_OURS, DNS, Udp(53)),
    (ANY_OF_OURS, DNS, Tcp(53)),
    (ANY_OF_OURS, OPENSHIFT_DNS, Udp(5353)),
    (ANY_OF_OURS, OPENSHIFT_DNS, Tcp(5353)),
];

/// What no later row of `ALLOWED` may open, and what may not be reached of Argo CD, which closes itself in part only.
pub(crate) const FORBIDDEN: &[Row] = &[
    (DEMO_UI, POSTGRES, All),
    (DEMO_UI, MINIO, All),
    (DEMO_UI, TRAINER, All),
    (SERVER, POSTGRES, All),
    (SERVER, MINIO, All),
    (SERVER, TRAINER, All),
    (SERVER, DEMO_UI, All),
    (TRAINER, POSTGRES, All),
    (TRAINER, MINIO, Tcp(9001)),
    (TRAINER, SERVER, All),
    (TRAINER, DEMO_UI, All),
    (TRAINER, TRAEFIK, All),
    (TRAEFIK, POSTGRES, All),
    (TRAEFIK, TRAINER, All),
    // Where every registered version answers.
    (TRAEFIK, SERVER, Tcp(8081)),
    (MLFLOW, TRAINER, All),
    (MLFLOW, MANAGER, All),
    (MLFLOW, MINIO, Tcp(9001)),
    (MANAGER, POSTGRES, All),
    (MANAGER, MINIO, All),
    (MANAGER, TRAINER, All),
    // where crowds ask
    (MANAGER, SERVER, Tcp(8080)),
    (MANAGER, DEMO_UI, All),
    (MANAGER, TRAEFIK, All),
    (MONITOR, POSTGRES, All),
    (MONITOR, TRAINER, All),
    (MONITOR, MANAGER, All),
    (MONITOR, DEMO_UI, All),
    (MONITOR, TRAEFIK, All),
    (MONITOR, MINIO, Tcp(9001)),
    // where crowds ask
    (MONITOR, SERVER, Tcp(8080)),
    (TRAINER, MONITOR, All),
    (SERVER, MONITOR, All),
    (MLFLOW, MONITOR, All),
    (MANAGER, MONITOR, All),
    (TRAEFIK, MONITOR, All),
    // It holds the key of a GitHub App; whoever trains or serves needs nothing of it.
    (TRAINER, MANAGER, All),
    (SERVER, MANAGER, All),
    (POSTGRES, MINIO, All),
    (POSTGRES, MLFLOW, All),
    (MINIO, POSTGRES, All),
    (MINIO, MLFLOW, All),
    (POSTGRES_SET_UP, MINIO, All),
    (MINIO_SET_UP, POSTGRES, All),
    // What makes buckets tells nobody anything.
    (MINIO_SET_UP, MONITOR, All),
    (STRANGERS, DEMO_UI, All),
    (STRANGERS, SERVER, All),
    (STRANGERS, MLFLOW, All),
    (STRANGERS, MINIO, All),
    (STRANGERS, MINIO_SET_UP, All),
    (STRANGERS, POSTGRES, All),
    (STRANGERS, POSTGRES_SET_UP, All),
    (STRANGERS, TRAINER, All),
    (STRANGERS, MANAGER, All),
    (STRANGERS, MONITOR, All),
    // Traefik's metrics and ping.
    (STRANGERS, TRAEFIK, Tcp(8080)),
    (DEMO_UI, ANY_OF_ARGOCD, Declared),
    (MINIO, ANY_OF_ARGOCD, Declared),
    (MINIO_SET_UP, ANY_OF_ARGOCD, Declared),
    (MANAGER, ANY_OF_ARGOCD, Declared),
    (MONITOR, ANY_OF_ARGOCD, Declared),
    (MLFLOW, ANY_OF_ARGOCD, Declared),
    (POSTGRES, ANY_OF_ARGOCD, Declared),
    (POSTGRES_SET_UP, ANY_OF_ARGOCD, Declared),
    (SERVER, ANY_OF_ARGOCD, Declared),
    (TRAINER, ANY_OF_ARGOCD, Declared),
    (TRAEFIK, "argocd/argocd-application-controller", Declared),
    (TRAEFIK, "argocd/argocd-redis", Declared),
    (TRAEFIK, "argocd/argocd-repo-server", Declared),
];

/// Where the way out of the cluster is open, and so to the API server: to every address, since none can be named. Nowhere else, but for
/// `NODE_DNS` at port 53.
pub(crate) const OUTSIDE: &[(&[&str], &str, u16)] = &[
    (EVERYWHERE, TRAEFIK, 443),
    (EVERYWHERE, TRAEFIK, 6443),
    (EVERYWHERE, JOBSET, 443),
    (EVERYWHERE, JOBSET, 6443),
    (EVERYWHERE, KUBEFLOW_TRAINER, 443),
    (EVERYWHERE, KUBEFLOW_TRAINER, 6443),
    // And to GitHub.
    (EVERYWHERE, MANAGER, 443),
    (EVERYWHERE, MANAGER, 6443),
    (EVERYWHERE, MONITOR, 443),
    (EVERYWHERE, MONITOR, 6443),
    // The managed stores.
    (PRODUCTION, MLFLOW, 443),
    (PRODUCTION, MLFLOW, 5432),
    (PRODUCTION, TRAINER, 443),
];

impl Ports {
    /// Whether it is one of them, at that destination.
    pub(crate) fn hold(self, to: &Pod, port: u16, protocol: Protocol) -> bool {
        match self {
            Tcp(number) => port == number && protocol == Protocol::Tcp,
            Udp(number) => port == number && protocol == Protocol::Udp,
            All => true,
            Declared => to.ports.iter().any(|one| one.number == port && one.protocol == protocol),
        }
    }
}

/// Whether a row is about two pods.
pub(crate) fn concerns((of, at, _): &Row, from: &Pod, to: &Pod) -> bool {
    is(of, from) && is(at, to)
}

/// Whether a name of the tables means a pod.
pub(crate) fn is(pattern: &str, pod: &Pod) -> bool {
    match pattern {
        ANY_OF_OURS => is_ours(pod),
        ANYBODY => !is_ours(pod),
        STRANGERS => !is_ours(pod) && pod.namespace != MONITORING_NAMESPACE,
        MONITORING => pod.namespace == MONITORING_NAMESPACE,
        ANY_OF_ARGOCD => pod.namespace == "argocd",
        name => pod.to_string() == name,
    }
}

/// Whether it is in a namespace that is to be closed.
pub(crate) fn is_ours(pod: &Pod) -> bool {
    OURS.contains(&pod.namespace.as_str())
}
