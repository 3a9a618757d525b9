//! What strangers, and a registry that grows, can make the server do.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Server, list, picture, program, request};
use crate::registry::Registry;

/// Waits for something that another process does.
async fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn heads_that_never_come_neither_keep_others_out_nor_the_server_from_ending() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("models.yaml"), list("1", &digest)).unwrap();
    let given = program(folder.path(), &registry.address());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 128 && exec \"$0\""]).arg(given.get_program()).stdin(Stdio::null());
    for (name, value) in given.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Far longer than this test waits for the server's end.
    command.env("SLIPWAY_GRACE_SECONDS", "3600");
    let mut server = Server::run(command, folder);
    server.ready().await;
    let heads: [&[u8]; 3] = [b"", b"GET /healthz HTTP/1.1\r\nHost:", b"PRI * HTTP/2.0\r\n"];
    let begun: Vec<_> = (0..120).map(|at| server.begin(heads[at % 3])).collect();
    // Others are answered once the heads' time is over; the descriptors for files and for the registry are still there.
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get_inside("/v2/models/mnist").await.1["complete"], true);
    for mut stream in begun {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // Either way of closing will do.
        let closed = stream.read(&mut [0]);
        assert!(
            closed.as_ref().map_or_else(|error| error.kind() == std::io::ErrorKind::ConnectionReset, |read| *read == 0),
            "{closed:?}"
        );
    }
    let late: Vec<_> = (0..30).map(|at| server.begin(heads[at % 3])).collect();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    drop(late);
}

#[tokio::test]
async fn bodies_count_together_and_are_given_back() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    let server = Server::start(&registry.address(), &list("1", &digest), &[]);
    server.ready().await;
    let head = format!("POST /v2/models/mnist/infer HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 4 << 20);
    let mut unfinished: Vec<_> = (0..16).map(|_| server.begin(head.as_bytes())).collect();
    let almost = vec![b' '; (4 << 20) - 1];
    for stream in &mut unfinished {
        stream.write_all(&almost).unwrap();
    }
    let arrived = async |bytes: f64| {
        let begun = Instant::now();
        while server.figure("slipway_server_request_bodies_bytes").await != bytes {
            assert!(begun.elapsed() < Duration::from_secs(20), "{bytes}");
        }
    };
    arrived(f64::from(64 << 20)).await;
    let (status, body) = server.post("mnist", request(&picture(0, 1))).await;
    assert!(status == 503 && body["error"].as_str().unwrap().contains("take 64 MiB"), "{status} {body}");
    drop(unfinished);
    arrived(0.0).await;
    assert_eq!(server.post("mnist", request(&picture(0, 1))).await.0, 200);
}

#[tokio::test]
async fn two_versions_are_loaded_at_once_and_few_requests_wait_for_them() {
    let registry = Registry::start().await;
    for version in 1..=6 {
        registry.register(&version.to_string(), version);
    }
    let server = Arc::new(Server::start(&registry.address(), "models: []", &[]));
    server.ready().await;
    registry.hold(true);
    let ask = |version: usize| {
        let server = Arc::clone(&server);
        tokio::spawn(
            async move { server.post_inside(&format!("mnist/versions/{version}"), request(&picture(0, 1))).await },
        )
    };
    let waiting: Vec<_> = (0..64).map(|at| ask(at % 6 + 1)).collect();
    until("all of them wait", || registry.requests("/model-versions/get") == 64 && registry.most_downloads() == 2)
        .await;
    let (status, body) = ask(1).await.unwrap();
    assert!(status == 503 && body["error"].as_str().unwrap().contains("64 requests wait"), "{body}");
    registry.hold(false);
    for asked in waiting {
        let (status, body) = asked.await.unwrap();
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!(registry.most_downloads(), 2);
    assert_eq!(ask(6).await.unwrap().0, 200);
}

#[tokio::test]
async fn the_cache_keeps_what_is_in_service_and_what_was_used_last() {
    let registry = Registry::start().await;
    let digests: Vec<String> = (1..=12).map(|version| registry.register(&version.to_string(), version).1).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("models.yaml"), list("1", &digests[0])).unwrap();
    let models = folder.path().join("cache/models");
    let part = models.join(".part-abc");
    std::fs::create_dir_all(&part).unwrap();
    std::fs::write(part.join("model.safetensors"), b"half of it").unwrap();
    let server = Server::start_in(folder, &registry.address(), &[]);
    server.ready().await;
    for version in 2..=12 {
        let path = format!("mnist/versions/{version}");
        assert_eq!(server.post_inside(&path, request(&picture(0, 1))).await.0, 200);
    }
    let mut found: Vec<_> =
        std::fs::read_dir(&models).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    // The last one's download pushed none out: it was not there yet when room was made for it.
    let mut expected: Vec<_> = std::iter::once(0).chain(3..12).map(|at| digests[at].replace(':', "-")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn sizes_are_checked_before_a_download_and_while_it_runs() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    for version in 2..=4 {
        registry.register(&version.to_string(), version);
    }
    registry.tamper("2", |version| version.listed = Some(3 << 20));
    registry.tamper("3", |version| version.listed = Some(1000));
    registry.tamper("4", |version| (version.listed, version.announced) = (Some(1000), false));
    let server = Server::start(&registry.address(), &list("1", &digest), &[("SLIPWAY_CACHE_MIB", "3")]);
    server.ready().await;
    for (version, says, downloads) in [
        (2, "of the cache's 3 MiB only", 0),
        (3, "but 1000 bytes were expected", 1),
        (4, "has more bytes, but 1000 bytes were expected", 1),
    ] {
        let (status, body): (_, Value) =
            server.post_inside(&format!("mnist/versions/{version}"), request(&picture(0, 1))).await;
        assert!(status == 503 && body["error"].as_str().unwrap().contains(says), "{version}: {status} {body}");
        assert_eq!(registry.downloads(&version.to_string()), downloads);
    }
    assert_eq!(std::fs::read_dir(server.folder.path().join("cache/models")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_version_that_is_not_in_service_answers_inside_only() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    registry.register("2", 2);
    let server = Server::start(&registry.address(), &list("1", &digest), &[]);
    server.ready().await;
    for path in ["mnist", "mnist/versions/1"] {
        assert_eq!(server.post(path, request(&picture(0, 1))).await.0, 200);
        assert_eq!(server.post_inside(path, request(&picture(0, 1))).await.0, 200);
    }
    // Loaded for somebody inside, it is still not for everybody.
    assert_eq!(server.post_inside("mnist/versions/2", request(&picture(0, 1))).await.1["model_version"], "2");
    let asked = registry.requests("/model-versions/get");
    let (status, body) = server.post("mnist/versions/2", request(&picture(0, 1))).await;
    assert!(
        status == 404 && body["error"].as_str().unwrap().contains("version 2 of mnist is not in service"),
        "{body}"
    );
    for end in ["", "/ready"] {
        assert_eq!(server.get(&format!("/v2/models/mnist/versions/2{end}")).await.0, 404);
    }
    assert_eq!(server.get("/v2/models").await.1["models"][0]["versions"], serde_json::json!(["1"]));
    // MLflow heard of none of it.
    assert_eq!(registry.requests("/model-versions/get"), asked);
    assert_eq!(registry.requests("/model-versions/search"), 0);
}
