//! What is asked of a cluster first.

use serde_json::json;
use slipway_cluster::{Cluster, Error, Requirements, preflight};

use crate::server::Api;

fn wanted() -> Requirements {
    Requirements { version: (1, 31), architectures: vec!["amd64".to_owned()], storage_class: Some(String::new()) }
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let api = Api::default();
    let (_server, cluster) = api.start().await;
    {
        let mut state = api.0.lock().unwrap();
        state.fixed.insert("/version".to_owned(), json!({"major": "1", "minor": "29", "gitVersion": "v1.29.0"}));
        state.fixed.insert("/apis/storage.k8s.io/v1/storageclasses".to_owned(), json!({"items": []}));
    }
    let examined = preflight(&cluster, &wanted()).await.unwrap();
    assert_eq!(examined.len(), 4);
    assert!(examined.iter().all(|one| !one.ok && one.how.is_some()), "{examined:?}");
    assert!(examined[1].found.contains("patch customresourcedefinitions.apiextensions.k8s.io"), "{examined:?}");

    {
        let mut state = api.0.lock().unwrap();
        state.allowed = true;
        state.fixed.insert("/version".to_owned(), json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0"}));
        let class = json!({"metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}});
        state.fixed.insert("/apis/storage.k8s.io/v1/storageclasses".to_owned(), json!({"items": [class]}));
    }
    api.put(
        "/api/v1/nodes/a",
        json!({"status": {"nodeInfo": {"architecture": "amd64"}, "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    let examined = preflight(&cluster, &wanted()).await.unwrap();
    assert!(examined.iter().all(|one| one.ok), "{examined:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // nothing listens on the port that was free a moment ago
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::at(&format!("http://127.0.0.1:{port}")).unwrap();
    let error = preflight(&cluster, &wanted()).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { server, .. } if server.contains(&port.to_string())), "{error}");
}
