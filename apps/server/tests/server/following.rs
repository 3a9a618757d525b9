//! models.yaml is followed, and no mistake in it takes a version out of service.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::mount::Mount;
use crate::process::{Server, close, list, list_with, picture, probabilities, request};
use crate::registry::Registry;

#[tokio::test]
async fn an_empty_list_is_ready_and_serves_nothing() {
    let registry = Registry::start().await;
    let server = Server::start_in(tempfile::tempdir().unwrap(), &registry.address(), &[]);
    server.ready().await;
    let (status, body) = server.post("mnist", request(&picture(0, 1))).await;
    assert!(status == 404 && body["error"].as_str().unwrap().contains("in service: none"), "{body}");
    let (_, digest) = registry.register("1", 1);
    server.pin(&list("1", &digest));
    server.until("/v2/models/mnist", |status, _| status == 200).await;
    server.pin("models: []");
    server.until("/v2/models/mnist", |status, _| status == 404).await;
}

#[tokio::test]
async fn no_request_fails_while_versions_are_swapped() {
    let registry = Registry::start().await;
    let made = [registry.register("1", 1), registry.register("2", 2)];
    let server = Arc::new(Server::start(&registry.address(), &list("1", &made[0].1), &[]));
    server.ready().await;
    let end = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|of| {
            let (server, end) = (Arc::clone(&server), Arc::clone(&end));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !end.load(Ordering::Relaxed) {
                    answers.push(server.post("mnist", request(&picture(of, 1))).await);
                }
                answers
            })
        })
        .collect();
    for to in [1, 0, 1, 0, 1] {
        let version = (to + 1).to_string();
        server.pin(&list(&version, &made[to].1));
        server.until("/v2/models/mnist", |status, body| status == 200 && body["versions"][0] == json!(version)).await;
    }
    end.store(true, Ordering::Relaxed);
    for (of, client) in clients.into_iter().enumerate() {
        let want = made.each_ref().map(|(bundle, _)| bundle.probabilities(&picture(of, 1), 1).unwrap());
        let mut seen = [false; 2];
        for (status, body) in client.await.unwrap() {
            assert_eq!(status, 200, "{body}");
            let at = usize::from(body["model_version"] == "2");
            seen[at] = true;
            assert!(close(&probabilities(&body), &want[at]), "the answer comes from another version than it names");
        }
        assert_eq!(seen, [true, true]);
    }
}

#[tokio::test]
async fn a_config_map_is_followed_as_kubelet_changes_it() {
    let registry = Registry::start().await;
    let made = [registry.register("1", 1), registry.register("2", 2)];
    let last = registry.register("3", 3);
    let folder = tempfile::tempdir().unwrap();
    let mut mount = Mount::new(&folder.path().join("models"), &list("1", &made[0].1));
    let models = mount.models();
    let server = Server::start_in(folder, &registry.address(), &[("SLIPWAY_MODELS", models.to_str().unwrap())]);
    let server = Arc::new(server);
    server.ready().await;
    let end = Arc::new(AtomicBool::new(false));
    let client = {
        let (server, end) = (Arc::clone(&server), Arc::clone(&end));
        tokio::spawn(async move {
            while !end.load(Ordering::Relaxed) {
                let (status, body) = server.post("mnist", request(&picture(0, 1))).await;
                assert_eq!(status, 200, "{body}");
            }
        })
    };
    for to in [1, 0, 1, 0] {
        let version = (to + 1).to_string();
        mount.write(&list(&version, &made[to].1));
        server.until("/v2/models/mnist", |_, body| body["versions"][0] == json!(version)).await;
    }
    // much faster than the file is read: whatever is read in between, nothing is taken out of service
    for turn in 0..3000 {
        let to = turn % 2;
        mount.write(&list(&(to + 1).to_string(), &made[to].1));
    }
    // a version that was never listed before: once it is in service, nothing that was read earlier is still to come
    mount.write(&list("3", &last.1));
    server.until("/v2/models/mnist", |_, body| body["versions"][0] == json!("3")).await;
    assert_eq!(server.figure("slipway_server_models_reloads_total{result=\"failure\"}").await, 0.0);
    // the file disappears, as when a key is renamed: the version in service stays, and the metric reports the failure
    let gone = models.with_file_name("..data");
    let kept = std::fs::read_link(&gone).unwrap();
    std::fs::remove_file(&gone).unwrap();
    while server.figure("slipway_server_models_last_reload_successful").await == 1.0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.post("mnist", request(&picture(0, 1))).await.1["model_version"], "3");
    std::os::unix::fs::symlink(kept, gone).unwrap();
    while server.figure("slipway_server_models_last_reload_successful").await == 0.0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    end.store(true, Ordering::Relaxed);
    client.await.unwrap();
}

#[tokio::test]
async fn a_bad_list_keeps_what_is_in_service() {
    let registry = Registry::start().await;
    let (_, first) = registry.register("1", 1);
    let (_, second) = registry.register("2", 2);
    let (_, third) = registry.register("3", 3);
    let server = Server::start(&registry.address(), &list("1", &first), &[]);
    server.ready().await;
    let mut failures = 0.0;
    let wrong = format!("sha256:{}", "0".repeat(64));
    registry.tamper("3", |version| version.flip_a_bit());
    let nonsense = |members: &str| list_with("mnist", ("2", &second), ("1", &first), members);
    for bad in [
        "models: [".to_owned(),
        list("2", &wrong),
        list("9", &second),
        list("3", &third),
        nonsense("mode: blue"),
        nonsense("mode: canary"),
        nonsense("mode: canary, share: 0.9"),
        nonsense("mode: canary, share: .inf"),
        nonsense("mode: [shadow]"),
        list_with("mnist", ("2", &second), ("2", &first), "mode: shadow"),
        list_with("mnist", ("2", &second), ("1", "sha256:../../etc/passwd"), "mode: shadow"),
    ] {
        server.pin(&bad);
        server.until("/healthz", |_, _| true).await;
        loop {
            let now = server.figure("slipway_server_models_reloads_total{result=\"failure\"}").await;
            if now > failures {
                failures = now;
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(server.get("/readyz").await.0, 200);
        let (status, body) = server.post("mnist", request(&picture(0, 1))).await;
        assert!(status == 200 && body["model_version"] == "1", "{bad}: {body}");
    }
    // The registry is down, then up again: the failed list is tried again.
    registry.fail(true);
    server.pin(&list("2", &second));
    while server.figure("slipway_server_models_reloads_total{result=\"failure\"}").await <= failures {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(server.post("mnist", request(&picture(0, 1))).await.1["model_version"], "1");
    registry.fail(false);
    server.until("/v2/models/mnist", |_, body| body["versions"][0] == "2").await;
    let shown = format!("slipway_server_model_info{{digest=\"{second}\",model=\"mnist\",version=\"2\"}}");
    assert_eq!(server.figure(&shown).await, 1.0);
}

#[tokio::test]
async fn until_the_registry_answers_it_is_not_ready_and_from_then_on_it_needs_no_registry() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    registry.fail(true);
    let mut server = Server::start(&registry.address(), &list("1", &digest), &[]);
    let body =
        server.until("/readyz", |status, body| status == 503 && body["error"].to_string().contains("down")).await;
    assert!(body["error"].as_str().unwrap().contains("MLflow failed"), "{body}");
    assert_eq!(server.get("/healthz").await.0, 200);
    let (status, body) = server.post("mnist", request(&picture(0, 1))).await;
    assert!(status == 503 && body["error"].as_str().unwrap().contains("not in service yet"), "{body}");
    registry.fail(false);
    server.ready().await;
    assert_eq!(server.post("mnist", request(&picture(0, 1))).await.0, 200);

    // Restarted without a registry, it serves from its cache.
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
    registry.fail(true);
    let folder = std::mem::replace(&mut server.folder, tempfile::tempdir().unwrap());
    let cached = folder.path().join("cache/models").join(digest.replace(':', "-"));
    let server = Server::start_in(folder, &registry.address(), &[]);
    server.ready().await;
    assert_eq!(server.post("mnist", request(&picture(0, 1))).await.0, 200);
    assert_eq!(registry.downloads("1"), 1);

    // A damaged copy is downloaded again.
    std::fs::write(cached.join("model.safetensors"), b"damaged").unwrap();
    registry.fail(false);
    server.pin("models: []");
    server.until("/v2/models/mnist", |status, _| status == 404).await;
    server.pin(&list("1", &digest));
    server.until("/v2/models/mnist", |status, _| status == 200).await;
    assert_eq!(registry.downloads("1"), 2);
}
