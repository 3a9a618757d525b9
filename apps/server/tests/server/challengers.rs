//! A canary answers a share of the requests, and no request fails because of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::models::{input, inputs, made};
use crate::process::{Server, close, list, list_with, lists, picture, probabilities, request};
use crate::registry::Registry;

/// A request for `mnist` with an id.
fn with_id(id: &str, of: usize) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&request(&picture(of, 1))).unwrap();
    body["id"] = json!(id);
    body.to_string().into_bytes()
}

#[tokio::test]
async fn a_canary_answers_its_share_and_a_retry_gets_the_same_version() {
    let registry = Registry::start().await;
    let made = [registry.register("1", 1), registry.register("2", 2)];
    let canary = list_with("mnist", ("1", &made[0].1), ("2", &made[1].1), "mode: canary, share: 0.25");
    let server = Server::start(&registry.address(), &canary, &[]);
    server.ready().await;
    server.challenger("running").await;
    // until it is known how quick the version in service is, the other one is not asked
    for at in 0..32 {
        assert_eq!(server.post("mnist", with_id(&format!("early-{at}"), 0)).await.1["model_version"], "1");
    }
    let mut by_canary = 0;
    for at in 0..400 {
        let id = format!("request-{at}");
        let (status, body) = server.post("mnist", with_id(&id, at % 7)).await;
        assert!(status == 200 && body["id"] == json!(id), "{body}");
        let version = usize::from(body["model_version"] == "2");
        by_canary += version;
        let want = made[version].0.probabilities(&picture(at % 7, 1), 1).unwrap();
        assert!(close(&probabilities(&body), &want), "the answer comes from another version than it names");
        if at % 20 == 0 {
            // whatever else is in it: the id decides
            let (_, again) = server.post("mnist", with_id(&id, 99)).await;
            assert_eq!(again["model_version"], body["model_version"]);
        }
    }
    // a quarter of 400, with four standard deviations to either side
    assert!((65..=135).contains(&by_canary), "{by_canary}");
    // without an id, the numbers decide
    let (_, one) = server.post("mnist", request(&picture(1, 1))).await;
    let (_, same) = server.post("mnist", request(&picture(1, 1))).await;
    assert_eq!(one, same);
    // whoever names a version gets that one
    for at in 0..20 {
        let (_, body) = server.post("mnist/versions/1", with_id(&format!("request-{at}"), 0)).await;
        assert_eq!(body["model_version"], "1");
    }
    // to everybody else the version that is tried is not there
    assert_eq!(server.post("mnist/versions/2", with_id("x", 0)).await.0, 404);
    assert_eq!(server.get("/challengers").await.0, 404);
    assert_eq!(server.get("/v2/models/mnist").await.1["versions"], json!(["1"]));
    // inside it is, without a second copy
    assert_eq!(server.post_inside("mnist/versions/2", with_id("x", 0)).await.1["model_version"], "2");
    assert_eq!(registry.downloads("2"), 1);
    let report = server.challenger("running").await;
    assert_eq!(
        (&report["champion"], &report["challenger"], &report["share"]),
        (&json!("1"), &json!("2"), &json!(0.25))
    );
    assert_eq!(report["requests"]["challenger"]["failed"], 0);
    let answered = report["requests"]["challenger"]["answered"].as_u64().unwrap();
    assert!(
        answered >= by_canary as u64 && report["requests"]["challenger"]["latency_ms"]["p50"].as_f64().unwrap() > 0.0
    );
    for (figure, value) in [
        (
            "challenger_requests_total{mode=\"canary\",model=\"mnist\",result=\"answered\",version=\"2\"}",
            answered as f64,
        ),
        ("challenger_running{mode=\"canary\",model=\"mnist\",version=\"2\"}", 1.0),
        ("challenger_request_duration_seconds_count{model=\"mnist\",version=\"2\"}", answered as f64),
    ] {
        assert_eq!(server.figure(&format!("slipway_server_{figure}")).await, value, "{figure}");
    }
    // it is promoted: no request fails, and nothing is loaded again
    server.pin(&list("2", &made[1].1));
    server
        .until("/v2/models/mnist", |status, body| {
            assert_eq!(status, 200);
            body["versions"][0] == "2"
        })
        .await;
    assert_eq!(server.post("mnist", with_id("request-1", 0)).await.1["model_version"], "2");
    assert_eq!(registry.downloads("2"), 1);
    server.until_inside("/challengers", |_, body| body["challengers"] == json!([])).await;
}

/// A server with `wine` in service and another model as its canary, that gets half of the requests.
async fn with_canary(name: &str) -> (Registry, Arc<Server>) {
    let registry = Registry::start().await;
    let champion = registry.register_folder("wine", "1", &made().join("wine"));
    let canary = registry.register_folder("wine", "2", &made().join(name));
    let list = list_with("wine", ("1", &champion), ("2", &canary), "mode: canary, share: 0.5");
    let server = Arc::new(Server::start(&registry.address(), &list, &[("SLIPWAY_WORKERS", "2")]));
    server.ready().await;
    (registry, server)
}

/// Answers that are asked for until the end is set: each is that of a version that answers.
fn under_load(server: &Arc<Server>, end: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<usize>> {
    (0..8)
        .map(|client| {
            let (server, end) = (Arc::clone(server), Arc::clone(end));
            tokio::spawn(async move {
                let mut answered = 0;
                while !end.load(Ordering::Relaxed) {
                    let row = json!([f64::from(client), 1, f64::from(answered % 10)]);
                    let mut body: Value = serde_json::from_str(&inputs(&[input("row", "FP32", &[1, 3], row)])).unwrap();
                    body["id"] = json!(format!("{client}-{answered}"));
                    let (status, answer) = server.post("wine", body.to_string()).await;
                    assert_eq!(status, 200, "{answer}");
                    answered += 1;
                }
                answered as usize
            })
        })
        .collect()
}

/// Switches a canary off under load, within five seconds and without a failed request; returns its last report.
async fn switched_off(name: &str) -> Value {
    let (_registry, server) = with_canary(name).await;
    let end = Arc::new(AtomicBool::new(false));
    server.challenger("running").await;
    let begun = Instant::now();
    let clients = under_load(&server, &end);
    let report = server.challenger("switched_off").await;
    let took = begun.elapsed();
    end.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(took < Duration::from_secs(5) && answered > 20, "{took:?} {answered}: {report}");
    // from now on the version in service answers everything
    for at in 0..50 {
        let mut body: Value =
            serde_json::from_str(&inputs(&[input("row", "FP32", &[1, 3], json!([1, 0, 0]))])).unwrap();
        body["id"] = json!(at.to_string());
        assert_eq!(server.post("wine", body.to_string()).await.1["model_version"], "1");
    }
    let because = report["because"].as_str().unwrap();
    let figure = format!("slipway_server_challenger_switched_off{{model=\"wine\",reason=\"{because}\",version=\"2\"}}");
    assert_eq!(server.figure(&figure).await, 1.0);
    report
}

#[tokio::test]
async fn a_canary_that_fails_is_switched_off_within_five_seconds_and_no_request_fails() {
    for name in ["fails", "not-finite"] {
        let report = switched_off(name).await;
        assert_eq!(report["because"], "errors", "{report}");
        assert!(report["reason"].as_str().unwrap().contains("it failed on "), "{report}");
        let tests = &report["tests"]["errors"];
        assert!(tests["e_value"].as_f64() >= tests["decides_at"].as_f64(), "{report}");
    }
}

#[tokio::test]
async fn a_canary_that_is_slow_is_switched_off_within_five_seconds_and_no_request_waits_for_it() {
    let report = switched_off("slow").await;
    assert_eq!(report["because"], "latency", "{report}");
    assert!(report["reason"].as_str().unwrap().contains("late more often"), "{report}");
}

#[tokio::test]
async fn a_canary_that_is_as_good_stays() {
    let (_registry, server) = with_canary("other").await;
    server.challenger("running").await;
    let end = Arc::new(AtomicBool::new(false));
    let clients = under_load(&server, &end);
    server
        .until_inside("/challengers", |_, body| {
            let requests = &body["challengers"][0]["requests"]["challenger"]["answered"];
            requests.as_u64().is_some_and(|answered| answered > 300)
        })
        .await;
    end.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(server.challenger("running").await["requests"]["challenger"]["failed"], 0);
}

#[tokio::test]
async fn a_challenger_that_cannot_be_had_changes_nothing() {
    let registry = Registry::start().await;
    let wine = registry.register_folder("wine", "1", &made().join("wine"));
    let words = registry.register_folder("wine", "2", &made().join("words"));
    let other = slipway_signature::digest(&made().join("other")).unwrap().to_string();
    // one that takes something else
    let list = |version, digest: &str| list_with("wine", ("1", &wine), (version, digest), "mode: canary, share: 0.5");
    let server = Server::start(&registry.address(), &list("2", &words), &[]);
    server.ready().await;
    let row = || inputs(&[input("row", "FP32", &[1, 3], json!([1, 0, 0]))]);
    server
        .until_inside("/challengers", |_, body| {
            body["challengers"][0]["reason"].as_str().is_some_and(|reason| {
                reason.contains("cannot be asked what version 1 is asked: its inputs are ids INT64 [-1, -1], mask BOOL")
            })
        })
        .await;
    // one that is not registered yet
    server.pin(&list("3", &other));
    server
        .until_inside("/challengers", |_, body| {
            let challenger = &body["challengers"][0];
            challenger["challenger"] == "3" && challenger["reason"].as_str().is_some_and(|text| text.contains("404"))
        })
        .await;
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(server.post("wine", row()).await.1["model_version"], "1");
    assert_eq!(server.figure("slipway_server_models_reloads_total{result=\"failure\"}").await, 0.0);
    // until it is
    registry.register_folder("wine", "3", &made().join("other"));
    server.challenger("running").await;
    server.pin(&lists(&[("wine", "1", &wine)]));
    server.until_inside("/challengers", |_, body| body["challengers"] == json!([])).await;
    assert_eq!(server.post("wine", row()).await.1["model_version"], "1");
}
