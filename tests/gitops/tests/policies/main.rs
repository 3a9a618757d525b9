//! What may talk to what, by the NetworkPolicies of every environment. No agent enforces them on the test cluster, so nothing is
//! sent here: what they let through is worked out and compared with tables, for every port and from every pod.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod judges;
mod tables;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use judges::{allowed, closed, each_end, forbidden, outside, pods, scraped};
use serde_json::{Value, json};
use slipway_gitops_tests::policies::{Cluster, Pod, Selector};
use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{builds, deployed, documents, environments};
use tables::{
    ALLOWED, ANY_OF_ARGOCD, ANY_OF_OURS, ANYBODY, ARGOCD, CERT_MANAGER, DNS, EVERYWHERE, EXTERNAL_SECRETS, FORBIDDEN,
    JOBSET, KUBEFLOW_TRAINER, MONITORING, MONITORING_NAMESPACE, OPENSHIFT_DNS, OUTSIDE, PODS, STRANGERS, UNDECLARED,
};

struct Environment {
    name: String,
    cluster: Cluster,
    /// The pods that the tables are about, as against strangers.
    expected: BTreeSet<&'static str>,
    /// What asks Prometheus to be scraped: pods of this tree, and the port of each.
    scraped: BTreeSet<(String, u16)>,
}

/// What this tree declares.
static TREE: LazyLock<Vec<Environment>> = LazyLock::new(|| {
    made(
        |_| Vec::new(),
        |name| {
            let folders = builds(name).unwrap();
            folders.iter().flat_map(|folder| documents(&kustomize(folder).unwrap()).unwrap()).collect()
        },
    )
});

/// That and what comes from upstream.
static WITH_UPSTREAM: LazyLock<Vec<Environment>> = LazyLock::new(|| {
    let upstream = |name: &str| {
        let charts: &[&[&'static str]] = match name {
            "production" => &[&CERT_MANAGER, &EXTERNAL_SECRETS],
            "staging" => &[&CERT_MANAGER],
            _ => &[],
        };
        [ARGOCD.as_slice(), &[JOBSET, KUBEFLOW_TRAINER], &charts.concat()].concat()
    };
    made(upstream, |name| deployed(name).unwrap().into_iter().flat_map(|one| one.objects).collect())
});

fn made(upstream: impl Fn(&str) -> Vec<&'static str>, objects: impl Fn(&str) -> Vec<Value>) -> Vec<Environment> {
    let names = environments().unwrap();
    assert_eq!(names, PODS.map(|(name, _)| name));
    let made = |(name, ours): (&str, &[&'static str])| {
        let mut objects = objects(name);
        for namespace in UNDECLARED {
            let labels =
                if namespace == MONITORING_NAMESPACE { json!({"slipway.dev/monitoring": "true"}) } else { json!({}) };
            objects.push(json!({"kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}));
        }
        for dns in [DNS, OPENSHIFT_DNS] {
            let (namespace, name) = dns.split_once('/').unwrap();
            objects.push(json!({"kind": "Pod", "metadata": {"name": name, "namespace": namespace}}));
        }
        let cluster = Cluster::read(&objects).unwrap();
        let upstream = upstream(name);
        let mut scraped = asking(&objects, &cluster);
        // what may reach upstream's pods is upstream's to decide
        scraped.retain(|(pod, _)| !upstream.contains(&pod.as_str()));
        let expected = ours.iter().copied().chain(upstream).collect();
        Environment { name: name.to_owned(), cluster, expected, scraped }
    };
    PODS.map(made).into()
}

/// What asks to be scraped by Prometheus' annotations: of a Service for the pods that it selects, or of pods themselves.
fn asking(objects: &[Value], cluster: &Cluster) -> BTreeSet<(String, u16)> {
    let mut all = BTreeSet::new();
    for object in objects {
        let is_service = object["kind"] == "Service";
        let at = if is_service { "/metadata/annotations" } else { "/spec/template/metadata/annotations" };
        let annotations = object.pointer(at).unwrap_or(&Value::Null);
        if annotations["prometheus.io/scrape"] != "true" {
            continue;
        }
        let port = annotations["prometheus.io/port"].as_str().unwrap().parse().unwrap();
        let pods: Vec<Pod> = if is_service {
            let selector = Selector::read(&json!({"matchLabels": object["spec"]["selector"]})).unwrap();
            let is_selected =
                |pod: &&Pod| object["metadata"]["namespace"] == pod.namespace && selector.matches(&pod.labels);
            cluster.pods.iter().filter(is_selected).cloned().collect()
        } else {
            Pod::of(object).unwrap()
        };
        assert!(!pods.is_empty(), "{} selects no pod", object["metadata"]);
        all.extend(pods.iter().map(|pod| (pod.to_string(), port)));
    }
    all
}

#[test]
fn every_environment_has_the_pods_that_the_tables_are_about() {
    judged(&TREE, pods);
}

#[test]
fn into_a_pod_of_ours_gets_what_the_table_names_and_nothing_else() {
    judged(&TREE, allowed);
}

#[test]
fn what_must_never_be_reached_is_not() {
    judged(&TREE, forbidden);
}

#[test]
fn neither_end_relies_on_the_other() {
    judged(&TREE, each_end);
}

#[test]
fn out_of_the_cluster_gets_what_the_table_names_and_nothing_else() {
    judged(&TREE, outside);
}

#[test]
fn every_namespace_of_ours_is_closed() {
    judged(&TREE, closed);
}

#[test]
fn what_asks_to_be_scraped_may_be_and_nothing_else() {
    judged(&TREE, scraped);
}

#[test]
fn all_that_holds_beside_the_pods_of_upstream() {
    need(&["go", "helm"]).unwrap();
    judged(&WITH_UPSTREAM, |environment| {
        [pods, allowed, each_end, forbidden, outside, closed, scraped]
            .iter()
            .flat_map(|judge| judge(environment))
            .collect()
    });
}

/// Fails with everything that is wrong, not with the first of it.
fn judged(environments: &LazyLock<Vec<Environment>>, judge: impl Fn(&Environment) -> Vec<String>) {
    need(&["kustomize"]).unwrap();
    let of =
        |one: &Environment| judge(one).into_iter().map(|wrong| format!("{}: {wrong}", one.name)).collect::<Vec<_>>();
    let wrong: Vec<String> = environments.iter().flat_map(of).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tables_name_pods_that_there_are() {
    let mut known: BTreeSet<&str> = PODS.iter().flat_map(|(_, pods)| *pods).copied().chain(ARGOCD).collect();
    known.extend([
        JOBSET,
        KUBEFLOW_TRAINER,
        DNS,
        OPENSHIFT_DNS,
        ANY_OF_OURS,
        ANYBODY,
        STRANGERS,
        MONITORING,
        ANY_OF_ARGOCD,
    ]);
    for (from, to, _) in ALLOWED.iter().chain(FORBIDDEN) {
        assert!(known.contains(from) && known.contains(to), "{from} -> {to}");
    }
    for (environments, pod, _) in OUTSIDE {
        assert!(known.contains(pod) && environments.iter().all(|name| EVERYWHERE.contains(name)), "{pod}");
    }
    assert!(EVERYWHERE.iter().copied().eq(PODS.map(|(name, _)| name)));
}
