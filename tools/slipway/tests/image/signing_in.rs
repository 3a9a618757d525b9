//! What is said about a registry's credentials while everything is logged.

use std::fs;

use rstest::rstest;
use serde_json::json;
use wiremock::matchers::{any, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::repository::{Ran, Repository};

/// A registry that sends those who ask to its token authority, and then has nothing and takes nothing.
async fn registry() -> MockServer {
    let server = MockServer::start().await;
    let tokens = json!({"token": "marked-access", "access_token": "marked-access", "refresh_token": "marked-refresh", "expires_in": 300});
    Mock::given(path("/token")).respond_with(ResponseTemplate::new(200).set_body_json(tokens)).mount(&server).await;
    let realm = format!("Bearer realm=\"{}/token\",service=\"stub\"", server.uri());
    let answer = move |request: &Request| {
        if request.headers.get("authorization").is_some_and(|header| header == "Bearer marked-access") {
            return ResponseTemplate::new(404);
        }
        ResponseTemplate::new(401).insert_header("WWW-Authenticate", realm.as_str())
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

#[rstest]
#[case::password("{\"auths\": {\"REGISTRY\": {\"auth\": \"YW5uOm1hcmtlZC1wYXNzd29yZA==\"}}}")]
#[case::identity_token("{\"auths\": {\"REGISTRY\": {\"auth\": \"MDAwOg==\", \"identitytoken\": \"marked-identity\"}}}")]
#[case::bearer_token("{\"auths\": {\"REGISTRY\": {\"registrytoken\": \"marked-access\"}}}")]
#[case::not_base64("{\"auths\": {\"REGISTRY\": {\"auth\": \"marked-password\"}}}")]
#[case::not_json("marked")]
#[tokio::test(flavor = "multi_thread")]
async fn no_log_and_no_error_shows_them(#[case] configuration: &str) {
    let (repository, registry) = (Repository::new(), registry().await);
    let address = registry.address().to_string();
    fs::create_dir(repository.path("docker")).unwrap();
    fs::write(repository.path("docker/config.json"), configuration.replace("REGISTRY", &address)).unwrap();
    let mut command = repository.command(&["push", "thing", "--to", &format!("{address}/team")]);
    command.env("DOCKER_CONFIG", repository.path("docker")).env("SLIPWAY_LOG", "trace");
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.code(), 6, "{ran:?}");
    let all = ran.text() + &ran.errors();
    assert!(all.contains("TRACE"), "nothing was logged: {all}");
    for secret in ["marked", "YW5uOm1hcmtlZC1wYXNzd29yZA"] {
        let at = all.find(secret);
        assert!(at.is_none(), "…{}", at.map(|at| &all[at.saturating_sub(300)..]).unwrap_or_default());
    }
}
