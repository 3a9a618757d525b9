//! From an Application that is not well to the line that says why.

use serde_json::json;
use slipway_cluster::{components, diagnose, exposure};

use crate::server::Api;

#[tokio::test]
async fn the_last_lines_of_the_container_at_fault_are_found() {
    let api = Api::default();
    let (_server, cluster) = api.start().await;
    api.put(
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web",
        json!({"metadata": {"name": "web"}, "status": {
            "sync": {"status": "Synced"}, "health": {"status": "Degraded"},
            "operationState": {"phase": "Failed", "message": "one failed",
                "syncResult": {"resources": [{"kind": "ConfigMap", "namespace": "web", "name": "c", "status": "SyncFailed", "message": "too long"}]}},
            "resources": [
                {"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "web", "name": "web", "status": "Synced"},
                {"version": "v1", "kind": "ConfigMap", "namespace": "web", "name": "c", "status": "OutOfSync"},
                {"version": "v1", "kind": "Secret", "namespace": "web", "name": "gone", "status": "OutOfSync"}]}}),
    );
    api.put(
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/fine",
        json!({"metadata": {"name": "fine"}, "status": {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}}),
    );
    api.put(
        "/apis/apps/v1/namespaces/web/deployments/web",
        json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}}),
    );
    api.put(
        "/api/v1/namespaces/web/configmaps/c",
        json!({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "web"}}),
    );
    api.put(
        "/api/v1/namespaces/web/pods/web-1",
        json!({"kind": "Pod", "metadata": {"name": "web-1", "namespace": "web", "labels": {"app": "web"}}, "status": {"containerStatuses": [{"name": "web",
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3}}}]}}),
    );
    let log = "/api/v1/namespaces/web/pods/web-1/log".to_owned();
    api.0.lock().unwrap().fixed.insert(log, json!("starting\nno such table: runs\n"));

    assert_eq!(components(&cluster, None).await.unwrap().len(), 2);
    let all = diagnose(&cluster).await.unwrap();
    assert_eq!(all.len(), 1);
    let resources = &all[0].resources;
    let reasons: Vec<_> = resources.iter().map(|one| format!("{}: {}", one.resource, one.reason)).collect();
    assert_eq!(
        reasons,
        [
            "ConfigMap web/c: not applied: too long",
            "Deployment web/web: 0 of 1 available",
            "Secret web/gone: it is not in the cluster"
        ]
    );
    let pod = &resources[1].pods[0];
    assert_eq!(
        (pod.reason.as_str(), pod.log.as_slice()),
        ("CrashLoopBackOff", &["starting".to_owned(), "no such table: runs".to_owned()][..])
    );
    assert!(pod.message.contains("exit code 3"), "{pod:?}");
}

#[tokio::test]
async fn a_private_service_with_a_public_address_is_found() {
    let api = Api::default();
    let (_server, cluster) = api.start().await;
    let service = |exposure: &str, entry: serde_json::Value| {
        json!({"metadata": {"namespace": "gateway", "labels": {"slipway.dev/exposure": exposure}},
            "spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [entry]}}})
    };
    let of = |name: &str| format!("/api/v1/namespaces/gateway/services/{name}");
    api.put(&of("a-public"), service("public", json!({"ip": "203.0.113.7"})));
    api.put(&of("b-address"), service("internal", json!({"ip": "203.0.113.8"})));
    // resolved without asking anybody
    api.put(&of("c-name"), service("internal", json!({"hostname": "localhost"})));
    api.put(&of("d-address"), service("internal", json!({"ip": "10.1.2.3"})));
    api.put(
        &of("e-new"),
        json!({"metadata": {"namespace": "gateway", "labels": {"slipway.dev/exposure": "internal"}}}),
    );

    let examined = exposure(&cluster).await.unwrap();
    let found: Vec<_> = examined.iter().map(|one| (one.what.as_str(), one.ok)).collect();
    let services = ["Service gateway/b-address", "Service gateway/c-name", "Service gateway/d-address"];
    assert_eq!(found, [(services[0], false), (services[1], true), (services[2], true)]);
    assert!(examined[0].found.contains("203.0.113.8") && examined[0].how.as_ref().unwrap().contains("annotation"));
}

#[tokio::test]
async fn jobs_that_are_held_back_are_one_finding_and_not_one_each() {
    let api = Api::default();
    let (_server, cluster) = api.start().await;
    let job = |name: &str| {
        json!({"group": "trainer.kubeflow.org", "version": "v1alpha1", "kind": "TrainJob", "namespace": "training", "name": name,
            "status": "OutOfSync", "health": {"status": "Missing"}})
    };
    api.put(
        "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/training-jobs",
        json!({"metadata": {"name": "training-jobs"}, "spec": {"syncPolicy": {"automated": {"prune": true, "enabled": false}}},
            "status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Missing"}, "resources": [job("a"), job("b")]}}),
    );
    let all = diagnose(&cluster).await.unwrap();
    assert_eq!((all.len(), all[0].resources.len()), (1, 0), "{all:?}");
    assert!(all[0].component.message.contains("bootstrap <environment> --jobs start"), "{all:?}");
}
