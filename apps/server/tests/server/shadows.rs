//! A challenger in the shadow of the version in service gets the same requests, and nobody sees or waits for its answers.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slipway_model::Bundle;

use crate::models::{input, inputs, made};
use crate::process::{Server, list_with, lists, picture, request};
use crate::registry::Registry;

fn label(bundle: &Bundle, of: usize) -> usize {
    let probabilities = bundle.probabilities(&picture(of, 1), 1).unwrap();
    (0..10).fold(0, |best, at| if probabilities[at] > probabilities[best] { at } else { best })
}

#[tokio::test]
async fn the_same_requests_are_answered_and_agreement_is_counted() {
    let registry = Registry::start().await;
    let made = [registry.register("1", 1), registry.register("2", 2)];
    let shadow = list_with("mnist", ("1", &made[0].1), ("2", &made[1].1), "mode: shadow");
    let server = Server::start(&registry.address(), &shadow, &[]);
    server.ready().await;
    server.challenger("running").await;
    let mut agreed = 0;
    for of in 0..40 {
        let (status, body) = server.post("mnist", request(&picture(of, 1))).await;
        assert!(status == 200 && body["model_version"] == "1", "{body}");
        agreed += u64::from(label(&made[0].0, of) == label(&made[1].0, of));
        // one after the other, so that none is dropped
        let answered = json!(of + 1);
        server
            .until_inside("/challengers", |_, body| {
                body["challengers"][0]["requests"]["challenger"]["answered"] == answered
            })
            .await;
    }
    let report = server.challenger("running").await;
    assert_eq!(report["agreement"]["agreed"], json!(agreed), "{report}");
    assert_eq!(report["agreement"]["disagreed"], json!(40 - agreed), "{report}");
    assert_eq!((&report["requests"]["dropped"], &report["requests"]["champion"]["answered"]), (&json!(0), &json!(40)));
    assert_eq!(report["truth"]["decision"], "open");
    for (result, rows) in [("agreed", agreed), ("disagreed", 40 - agreed)] {
        let figure =
            format!("slipway_server_challenger_rows_total{{model=\"mnist\",result=\"{result}\",version=\"2\"}}");
        assert_eq!(server.figure(&figure).await, rows as f64);
    }
    // it answers nobody, so what answers are counted are those of the version in service
    let figure = "slipway_server_requests_total{code=\"200\",model=\"mnist\",version=\"1\"}";
    assert_eq!(server.figure(figure).await, 40.0);
    // what measures a version that it names is nobody's request
    let mut measuring: Value = serde_json::from_slice(&request(&picture(0, 1))).unwrap();
    measuring["id"] = json!("slipway-measuring");
    assert_eq!(server.post_inside("mnist/versions/1", measuring.to_string()).await.0, 200);
    let report = server.challenger("running").await;
    assert_eq!(report["requests"]["champion"]["answered"], json!(40), "{report}");
    assert_eq!(report["requests"]["challenger"]["answered"], json!(40), "{report}");
}

#[tokio::test]
async fn what_turned_out_to_be_right_decides_which_version_is_better() {
    let registry = Registry::start().await;
    let made = [registry.register("1", 1), registry.register("2", 2)];
    let shadow = list_with("mnist", ("1", &made[0].1), ("2", &made[1].1), "mode: shadow");
    let server = Server::start(&registry.address(), &shadow, &[]);
    server.ready().await;
    server.challenger("running").await;
    let mut truths = Vec::new();
    for of in 0..60 {
        let mut body: Value = serde_json::from_slice(&request(&picture(of, 1))).unwrap();
        body["id"] = json!(format!("request-{of}"));
        assert_eq!(server.post("mnist", body.to_string()).await.0, 200);
        let answered = json!(of + 1);
        server
            .until_inside("/challengers", |_, body| {
                body["challengers"][0]["requests"]["challenger"]["answered"] == answered
            })
            .await;
        // the challenger is always right
        truths.push(json!({ "id": format!("request-{of}"), "label": label(&made[1].0, of).to_string() }));
    }
    // one that is malformed, and none of the others counts
    let mut malformed = truths.clone();
    malformed[59]["label"] = json!("ten");
    let (status, said) = server.post_truths("mnist", &json!(malformed)).await;
    assert!(status == 400 && said["error"] == "`ten` is not a class of this model", "{said}");
    assert_eq!(server.post_truths("mnist", &json!([{ "id": "x" }])).await.0, 422);
    assert_eq!(server.post_truths("other", &json!(truths)).await.0, 404);
    let (status, said) = server.post_truths("mnist", &json!(truths)).await;
    assert!(status == 200 && said == json!({ "counted": 60, "unknown": 0 }), "{said}");
    // each counts once
    assert_eq!(server.post_truths("mnist", &json!(truths)).await.1, json!({ "counted": 0, "unknown": 60 }));
    let report = server.challenger("running").await;
    assert_eq!((&report["truth"]["known"], &report["truth"]["decision"]), (&json!(60), &json!("better")), "{report}");
}

#[tokio::test]
async fn nobody_waits_for_a_shadow_that_is_behind() {
    let registry = Registry::start().await;
    let champion = registry.register_folder("wine", "1", &made().join("wine"));
    let slow = registry.register_folder("wine", "2", &made().join("slow"));
    let shadow = list_with("wine", ("1", &champion), ("2", &slow), "mode: shadow");
    let mut server = Server::start(&registry.address(), &shadow, &[("SLIPWAY_WORKERS", "1")]);
    server.ready().await;
    server.challenger("running").await;
    // this one takes it many seconds; a hundred more come meanwhile
    let row = |first: u32| inputs(&[input("row", "FP32", &[1, 3], json!([first, 0, 0]))]);
    let begun = Instant::now();
    for at in 0..100 {
        let (status, body) = server.post("wine", row(if at == 0 { 101 } else { 1 })).await;
        assert!(status == 200 && body["model_version"] == "1", "{body}");
    }
    let took = begun.elapsed();
    let report = server.challenger("running").await;
    let number = |value: &Value| value.as_u64().unwrap();
    let challenger = number(&report["requests"]["challenger"]["answered"]);
    // one is being answered, or is not begun yet: 64 have a place
    assert_eq!((challenger, number(&report["requests"]["dropped"])), (0, 36), "{took:?}: {report}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    // it ends although it is in the middle of that answer
    server.pin(&lists(&[("wine", "1", &champion)]));
    server.until_inside("/challengers", |_, body| body["challengers"] == json!([])).await;
    assert_eq!(server.post("wine", row(1)).await.0, 200);
    // and so does the server
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn the_version_in_service_comes_first_where_memory_is_scarce() {
    let registry = Registry::start().await;
    let digests = ["wine", "other", "slow"].map(|name| {
        let version = ["wine", "other", "slow"].iter().position(|other| *other == name).unwrap() + 1;
        registry.register_folder("wine", &version.to_string(), &made().join(name))
    });
    let server = Server::start(&registry.address(), &lists(&[("wine", "1", &digests[0])]), &[]);
    server.ready().await;
    let one = server.figure("slipway_server_model_memory_bytes{model=\"wine\",version=\"1\"}").await;
    // room for two, but not for three
    let room = ((one * 2.5) as u64 >> 20).max(1).to_string();
    let with = |champion: usize, challenger: usize| {
        let [champion, challenger] = [champion, challenger].map(|at| ((at + 1).to_string(), &digests[at]));
        list_with("wine", (&champion.0, champion.1), (&challenger.0, challenger.1), "mode: shadow")
    };
    let server = Server::start(&registry.address(), &with(0, 1), &[("SLIPWAY_MODEL_MEMORY_MIB", &room)]);
    server.ready().await;
    server.challenger("running").await;
    let memory = server.figure("slipway_server_model_memory_bytes{model=\"wine\",version=\"2\"}").await;
    assert!(memory > 1000.0, "{memory}");
    // a third version is put into service, for which there is no room beside both
    server.pin(&with(2, 1));
    server.until("/v2/models/wine", |_, body| body["versions"][0] == "3").await;
    server.challenger("running").await;
    assert_eq!(server.figure("slipway_server_models_last_reload_successful").await, 1.0);
}
