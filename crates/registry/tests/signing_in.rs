//! Registries that ask who is there, on loopback with and without TLS, in processes with an environment of their own.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use slipway_digest::Digest;
use slipway_oci::{Descriptor, Document, Layout, LayoutWriter, Manifest, media_type};
use slipway_registry::{Options, push};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// A layout with one small image.
fn layout(folder: &Path) -> Layout {
    let writer = LayoutWriter::open(folder).unwrap();
    let config = writer.put(&Document::new(media_type::CONFIG, &json!({}))).unwrap();
    let layer = Descriptor::new(media_type::LAYER, writer.blobs().put(b"a layer").unwrap(), 7);
    let manifest = writer.put(&Manifest::new(config, vec![layer]).document()).unwrap();
    writer.finish(vec![manifest]).unwrap()
}

/// A registry that has every blob, takes every manifest, and answers with that of [`layout`] to whoever sends an accepted header.
async fn registry(challenge: impl Fn(&Request) -> Option<ResponseTemplate> + Send + Sync + 'static) -> MockServer {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout(folder.path());
    let manifest = layout.blobs().read(layout.image()).unwrap();
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        if let Some(refusal) = challenge(request) {
            return refusal;
        }
        let answer = ResponseTemplate::new(if request.method.as_str() == "PUT" { 201 } else { 200 });
        let answer = answer
            .insert_header("Location", "/v2/x")
            .insert_header("Docker-Content-Digest", Digest::of(&manifest).to_string());
        if request.url.path().contains("/manifests/") { answer.set_body_bytes(manifest.clone()) } else { answer }
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn header(request: &Request) -> &str {
    request.headers.get("authorization").map_or("", |value| value.to_str().unwrap())
}

/// TLS in front of a server, with a certificate that nobody has signed.
async fn with_tls(server: &MockServer) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["registry.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let (acceptor, behind) = (TlsAcceptor::from(Arc::new(config)), *server.address());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut to = TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut to).await;
            });
        }
    });
    address
}

/// Pushes [`layout`] in a process with this configuration of Docker and these variables; returns `ok` or the error.
async fn push_to(address: &str, configuration: &str, environment: &[(&str, &str)]) -> String {
    let docker = tempfile::tempdir().unwrap();
    std::fs::write(docker.path().join("config.json"), configuration).unwrap();
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["act", "--exact", "--ignored", "--nocapture"])
        .env_clear()
        .envs(environment.iter().copied())
        .env("DOCKER_CONFIG", docker.path())
        .env("TO", format!("{address}/team/thing:1.0"))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outcome = text.lines().find_map(|line| line.split_once("OUTCOME ").map(|(_, outcome)| outcome.to_owned()));
    outcome.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
#[ignore = "other tests run it in a process of its own"]
async fn act() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { attempts: 2, silence: Duration::from_secs(20), plain_http: false };
    let done = push(&layout(folder.path()), &std::env::var("TO").unwrap(), &options, |_| ()).await;
    println!("\nOUTCOME {}", done.map_or_else(|error| format!("error: {error}"), |_| "ok".to_owned()));
}

#[tokio::test]
async fn an_entry_of_the_configuration_signs_in() {
    let denied = || ResponseTemplate::new(401).insert_header("WWW-Authenticate", "Basic realm=\"registry\"");
    let server = registry(move |request| (header(request) != "Basic YW5uOnA=").then(denied)).await;
    let address = server.address().to_string();
    let configuration = format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"YW5uOnA=\"}}}}}}");
    assert_eq!(push_to(&address, &configuration, &[]).await, "ok");
    let refused = push_to(&address, "{}", &[]).await;
    assert!(refused.contains("denied access") && refused.contains("docker login"), "{refused}");
}

/// A registry with a token authority, as Azure's: it gives a token for the identity token `r1`, and accepts only the newest.
async fn azure(validity: u64) -> (MockServer, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&given);
    let server = registry(move |request| {
        if request.url.path() != "/oauth2/token" {
            let newest = format!("Bearer access-{}", counter.load(Ordering::SeqCst));
            let host = request.headers["host"].to_str().unwrap();
            let challenge = format!("Bearer realm=\"http://{host}/oauth2/token\",service=\"the registry\"");
            return (header(request) != newest)
                .then(|| ResponseTemplate::new(401).insert_header("WWW-Authenticate", challenge));
        }
        let form = String::from_utf8(request.body.clone()).unwrap();
        let scope = "scope=repository%3Ateam%2Fthing%3Apull%2Cpush";
        let expected = ["grant_type=refresh_token", "service=the+registry", scope];
        let right = request.method.as_str() == "POST" && expected.iter().all(|part| form.contains(part));
        if !right {
            return Some(ResponseTemplate::new(400));
        }
        if !form.contains("refresh_token=r%2B1") {
            return Some(ResponseTemplate::new(401));
        }
        let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
        let token = json!({"access_token": format!("access-{number}"), "expires_in": validity});
        Some(ResponseTemplate::new(200).set_body_json(token))
    })
    .await;
    (server, given)
}

fn identity(address: &str, token: &str) -> String {
    format!("{{\"auths\": {{\"{address}\": {{\"auth\": \"MDAwOg==\", \"identitytoken\": \"{token}\"}}}}}}")
}

#[tokio::test]
async fn an_identity_token_is_exchanged_once_while_its_token_is_valid() {
    let (server, given) = azure(3600).await;
    let address = server.address().to_string();
    assert_eq!(push_to(&address, &identity(&address, "r+1"), &[]).await, "ok");
    assert_eq!(given.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_identity_token_is_exchanged_again_before_its_token_expires() {
    let (server, given) = azure(0).await;
    let address = server.address().to_string();
    assert_eq!(push_to(&address, &identity(&address, "r+1"), &[]).await, "ok");
    assert!(given.load(Ordering::SeqCst) > 3, "{given:?}");
}

#[tokio::test]
async fn an_identity_token_that_is_refused_is_not_shown() {
    let (server, _) = azure(3600).await;
    let address = server.address().to_string();
    let refused = push_to(&address, &identity(&address, "marked"), &[]).await;
    assert!(refused.contains("the identity token is not accepted (HTTP 401)"), "{refused}");
    assert!(!refused.contains("marked"), "{refused}");
}

#[tokio::test]
async fn a_registry_on_loopback_may_have_tls_and_is_asked_past_proxies() {
    let server = registry(|_| None).await;
    let encrypted = with_tls(&server).await;
    let proxy = "http://127.0.0.1:1";
    let proxies: Vec<(&str, &str)> =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
            .map(|name| (name, proxy))
            .into();
    for address in [encrypted.clone(), encrypted.replace("127.0.0.1", "localhost"), server.address().to_string()] {
        assert_eq!(push_to(&address, "{}", &proxies).await, "ok", "{address}");
    }
}
