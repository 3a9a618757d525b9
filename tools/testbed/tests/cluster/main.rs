//! What a cluster of the testbed does, on the real thing. Needs root; `make test-cluster` runs it.
//!
//! Tests of workloads share one cluster and have a namespace each; tests that break a node have nodes of their own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod gateway;
mod gitops;
mod network;
mod node;
mod pods;
mod recovery;
mod training;
mod volumes;

use std::time::Duration;

use kube::api::DynamicObject;
use testbed::cluster::Error;
use testbed::testing::Namespace;

/// Images that every cluster has.
const BUSYBOX: &str = "docker.io/library/busybox:1.35.0";
const DEBIAN: &str = "localhost/testbed/base:bookworm";

/// Generous: what is tested is that it happens, not how fast.
const LIMIT: Duration = Duration::from_secs(90);

/// Whether a condition of an object's status is true.
fn has(object: &DynamicObject, condition: &str) -> bool {
    object.data["status"]["conditions"]
        .as_array()
        .is_some_and(|conditions| conditions.iter().any(|c| c["type"] == condition && c["status"] == "True"))
}

fn is_ready(pod: &DynamicObject) -> bool {
    has(pod, "Ready")
}

/// The pod that `curl` asks from.
fn client() -> String {
    format!(
        r#"
---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: client, image: "{DEBIAN}", command: [sleep, "600"]}}]
"#
    )
}

/// Asks over HTTP from the pod of [`client`]. The first call may come before kube-proxy or the gateway has heard of the pods.
fn curl(namespace: &Namespace, arguments: &[&str]) -> Result<String, Error> {
    let patient = ["-fsS", "--retry", "20", "--retry-delay", "1", "--retry-all-errors", "-m", "2"];
    namespace.ask(&[&["exec", "client", "--", "curl"], &patient[..], arguments].concat())
}
