//! Commands that ask a cluster: its API server and its MLflow are stubs on loopback.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use slipway_cluster::Cluster;
use wiremock::matchers::{method, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::project::{Project, Ran};

/// An API server with these lists, by the plural of their kind. It has nothing else.
async fn api_server(lists: &[(&str, Value)]) -> MockServer {
    let server = MockServer::start().await;
    for (plural, items) in lists {
        let list =
            json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": "1" }, "items": items });
        let answer = ResponseTemplate::new(200).set_body_json(list);
        Mock::given(method("GET")).and(path_regex(format!("/{plural}$"))).respond_with(answer).mount(&server).await;
    }
    server
}

/// An Application as Argo CD's definition has it.
fn application(name: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": { "name": name, "namespace": "argocd" },
        "status": { "sync": { "status": "Synced" }, "health": { "status": "Healthy" } },
    })
}

/// Runs the program with a kubeconfig for an API server and an empty home.
fn run(project: &Project, api_server: &MockServer, arguments: &[&str], change: impl FnOnce(&mut Command)) -> Ran {
    let home = project.top().join("../home");
    fs::create_dir_all(&home).unwrap();
    let kubeconfig = home.join("kubeconfig");
    fs::write(&kubeconfig, Cluster::kubeconfig_at(&api_server.uri())).unwrap();
    project.run_with(arguments, |command| {
        command.env("KUBECONFIG", &kubeconfig).env("HOME", &home);
        for name in ["MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"] {
            command.env_remove(name);
        }
        change(command);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_door_with_a_public_address_fails_the_doctor() {
    let door = |name: &str, address: &str| {
        json!({
            "metadata": { "name": name, "namespace": "gateway", "labels": { "slipway.dev/exposure": "internal" } },
            "spec": { "type": "LoadBalancer" }, "status": { "loadBalancer": { "ingress": [{ "ip": address }] } },
        })
    };
    let project = Project::new();
    for (second, code) in [("203.0.113.8", 6), ("10.1.2.4", 0)] {
        let services = json!([door("first", "10.1.2.3"), door("second", second)]);
        let api = api_server(&[("applications", json!([application("traefik")])), ("services", services)]).await;
        let ran = run(&project, &api, &["doctor", "--cluster"], |_| {});
        assert_eq!(ran.code(), code, "{ran:?}");
        let text = ran.text();
        assert!(text.contains("traefik") && text.contains("private, at 10.1.2.3"), "{text}");
        let bad = [
            "public address 203.0.113.8",
            "annotation for an internal load balancer",
            "1 load balancer not known to be private",
        ];
        for said in bad {
            assert_eq!(text.contains(said), code == 6, "{said}: {text}");
        }
        let json = run(&project, &api, &["doctor", "--cluster", "-o", "json"], |_| {});
        let addresses = json.json()["addresses"].clone();
        assert_eq!((json.code(), addresses.as_array().unwrap().len()), (code, 2), "{json:?}");
        assert_eq!((&addresses[0]["ok"], &addresses[1]["ok"]), (&json!(true), &json!(code == 0)), "{addresses}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_of_the_environment_is_not_sent_where_a_route_of_the_cluster_leads() {
    let mlflow = MockServer::start().await;
    let port = mlflow.address().port();
    let gateway = json!({
        "metadata": { "name": "gate", "namespace": "gateway" },
        "spec": { "listeners": [{ "name": "http", "protocol": "HTTP", "port": port }] },
    });
    let route = json!({
        "metadata": { "name": "mlflow", "namespace": "mlflow" },
        "spec": {
            "hostnames": ["127.0.0.1"], "parentRefs": [{ "name": "gate", "namespace": "gateway" }],
            "rules": [{ "backendRefs": [{ "name": "mlflow", "port": 5000 }] }],
        },
    });
    let lists = [
        ("applications", json!([application("mlflow")])),
        ("gateways", json!([gateway])),
        ("httproutes", json!([route])),
        ("services", json!([])),
    ];
    let (project, api) = (Project::new(), api_server(&lists).await);
    let home = project.top().join("../home/.mlflow");
    fs::create_dir_all(&home).unwrap();
    let file = "[mlflow]\nmlflow_tracking_username = ann\nmlflow_tracking_password = of-the-file\n";
    let status = |variables: &[(&str, &str)]| {
        run(&project, &api, &["status", "--cluster"], |command| {
            command.envs(variables.iter().copied());
        })
    };
    let uri = mlflow.uri();
    let password = [("MLFLOW_TRACKING_USERNAME", "ann"), ("MLFLOW_TRACKING_PASSWORD", "of-a-variable")];
    let token = [("MLFLOW_TRACKING_TOKEN", "of-a-variable")];
    for (login, file) in [(&password[..], None), (&token[..], None), (&[][..], Some(file))] {
        match file {
            Some(text) => fs::write(home.join("credentials"), text).unwrap(),
            None => assert!(!home.join("credentials").exists()),
        }
        // named by the user, it gets the login; only led to by a route, it does not
        for (named, sent) in [(Some(("MLFLOW_TRACKING_URI", uri.as_str())), true), (None, false)] {
            mlflow.reset().await;
            let ran = status(&login.iter().copied().chain(named).collect::<Vec<_>>());
            let requests = mlflow.received_requests().await.unwrap();
            assert!(!requests.is_empty(), "{ran:?}");
            for request in requests {
                assert_eq!(request.headers.contains_key("authorization"), sent, "{login:?} {named:?}: {request:?}");
            }
            for place in [&api, &mlflow] {
                let all = format!("{:?}", place.received_requests().await.unwrap());
                assert!(sent || !all.contains("of-a-variable") && !all.contains("of-the-file"), "{all}");
            }
        }
    }
}
