//! What is read of objects, and what is refused.

use super::super::Cluster;
use super::{WORLD, read};
use crate::tree::documents;

#[test]
fn every_kind_of_workload_makes_its_pods() {
    let text = "
{apiVersion: v1, kind: Namespace, metadata: {name: red}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: training}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: one, namespace: red, labels: {app: not-the-pods}}
spec: {template: {metadata: {labels: {app: one}}, spec: {containers: [{name: a}, {ports: [{name: http, containerPort: 80}]}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: two, namespace: red}
spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: two}}}}}}
---
apiVersion: trainer.kubeflow.org/v1alpha1
kind: ClusterTrainingRuntime
metadata: {name: runtime}
spec: {template: {spec: {replicatedJobs: [{name: node, template: {spec: {template: {metadata: {labels: {app: three}}}}}}]}}}
";
    let cluster = Cluster::read(&documents(text).unwrap()).unwrap();
    let found: Vec<_> =
        cluster.pods.iter().map(|pod| (pod.to_string(), pod.labels["app"].as_str(), pod.ports.len())).collect();
    let name = |text: &str| text.to_owned();
    assert_eq!(
        found,
        [(name("red/one"), "one", 1), (name("red/two"), "two", 0), (name("training/runtime-node"), "three", 0)]
    );
}

#[test]
fn what_would_be_judged_wrongly_is_refused() {
    let refused = |spec: &str| format!("{:#}", read(&[("blue", spec)]).unwrap_err());
    for (spec, reason) in [
        ("{podSelector: {}, policyTypes: [Inwards]}", "no policy type"),
        ("{podSelector: {}, ingres: []}", "`ingres` is not known"),
        ("{podSelector: {}, ingress: [{to: []}]}", "`to` is not known"),
        ("{podSelector: {}, ingress: [{from: [{}]}]}", "no peer"),
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}", "no peer"),
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}", "no block"),
        ("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, but: []}}]}]}", "`but` is not known"),
        ("{podSelector: {}, ingress: [{from: {podSelector: {}}}]}", "no list"),
        ("{podSelector: {}, ingress: [{ports: [{prot: 80}]}]}", "`prot` is not known"),
        ("{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "no port"),
        ("{podSelector: {}, ingress: [{ports: [{port: http, endPort: 90}]}]}", "no port"),
        ("{podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]}", "an empty range"),
        ("{podSelector: {}, ingress: [{ports: [{port: 80, protocol: tcp}]}]}", "no protocol"),
        ("{podSelector: {app: server}}", "`app` is not known"),
        ("{podSelector: {matchExpressions: [{key: app, operator: In}]}}", "no expression"),
        ("{podSelector: {matchExpressions: [{key: app, operator: Exists, values: [a]}]}}", "no expression"),
    ] {
        assert!(refused(spec).contains(reason), "{spec}: {}", refused(spec));
    }
    assert!(
        read(&[("green", "{podSelector: {}}")]).unwrap_err().to_string().contains("green is used and not declared")
    );
    for (object, reason) in [
        ("{kind: Pod, metadata: {name: one, namespace: red}, spec: {hostNetwork: true}}", "in its node's network"),
        ("{kind: Pod, metadata: {name: one}}", "names no namespace"),
        (
            "{kind: Rollout, metadata: {name: one, namespace: red}, spec: {template: {spec: {containers: []}}}}",
            "seems to make pods",
        ),
        ("{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: one, namespace: red}}", "not judged"),
    ] {
        let error = Cluster::read(&documents(&format!("{WORLD}---\n{object}")).unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains(reason), "{object}: {error:#}");
    }
}
