//! What is wrong in an environment, by the tables: all of it, not the first.

use std::collections::BTreeSet;
use std::net::IpAddr;

use slipway_gitops_tests::policies::{Cluster, Direction, Labels, Pod, Protocol};

use crate::Environment;
use crate::tables::Ports::{All, Declared, Tcp, Udp};
use crate::tables::{
    ALLOWED, ANYBODY, DNS, FORBIDDEN, MONITORING, MONITORING_NAMESPACE, NODE_DNS, NOT_OURS, OPENSHIFT_DNS, OURS,
    OUTSIDE, UNDECLARED, concerns, is, is_ours,
};

/// How the names of pods begin that nothing declares.
const STRAY: &str = "a pod with ";

/// Pods that are missing, and pods that the tables do not know.
pub(crate) fn pods(environment: &Environment) -> Vec<String> {
    let mut wrong = Vec::new();
    let found: BTreeSet<String> = environment
        .cluster
        .pods
        .iter()
        .map(Pod::to_string)
        .filter(|name| ![DNS, OPENSHIFT_DNS].contains(&name.as_str()))
        .collect();
    let expected: BTreeSet<String> = environment.expected.iter().map(|name| (*name).to_owned()).collect();
    wrong.extend(expected.difference(&found).map(|name| format!("{name} is not there")));
    wrong.extend(found.difference(&expected).map(|name| format!("{name} is there, and the tables do not know it")));
    wrong
}

/// What is needed and closed, and what gets into a pod of ours beyond the table.
pub(crate) fn allowed(environment: &Environment) -> Vec<String> {
    each(&environment.cluster, |from, to, port, protocol| {
        let row = ALLOWED.iter().any(|row| concerns(row, from, to) && row.2.hold(to, port, protocol));
        let may = environment.cluster.may(from, to, port, protocol);
        match (row, may) {
            (true, false) => Some("is needed and not allowed"),
            // What is not ours may be open to more than is needed of it.
            (false, true) if is_ours(to) => Some("is allowed and not in the table"),
            _ => None,
        }
    })
}

/// What one end alone lets through beyond the table, so that only a second mistake opens something.
pub(crate) fn each_end(environment: &Environment) -> Vec<String> {
    let cluster = &environment.cluster;
    each(cluster, |from, to, port, protocol| {
        let rows = || ALLOWED.iter().filter(|row| row.2.hold(to, port, protocol));
        // Where anybody may come in, ours may too.
        let in_row = rows().any(|row| (is(row.0, from) || row.0 == ANYBODY) && is(row.1, to));
        // The way out is by namespace, since jobs that set a store up bear its name; or to any address.
        let out_row = rows().any(|row| is(row.0, from) && row.1.split('/').next() == Some(to.namespace.as_str()))
            || cluster.may_leave(from, port, protocol);
        if is_ours(to) && !in_row && cluster.lets_in(from, to, port, protocol) {
            Some("is let in and not in the table")
        } else if is_ours(from) && !is_stray(from) && !out_row && cluster.lets_out(from, to, port, protocol) {
            Some("is let out and not in the table")
        } else {
            None
        }
    })
}

/// What must never be reached and may be.
pub(crate) fn forbidden(environment: &Environment) -> Vec<String> {
    each(&environment.cluster, |from, to, port, protocol| {
        let row = FORBIDDEN.iter().any(|row| concerns(row, from, to) && row.2.hold(to, port, protocol));
        (row && environment.cluster.may(from, to, port, protocol)).then_some("must never be allowed")
    })
}

/// What gets out of the cluster beyond the table, and what is needed there and does not.
pub(crate) fn outside(environment: &Environment) -> Vec<String> {
    let cluster = &environment.cluster;
    let mut wrong = Vec::new();
    for from in cluster.pods.iter().filter(|pod| is_ours(pod)) {
        for (port, protocol) in every_port(cluster) {
            let row = OUTSIDE.iter().any(|(environments, pod, number)| {
                environments.contains(&environment.name.as_str())
                    && *pod == from.to_string()
                    && Tcp(*number).hold(from, port, protocol)
            });
            if cluster.may_leave(from, port, protocol) != row {
                let verdict = if row { "is needed and not allowed" } else { "is allowed and not in the table" };
                wrong.push(format!("{from} -> outside {protocol:?} {port} {verdict}"));
            }
            for address in NODE_DNS {
                let row = row || (port == 53 && protocol != Protocol::Sctp);
                if cluster.may_reach(from, IpAddr::V4(address), port, protocol) != row {
                    let verdict = if row { "is needed and not allowed" } else { "is allowed and not in the table" };
                    wrong.push(format!("{from} -> {address} {protocol:?} {port} {verdict}"));
                }
            }
        }
    }
    wrong
}

/// Namespaces that are open, and policies that cannot be judged.
pub(crate) fn closed(environment: &Environment) -> Vec<String> {
    let cluster = &environment.cluster;
    let mut wrong = Vec::new();
    for namespace in cluster.namespaces.keys().filter(|name| !UNDECLARED.contains(&name.as_str())) {
        if NOT_OURS.contains(&namespace.as_str()) {
            continue;
        }
        if !OURS.contains(&namespace.as_str()) {
            wrong.push(format!("whether namespace {namespace} is to be closed is not said"));
        }
        // One that no policy knows by a label.
        let pod = stray(namespace, &Labels::new());
        for direction in [Direction::Ingress, Direction::Egress] {
            if !cluster.is_closed(&pod, direction) {
                wrong.push(format!("namespace {namespace} is open: {direction:?}"));
            }
        }
    }
    // Whether a block of addresses holds pods is up to the cluster, but for addresses of the node itself.
    for policy in cluster.policies.iter().filter(|policy| OURS.contains(&policy.namespace.as_str())) {
        let blocks =
            policy.blocks().filter(|block| !NODE_DNS.iter().any(|address| *block == IpAddr::V4(*address).into()));
        wrong.extend(
            blocks.map(|block| format!("policy {}/{} names addresses: {block}", policy.namespace, policy.name)),
        );
    }
    wrong
}

/// What asks to be scraped and is not in the table, and the other way round. `allowed` judges whether the table holds.
pub(crate) fn scraped(environment: &Environment) -> Vec<String> {
    let is_here = |pod: &str| environment.expected.contains(pod);
    let rows = ALLOWED.iter().filter(|row| row.0 == MONITORING && is_here(row.1));
    let mut rows: BTreeSet<(String, u16)> = rows
        .filter_map(|row| match row.2 {
            Tcp(number) => Some((row.1.to_owned(), number)),
            Udp(_) | All | Declared => None,
        })
        .collect();
    let mut wrong = Vec::new();
    for asking in &environment.scraped {
        if !rows.remove(asking) {
            wrong.push(format!("{} asks to be scraped at {}, and the table does not know it", asking.0, asking.1));
        }
    }
    wrong.extend(rows.iter().map(|(pod, port)| format!("{pod} does not ask to be scraped at {port}")));
    wrong
}

/// Puts a question about every pod and stray, every pod and every port that stands for others. Answers by their first port.
fn each(cluster: &Cluster, judge: impl Fn(&Pod, &Pod, u16, Protocol) -> Option<&'static str>) -> Vec<String> {
    let mut wrong = Vec::new();
    let ports = every_port(cluster);
    for from in cluster.pods.iter().chain(&strays(cluster)) {
        for to in &cluster.pods {
            let found = ports.iter().find_map(|(port, protocol)| {
                judge(from, to, *port, *protocol).map(|what| format!("{from} -> {to} {protocol:?} {port} {what}"))
            });
            wrong.extend(found);
        }
    }
    wrong
}

/// Ports that stand for all, those of the tables among them.
fn every_port(cluster: &Cluster) -> Vec<(u16, Protocol)> {
    let of_rows = ALLOWED.iter().chain(FORBIDDEN).filter_map(|(_, _, ports)| match ports {
        Tcp(number) | Udp(number) => Some(*number),
        All | Declared => None,
    });
    let of_rows = of_rows.chain(OUTSIDE.iter().map(|(_, _, number)| *number));
    let all: BTreeSet<u16> = cluster.ports().into_iter().chain(of_rows).collect();
    all.into_iter().flat_map(|port| Protocol::ALL.map(|protocol| (port, protocol))).collect()
}

/// Pods that nothing declares. In foreign namespaces: one without labels, and one with the labels of each pod of the cluster. In each of
/// ours: one without labels, but for `training`, where every pod counts as a worker.
fn strays(cluster: &Cluster) -> Vec<Pod> {
    let mut all = Vec::new();
    for namespace in ["default", "stranger", MONITORING_NAMESPACE] {
        all.push(stray(namespace, &Labels::new()));
        all.extend(cluster.pods.iter().map(|pod| stray(namespace, &pod.labels)));
    }
    let ours = OURS.iter().filter(|name| **name != "training" && cluster.namespaces.contains_key(**name));
    all.extend(ours.map(|namespace| stray(namespace, &Labels::new())));
    all
}

fn stray(namespace: &str, labels: &Labels) -> Pod {
    Pod {
        namespace: namespace.to_owned(),
        name: format!("{STRAY}{labels:?}"),
        labels: labels.clone(),
        ports: Vec::new(),
    }
}

fn is_stray(pod: &Pod) -> bool {
    pod.name.starts_with(STRAY)
}
