//! The evaluator, on a world of four pods.

mod reading;
mod semantics;

use std::fmt::Write as _;

use super::{Cluster, Pod, Protocol};
use crate::tree::documents;

/// Two namespaces with a pod or two each.
const WORLD: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: red, labels: {colour: red, warm: 'yes'}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: blue, labels: {colour: blue}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, namespace: red, labels: {app: client, tier: front}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: other, namespace: red, labels: {app: other}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client, namespace: blue, labels: {app: client}}}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: blue, labels: {app: server}}
spec:
  containers:
    - ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}, {name: dns-tcp, containerPort: 54}]
";

/// The world with policies: the namespace of each, and its spec.
fn world(policies: &[(&str, &str)]) -> Cluster {
    read(policies).unwrap()
}

fn read(policies: &[(&str, &str)]) -> anyhow::Result<Cluster> {
    let mut text = WORLD.to_owned();
    for (number, (namespace, spec)) in policies.iter().enumerate() {
        let metadata = format!("{{name: policy-{number}, namespace: {namespace}}}");
        writeln!(
            text,
            "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {metadata}, spec: {spec}}}"
        )?;
    }
    Cluster::read(&documents(&text)?)
}

impl Cluster {
    fn pod(&self, name: &str) -> &Pod {
        self.pods.iter().find(|pod| pod.to_string() == name).unwrap()
    }

    fn tcp(&self, from: &str, to: &str, port: u16) -> bool {
        self.may(self.pod(from), self.pod(to), port, Protocol::Tcp)
    }

    /// Whether each of the three clients may reach the server's port 8080: red's client, red's other, blue's client.
    fn clients(&self) -> [bool; 3] {
        ["red/client", "red/other", "blue/client"].map(|from| self.tcp(from, "blue/server", 8080))
    }
}
