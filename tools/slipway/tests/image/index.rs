//! `slipway image index` in a folder that is no project, with a registry that has two images of two platforms.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::json;
use slipway_image::Platform;
use slipway_oci::{Descriptor, Document, Index, Manifest, media_type};
use tempfile::TempDir;
use wiremock::matchers::{any, method};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::ran::Ran;

/// The registry, and the digests of `server` and `trainer`, each for both platforms.
async fn registry() -> (MockServer, BTreeMap<&'static str, [Descriptor; 2]>) {
    let (mut content, mut images) = (BTreeMap::new(), BTreeMap::new());
    for name in ["server", "trainer"] {
        let of = Platform::ALL.map(|platform| {
            let config = json!({ "architecture": platform.architecture(), "os": platform.os(), "name": name });
            let config = Document::new(media_type::CONFIG, &config);
            let manifest = Manifest::new(config.descriptor(), Vec::new()).document();
            content.insert(format!("/v2/acme/{name}/blobs/{}", config.digest()), config.bytes);
            content.insert(format!("/v2/acme/{name}/manifests/{}", manifest.digest()), manifest.bytes.clone());
            manifest.descriptor().for_platform(platform)
        });
        let index = Index::new(of.to_vec()).document();
        for reference in [index.digest().to_string(), "1.0".to_owned()] {
            content.insert(format!("/v2/acme/{name}/manifests/{reference}"), index.bytes.clone());
        }
        images.insert(name, of);
    }
    let server = MockServer::start().await;
    let sent = ResponseTemplate::new(201).insert_header("Location", "/v2/x");
    Mock::given(method("PUT")).respond_with(sent).with_priority(1).mount(&server).await;
    let answer = move |request: &Request| match content.get(request.url.path()) {
        Some(bytes) => ResponseTemplate::new(200).set_body_bytes(bytes.clone()),
        None => ResponseTemplate::new(if request.url.path() == "/v2/" { 200 } else { 404 }),
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    (server, images)
}

fn run(arguments: &[&str]) -> Ran {
    let folder: TempDir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    let command = command.current_dir(folder.path()).env("DOCKER_CONFIG", folder.path());
    Ran::of(command.args(["image", "index"]).args(arguments).output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_repository_gets_an_index_and_its_name_is_what_pin_takes() {
    let (server, images) = registry().await;
    let named = |name: &str, at: usize| format!("{}/acme/{name}@{}", server.address(), images[name][at].digest);
    // as `xargs` gives them: all of one machine, then all of the other
    let given = [named("trainer", 0), named("server", 0), named("trainer", 1), named("server", 1)];
    let mut arguments: Vec<&str> = given.iter().map(String::as_str).chain(["--tag", "1.0"]).collect();
    let index = |name: &str| {
        let digest = Index::new(images[name].to_vec()).document().digest();
        format!("{}/acme/{name}@{digest}", server.address())
    };
    let ran = run(&arguments);
    assert_eq!(ran.code(), 0, "{ran:?}");
    assert_eq!(ran.text(), format!("{}\n{}\n", index("server"), index("trainer")));
    arguments.extend(["-o", "json"]);
    let ran = run(&arguments);
    let one = |name: &str| {
        let [amd64, arm64] = &images[name];
        let image = index(name);
        let digest = image.split_once('@').unwrap().1;
        let platforms = json!({ "linux/amd64": amd64.digest, "linux/arm64": arm64.digest });
        json!({ "name": name, "image": image, "digest": digest, "tag": "1.0", "platforms": platforms })
    };
    assert_eq!(ran.json(), json!([one("server"), one("trainer")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_if_one_of_several_does_not_fit() {
    let (server, images) = registry().await;
    let named = |name: &str, at: usize| format!("{}/acme/{name}@{}", server.address(), images[name][at].digest);
    let ran = run(&[&named("server", 0), &named("server", 1), &named("trainer", 0)]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(ran.errors().contains("no image of another platform was given"), "{ran:?}");
    let lost = format!("{}/acme/trainer@sha256:{}", server.address(), "0".repeat(64));
    let ran = run(&[&named("server", 0), &named("server", 1), &named("trainer", 0), &lost]);
    assert_eq!(ran.code(), 6, "{ran:?}");
    let tagged = format!("{}/acme/server:1.0", server.address());
    let ran = run(&[&tagged]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.method.as_str() != "PUT"), "{requests:?}");
}
