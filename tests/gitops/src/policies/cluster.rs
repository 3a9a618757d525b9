//! What a cluster holds, and what may talk to what in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::pods::{Pod, Protocol};
use super::policy::{Direction, Other, Policy};
use super::selector::{Labels, labels};

/// What matters of a cluster to its NetworkPolicies.
#[derive(Debug)]
pub struct Cluster {
    /// Namespaces with their labels.
    pub namespaces: BTreeMap<String, Labels>,
    /// Pods.
    pub pods: Vec<Pod>,
    /// Policies.
    pub policies: Vec<Policy>,
}

impl Cluster {
    /// Takes what is needed out of objects.
    ///
    /// # Errors
    /// When one cannot be read, or would be judged wrongly: a policy of another kind, a namespace that is not among them.
    pub fn read(objects: &[Value]) -> Result<Self> {
        let mut cluster = Self { namespaces: BTreeMap::new(), pods: Vec::new(), policies: Vec::new() };
        for object in objects {
            let (kind, name) = (object["kind"].as_str().unwrap_or_default(), &object["metadata"]["name"]);
            let what = || format!("{kind} {name}");
            if kind == "Namespace" {
                let name = name.as_str().context("a namespace without a name")?;
                let mut labels = labels(&object["metadata"]["labels"]).with_context(what)?;
                // The API server's doing.
                labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
                cluster.namespaces.insert(name.to_owned(), labels);
            } else if kind.ends_with("NetworkPolicy") {
                let known = kind == "NetworkPolicy" && object["apiVersion"] == "networking.k8s.io/v1";
                ensure!(known, "{} is a policy that is not judged", what());
                cluster.policies.push(Policy::read(object).with_context(what)?);
            } else {
                cluster.pods.extend(Pod::of(object).with_context(what)?);
            }
        }
        let used = cluster.pods.iter().map(|pod| &pod.namespace);
        for namespace in used.chain(cluster.policies.iter().map(|policy| &policy.namespace)) {
            ensure!(cluster.namespaces.contains_key(namespace), "namespace {namespace} is used and not declared");
        }
        Ok(cluster)
    }

    /// Whether a pod may open a connection to another one's port: both ends must let it.
    pub fn may(&self, from: &Pod, to: &Pod, port: u16, protocol: Protocol) -> bool {
        self.lets_out(from, to, port, protocol) && self.lets_in(from, to, port, protocol)
    }

    /// Whether the policies of where it begins let it.
    pub fn lets_out(&self, from: &Pod, to: &Pod, port: u16, protocol: Protocol) -> bool {
        self.lets(from, Direction::Egress, self.other(to), port, protocol)
    }

    /// Whether the policies of where it leads let it.
    pub fn lets_in(&self, from: &Pod, to: &Pod, port: u16, protocol: Protocol) -> bool {
        self.lets(to, Direction::Ingress, self.other(from), port, protocol)
    }

    /// Whether a pod may open a connection to that port of anything outside of the cluster. The API server counts as outside.
    pub fn may_leave(&self, from: &Pod, port: u16, protocol: Protocol) -> bool {
        self.lets(from, Direction::Egress, Other::Outside(None), port, protocol)
    }

    /// Whether a pod may open a connection to that port of an address that does not belong to a pod.
    pub fn may_reach(&self, from: &Pod, address: IpAddr, port: u16, protocol: Protocol) -> bool {
        self.lets(from, Direction::Egress, Other::Outside(Some(address)), port, protocol)
    }

    /// Whether a pod is closed in a direction but for what policies let through.
    pub fn is_closed(&self, pod: &Pod, direction: Direction) -> bool {
        self.policies.iter().any(|policy| policy.closes(pod, direction))
    }

    /// Ports that stand for all of them: what is allowed changes at none but these.
    pub fn ports(&self) -> BTreeSet<u16> {
        let named = self.pods.iter().flat_map(|pod| &pod.ports).map(|port| port.number);
        let numbers = self.policies.iter().flat_map(Policy::numbers).chain(named);
        numbers.flat_map(|port| [Some(port), port.checked_add(1)]).flatten().chain([1]).collect()
    }

    fn lets(&self, pod: &Pod, direction: Direction, other: Other<'_>, port: u16, protocol: Protocol) -> bool {
        let mut closed = false;
        for policy in self.policies.iter().filter(|policy| policy.closes(pod, direction)) {
            if policy.lets(pod, direction, other, port, protocol) {
                return true;
            }
            closed = true;
        }
        !closed
    }

    fn other<'a>(&'a self, pod: &'a Pod) -> Other<'a> {
        static NONE: Labels = Labels::new();
        Other::Pod(pod, self.namespaces.get(&pod.namespace).unwrap_or(&NONE))
    }
}
