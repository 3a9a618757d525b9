//! What is refused, and that it is said as Kubernetes says it.

use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use crate::bench::{Bench, http};

async fn status(answer: reqwest::Response) -> (StatusCode, String) {
    let code = answer.status();
    let status: Value = answer.json().await.unwrap();
    assert_eq!(
        (status["kind"].as_str(), status["code"].as_u64()),
        (Some("Status"), Some(code.as_u16().into())),
        "{status}"
    );
    assert!(!status["message"].as_str().unwrap().is_empty(), "{status}");
    (code, status["reason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn only_who_has_the_token_and_means_this_machine_is_answered() {
    let bench = Bench::new(1).await;
    let url = format!("{}/api/v1/pods", bench.serving.url);
    let (client, token) = http(&bench.serving.kubeconfig);
    let none = client.get(&url).send().await.unwrap();
    assert_eq!(status(none).await, (StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()));
    for wrong in ["", "x", &token[1..], &format!("{token}0")] {
        let answer = client.get(&url).bearer_auth(wrong).send().await.unwrap();
        assert_eq!(status(answer).await.0, StatusCode::UNAUTHORIZED);
    }
    let basic = client.get(&url).basic_auth("slipway", Some(&token)).send().await.unwrap();
    assert_eq!(status(basic).await.0, StatusCode::UNAUTHORIZED);
    for host in ["example.org", "127.0.0.1.example.org", "example.org:80", "localhost.example.org", "10.0.0.1"] {
        let foreign = client.get(&url).bearer_auth(&token).header(header::HOST, host).send().await.unwrap();
        assert_eq!(status(foreign).await, (StatusCode::FORBIDDEN, "Forbidden".to_owned()), "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:1"] {
        let own = client.get(&url).bearer_auth(&token).header(header::HOST, host).send().await.unwrap();
        assert_eq!(own.status(), StatusCode::OK, "{host}");
    }
    // no TLS, no answer
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(url.replace("https", "http")).bearer_auth(&token).send().await.is_err());
    // and the token is not for everybody on this machine
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&bench.serving.kubeconfig).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn jobs_are_not_written_here() {
    let mut bench = Bench::new(1).await;
    bench.add("a", 1, "true");
    bench.finished("a").await;
    let jobs = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/training/trainjobs";
    for (method, path) in [
        (Method::POST, jobs.to_owned()),
        (Method::DELETE, jobs.to_owned()),
        (Method::PUT, format!("{jobs}/a")),
        (Method::PATCH, format!("{jobs}/a")),
        (Method::DELETE, format!("{jobs}/a")),
        (Method::PATCH, format!("{jobs}/a/status")),
        (Method::POST, "/api/v1/namespaces/training/pods".to_owned()),
        (Method::POST, "/api/v1/namespaces/training/events".to_owned()),
        (Method::DELETE, "/apis/jobset.x-k8s.io/v1alpha2/namespaces/training/jobsets/a".to_owned()),
    ] {
        let answer = bench.request(method.clone(), &path).body("{}").send().await.unwrap();
        assert_eq!(
            status(answer).await,
            (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed".to_owned()),
            "{method} {path}"
        );
    }
    let report = bench.request(Method::POST, &format!("{jobs}/a/status")).body("{}").send().await.unwrap();
    assert_eq!(status(report).await.0, StatusCode::FORBIDDEN, "only a worker says how far it is");
    assert!(bench.train_jobs().get_opt("a").await.unwrap().is_some());
}

#[tokio::test]
async fn everything_else_is_not_there() {
    let bench = Bench::new(1).await;
    for path in [
        "/",
        "/apis/apps/v1",
        "/apis/apps/v1/namespaces/training/deployments",
        "/api/v1/namespaces",
        "/api/v1/namespaces/training/secrets",
        "/api/v1/namespaces/training/pods/none",
        "/api/v1/namespaces/training/pods/none/exec",
        "/api/v1/namespaces/training/pods/..%2f..%2fetc/log",
        "/apis/trainer.kubeflow.org/v1alpha1/trainjobs/a",
        "/apis/trainer.kubeflow.org/v2/trainjobs",
        "/openapi/v3",
        "/api/v1/namespaces/%ff/pods",
    ] {
        let answer = bench.request(Method::GET, path).send().await.unwrap();
        assert_eq!(status(answer).await, (StatusCode::NOT_FOUND, "NotFound".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_a_bad_request() {
    let bench = Bench::new(1).await;
    for query in [
        "limit=-1",
        "limit=1&limit=2",
        "continue=x",
        "labelSelector=a%20b",
        "fieldSelector=spec.image=x",
        "fieldSelector=type",
        "resourceVersion=x",
        "watch=perhaps",
        "watch=true&timeoutSeconds=soon",
        "watch=true&resourceVersion=-7",
    ] {
        let answer =
            bench.request(Method::GET, &format!("/api/v1/namespaces/training/pods?{query}")).send().await.unwrap();
        assert_eq!(status(answer).await, (StatusCode::BAD_REQUEST, "BadRequest".to_owned()), "{query}");
    }
    let protobuf =
        bench.request(Method::GET, "/api/v1/pods").header(header::ACCEPT, "application/vnd.kubernetes.protobuf");
    assert_eq!(status(protobuf.send().await.unwrap()).await.0, StatusCode::NOT_ACCEPTABLE);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/n/leases/a";
    let patch =
        bench.request(Method::PATCH, lease).header(header::CONTENT_TYPE, "application/json-patch+json").body("[]");
    assert_eq!(status(patch.send().await.unwrap()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
