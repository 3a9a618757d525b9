//! Versions that are not in service are loaded when they are asked for.

use std::sync::Arc;

use crate::process::{Server, close, list, picture, probabilities, request};
use crate::registry::Registry;

#[tokio::test]
async fn a_version_is_loaded_once_by_the_first_of_many() {
    let registry = Registry::start().await;
    let (_, first) = registry.register("1", 1);
    let (bundle, _) = registry.register("2", 2);
    let server = Arc::new(Server::start(&registry.address(), &list("1", &first), &[]));
    server.ready().await;
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.post_inside("mnist/versions/2", request(&picture(4, 64))).await })
        })
        .collect();
    let want = bundle.probabilities(&picture(4, 64), 64).unwrap();
    for client in clients {
        let (status, body) = client.await.unwrap();
        assert!(status == 200 && body["model_version"] == "2", "{body}");
        assert!(close(&probabilities(&body), &want));
    }
    assert_eq!(registry.downloads("2"), 1);
    // The other version is still in service, and needs no second copy.
    assert_eq!(server.get("/v2/models/mnist").await.1["versions"][0], "1");
    assert_eq!(server.post_inside("mnist/versions/1", request(&picture(0, 1))).await.0, 200);
    assert_eq!(server.get_inside("/v2/models/mnist/versions/2/ready").await.0, 200);
    assert_eq!(server.get_inside("/v2/models/mnist/versions/2").await.1["versions"], serde_json::json!(["2"]));
    assert_eq!(registry.downloads("1"), 1);
}

#[tokio::test]
async fn a_version_that_cannot_be_verified_is_not_served() {
    let registry = Registry::start().await;
    for (version, seed) in [("1", 1), ("2", 2)] {
        registry.register(version, seed);
    }
    registry.tamper("1", |version| version.flip_a_bit());
    registry.tamper("2", |version| version.digest = "sha1:no".to_owned());
    let server = Server::start(&registry.address(), "models: []", &[]);
    let (status, body) = server.post_inside("mnist/versions/1", request(&picture(0, 1))).await;
    assert!(status == 503 && body["error"].as_str().unwrap().contains("has the digest"), "{body}");
    let (status, body) = server.post_inside("mnist/versions/2", request(&picture(0, 1))).await;
    assert!(status == 404 && body["error"].as_str().unwrap().contains("slipway.digest"), "{body}");
    registry.tamper("1", |version| version.flip_a_bit());
    assert_eq!(server.post_inside("mnist/versions/1", request(&picture(0, 1))).await.0, 200);
}

#[tokio::test]
async fn a_registry_that_is_down_is_reported_and_loaded_versions_still_answer() {
    let registry = Registry::start().await;
    for version in 1..=6 {
        registry.register(&version.to_string(), version);
    }
    let server = Server::start(&registry.address(), "models: []", &[]);
    for version in 1..=5 {
        let path = format!("mnist/versions/{version}");
        assert_eq!(server.post_inside(&path, request(&picture(0, 1))).await.0, 200);
    }
    registry.fail(true);
    // Four are kept: the most recently used.
    for (version, status) in [(6, 503), (1, 503), (2, 200), (3, 200), (4, 200), (5, 200)] {
        let (found, body) = server.post_inside(&format!("mnist/versions/{version}"), request(&picture(0, 1))).await;
        assert_eq!(found, status, "{version}: {body}");
    }
}
