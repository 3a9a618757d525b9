//! What Prometheus sees.

use std::collections::BTreeMap;

use crate::process::{Server, list, picture, request};
use crate::registry::Registry;

#[tokio::test]
async fn every_figure_counts_what_it_says() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("3", 1);
    let server = Server::start(&registry.address(), &list("3", &digest), &[("SLIPWAY_WORKERS", "2")]);
    server.ready().await;
    for (images, status) in [(1, 200), (2, 200), (65, 413)] {
        assert_eq!(server.post("mnist", request(&picture(0, images))).await.0, status);
    }
    for unknown in ["cifar", "another", "mnist/versions/9"] {
        assert_eq!(server.post(unknown, request(&picture(0, 1))).await.0, 404);
    }
    let info = format!("model_info{{digest=\"{digest}\",model=\"mnist\",version=\"3\"}}");
    for (figure, value) in [
        ("requests_total{code=\"200\",model=\"mnist\",version=\"3\"}", 2.0),
        ("requests_total{code=\"413\",model=\"mnist\",version=\"3\"}", 1.0),
        // all names of models that do not exist count as one
        ("requests_total{code=\"404\",model=\"\",version=\"\"}", 3.0),
        ("request_duration_seconds_count", 6.0),
        ("requests_in_flight", 0.0),
        ("requests_waiting", 0.0),
        ("wait_duration_seconds_count", 2.0),
        ("batch_images_sum", 3.0),
        ("batch_images_count", 2.0),
        ("inference_duration_seconds_count", 2.0),
        ("workers", 2.0),
        (&info, 1.0),
        ("ready", 1.0),
        ("models_reloads_total{result=\"success\"}", 1.0),
        ("models_reloads_total{result=\"failure\"}", 0.0),
        ("models_last_reload_successful", 1.0),
        (concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(server.figure(&format!("slipway_server_{figure}")).await, value, "{figure}");
    }
    assert!(server.figure("slipway_server_models_last_reload_success_timestamp_seconds").await > 1.7e9);
    assert!(!cfg!(target_os = "linux") || server.figure("process_resident_memory_bytes").await > 1e6);
}

#[tokio::test]
async fn names_are_as_prometheus_wants_them() {
    let registry = Registry::start().await;
    let server = Server::start(&registry.address(), "models: []", &[]);
    server.ready().await;
    let response = server.http.get(format!("{}/metrics", server.address)).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4");
    let text = response.text().await.unwrap();
    let lines = |what: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(what));
        lines.filter_map(|line| line.split_once(' ')).map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
    };
    let (types, helps) = (lines("# TYPE "), lines("# HELP "));
    assert!(types.len() > 10 && types.keys().eq(helps.keys()), "{types:?}");
    for (name, kind) in &types {
        assert!(name.starts_with("slipway_server_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        assert!(!name.contains("duration") || name.ends_with("_duration_seconds"), "{name}");
    }
}
