//! What is asked of a cluster first, and what is said when it cannot be asked.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use slipway_cluster::{Cluster, Error, Examined, Requirements, components, preflight};

use crate::server::Api;

fn required() -> Requirements {
    Requirements { version: (1, 31), architectures: vec!["amd64".to_owned()], storage_class: Some(String::new()) }
}

#[tokio::test]
async fn everything_that_is_wrong_is_reported_at_once() {
    let api = Api::default();
    let (_server, cluster) = api.start().await;
    {
        let mut state = api.0.lock().unwrap();
        state.fixed.insert("/version".to_owned(), json!({"major": "1", "minor": "29", "gitVersion": "v1.29.0"}));
        state.fixed.insert("/apis/storage.k8s.io/v1/storageclasses".to_owned(), json!({"items": []}));
    }
    let examined = preflight(&cluster, &required(), || false, || false).await.unwrap();
    assert_eq!(examined.len(), 5);
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
    let examined = preflight(&cluster, &required(), || false, || true).await.unwrap();
    assert!(examined.iter().all(|one| one.ok), "{examined:?}");

    // what GKE has to be told, and what it manages itself
    api.put(
        "/api/v1/nodes/a",
        json!({"spec": {"providerID": "gce://project/zone/a"}, "status": {"nodeInfo": {"architecture": "amd64"},
            "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.gateway.networking.k8s.io";
    let spec = json!({"group": "gateway.networking.k8s.io", "names": {"kind": "Gateway", "plural": "gateways"}, "scope": "Namespaced", "versions": []});
    api.put(definition, json!({"metadata": {"annotations": {"components.gke.io/layer": "addon"}}, "spec": spec}));
    let on_gke = preflight(&cluster, &required(), || false, || true).await.unwrap();
    let of = |what: &str| on_gke.iter().find(|one| one.what == what).unwrap();
    assert!(of("webhooks").ok && of("webhooks").how.as_ref().unwrap().contains("9443"), "{on_gke:?}");
    assert!(!of("Gateway API").ok && of("Gateway API").how.as_ref().unwrap().contains("remove"), "{on_gke:?}");
    let on_gke = preflight(&cluster, &required(), || false, || false).await.unwrap();
    assert!(on_gke.iter().all(|one| one.ok), "{on_gke:?}");
    api.put(definition, json!({"spec": spec}));

    // with a node that no image runs on, it depends on the pods
    api.put(
        "/api/v1/nodes/b",
        json!({"status": {"nodeInfo": {"architecture": "s390x"}, "conditions": [{"type": "Ready", "status": "True"}]}}),
    );
    let wrong = |examined: &[Examined]| examined.iter().filter(|one| !one.ok).count();
    assert_eq!(wrong(&preflight(&cluster, &required(), || false, || true).await.unwrap()), 1);
    assert_eq!(wrong(&preflight(&cluster, &required(), || true, || true).await.unwrap()), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    // nothing listens on the port that was free a moment ago
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::at(&format!("http://127.0.0.1:{port}")).unwrap();
    let error = preflight(&cluster, &required(), || false, || true).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { server, .. } if server.contains(&port.to_string())), "{error}");
}

#[tokio::test]
async fn a_connection_without_tls_is_told_from_a_server_that_is_away() {
    let server = Api::default().serve().await;
    let cluster = Cluster::at(&format!("https://{}", server.address)).unwrap();
    let error = preflight(&cluster, &required(), || false, || true).await.unwrap_err();
    assert!(matches!(&error, Error::Tls { .. }) && error.to_string().contains("certificate-authority-data"), "{error}");
}

#[tokio::test]
async fn credentials_that_are_not_accepted_are_a_login_that_failed() {
    let api = Api::default();
    let (_server, cluster) = api.start().await;
    api.0.lock().unwrap().locked = true;
    let error = preflight(&cluster, &required(), || false, || true).await.unwrap_err();
    assert!(matches!(&error, Error::Login { .. }) && error.to_string().contains("kubectl auth whoami"), "{error}");
}

/// A kubeconfig whose credential plugin gives a token that has to be renewed each time, while the file `session` exists.
fn kubeconfig(folder: &Path, server: SocketAddr) -> PathBuf {
    let (plugin, config) = (folder.join("plugin.sh"), folder.join("kubeconfig"));
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"}});
    let script = format!(
        "[ -e {}/session ] || {{ echo 'your session has ended' >&2; exit 1; }}\necho '{credential}'\n",
        folder.display()
    );
    fs::write(&plugin, script).unwrap();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": [plugin], "interactiveMode": "Never"});
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{server}")}}],
        "users": [{"name": "u", "user": {"exec": exec}}],
    });
    fs::write(&config, content.to_string()).unwrap();
    config
}

#[tokio::test]
async fn a_credential_plugin_that_fails_is_quoted_at_once_and_later() {
    let folder = tempfile::tempdir().unwrap();
    let server = Api::default().serve().await;
    let config = kubeconfig(folder.path(), server.address);
    let ended =
        |error: &Error| matches!(error, Error::Login { message, .. } if message.contains("your session has ended"));
    let error = Cluster::of_kubeconfig(&config, None).await.unwrap_err();
    assert!(ended(&error), "{error}");

    fs::write(folder.path().join("session"), "").unwrap();
    let cluster = Cluster::of_kubeconfig(&config, None).await.unwrap();
    assert_eq!(components(&cluster, None).await.unwrap(), []);
    fs::remove_file(folder.path().join("session")).unwrap();
    let error = components(&cluster, None).await.unwrap_err();
    assert!(ended(&error), "{error}");

    let error = Cluster::of_kubeconfig(&config, Some("other")).await.unwrap_err();
    assert!(matches!(&error, Error::NoConfiguration(text) if text.contains("other")), "{error}");
}
