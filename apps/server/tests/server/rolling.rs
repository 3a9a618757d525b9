//! A rolling update: new servers start, old ones are told to stop, and clients learn of it only later.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use crate::process::{Server, list, picture, request};
use crate::proxy::Proxy;
use crate::registry::Registry;

/// From SIGTERM until the endpoint is removed from the Service: far longer than it usually takes.
const HEARD: Duration = Duration::from_millis(700);

/// Sends requests through the proxy without a pause until `end` is set. Returns the number of answers, and the failures.
fn client(proxy: &Proxy, of: usize, keep_alive: bool, end: &Arc<AtomicBool>) -> JoinHandle<(usize, Vec<String>)> {
    let url = format!("http://{}/v2/models/mnist/infer", proxy.address);
    let body = request(&picture(of, 1));
    let end = Arc::clone(end);
    tokio::spawn(async move {
        let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20));
        let http = builder.pool_max_idle_per_host(usize::from(keep_alive)).build().unwrap();
        let (mut answered, mut failed) = (0, Vec::new());
        while !end.load(Ordering::Relaxed) {
            match http.post(&url).body(body.clone()).send().await {
                Ok(response) if response.status() != 200 => failed.push(response.status().to_string()),
                Ok(response) => match response.bytes().await {
                    Ok(_) => answered += 1,
                    Err(error) => failed.push(format!("{error:?}")),
                },
                Err(error) => failed.push(format!("{error:?}")),
            }
        }
        (answered, failed)
    })
}

/// Replaces two servers one after the other, twice. Returns the number of answers, and the failures.
async fn update(drain_seconds: &str) -> (usize, Vec<String>) {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    let proxy = Proxy::start().await;
    let start = async || {
        let environment = [("SLIPWAY_DRAIN_SECONDS", drain_seconds), ("SLIPWAY_WORKERS", "1")];
        let server = Server::start(&registry.address(), &list("1", &digest), &environment);
        server.ready().await;
        let endpoint: SocketAddr = server.address.trim_start_matches("http://").parse().unwrap();
        proxy.add(endpoint);
        (server, endpoint)
    };
    let mut servers = std::collections::VecDeque::from([start().await, start().await]);
    let end = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..6).map(|of| client(&proxy, of, of % 2 == 0, &end)).collect();
    for _ in 0..4 {
        let (_, newest) = servers.back().unwrap();
        until(|| proxy.connections(*newest) > 0).await;
        servers.push_back(start().await);
        let (mut old, endpoint) = servers.pop_front().unwrap();
        old.signal("TERM");
        tokio::time::sleep(HEARD).await;
        proxy.remove(endpoint);
        assert_eq!(tokio::task::spawn_blocking(move || old.wait().code()).await.unwrap(), Some(0));
    }
    end.store(true, Ordering::Relaxed);
    let (mut answered, mut failed) = (0, Vec::new());
    for client in clients {
        let (more, lost) = client.await.unwrap();
        answered += more;
        failed.extend(lost);
    }
    (answered, failed)
}

async fn until(reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_lost_in_a_rolling_update() {
    let (answered, failed) = update("2").await;
    assert!(failed.is_empty(), "{} of {}: {:?}", failed.len(), answered + failed.len(), &failed[..failed.len().min(3)]);
    assert!(answered > 100, "{answered}");
}

/// Shows that the test above can fail: without a drain, requests are lost.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_drain_requests_are_lost() {
    let (_, failed) = update("0").await;
    assert!(!failed.is_empty());
}

#[tokio::test]
async fn in_the_drain_it_is_not_ready_but_answers_and_lets_connections_end() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("1", 1);
    let mut server = Server::start(&registry.address(), &list("1", &digest), &[("SLIPWAY_DRAIN_SECONDS", "3")]);
    server.ready().await;
    assert_eq!(server.figure("slipway_server_ready").await, 1.0);
    let ask = || async {
        let url = format!("{}/v2/models/mnist/infer", server.address);
        let response = server.http.post(url).body(request(&picture(0, 1))).send().await.unwrap();
        (
            response.status().as_u16(),
            response.headers().get("connection").map(|value| value.to_str().unwrap().to_owned()),
        )
    };
    assert_eq!(ask().await, (200, None));
    let asked = Instant::now();
    server.signal("TERM");
    let body = server.until("/readyz", |status, _| status == 503).await;
    assert!(body["error"].as_str().unwrap().contains("asked to stop"), "{body}");
    assert_eq!(server.get("/v2/health/ready").await.0, 503);
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/v2/health/live").await, (200, json!({"live": true})));
    assert_eq!(ask().await, (200, Some("close".to_owned())));
    assert_eq!(server.figure("slipway_server_ready").await, 0.0);
    assert!(asked.elapsed() < Duration::from_secs(3), "the machine was too slow to say anything about the drain");
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() >= Duration::from_secs(3));
}
