//! Who may send notifications, and what is answered before the monitor is ready.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use slipway_dataset_monitor::hints::Hints;
use slipway_dataset_monitor::http::{Interface, router};
use slipway_dataset_monitor::metrics::Metrics;
use slipway_dataset_monitor::published::Published;
use slipway_dataset_monitor::waiting::{Awaited, What};
use tower::ServiceExt as _;

async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, String) {
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header("host", "monitor").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn what_is_missing_is_said_and_events_need_their_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "right-token\n").unwrap();
    let (awaited, published) = (Awaited::default(), Published::default());
    let app = router(Interface {
        missing: awaited.changes(),
        watched: published.watched.subscribe(),
        leader: Arc::new(OnceLock::new()),
        hints: Hints::default(),
        heads: "datasets".to_owned(),
        metrics: Metrics::new().unwrap(),
        token_file: Some(token),
    });
    assert_eq!(ask(&app, get("/healthz")).await, (StatusCode::OK, "ok\n".to_owned()));
    let (status, body) = ask(&app, get("/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains("the dataset store has not answered yet"), "{body}");
    assert_eq!(ask(&app, get("/api/v1/datasets")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    for what in [What::Repository, What::Cluster, What::Store, What::Content] {
        awaited.until(what, async || Ok(())).await;
    }
    assert_eq!(ask(&app, get("/readyz")).await.0, StatusCode::OK);
    assert_eq!(ask(&app, get("/api/v1/datasets")).await, (StatusCode::OK, "{}".to_owned()));
    assert_eq!(ask(&app, get("/nowhere")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&app, get("/events")).await.0, StatusCode::METHOD_NOT_ALLOWED);

    let post = |token: Option<&str>, body: Vec<u8>| {
        let request = Request::post("/events").header("host", "monitor");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        ask(&app, request.body(Body::from(body)).unwrap())
    };
    let event = b"{\"Records\": []}".to_vec();
    assert_eq!(post(None, event.clone()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some("wrong-token"), event.clone()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some("right-token"), event).await.0, StatusCode::NO_CONTENT);
    assert_eq!(post(Some("right-token"), vec![b' '; (1 << 20) + 1]).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    let (status, metrics) = ask(&app, get("/metrics")).await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "slipway_monitor_events_total{outcome=\"refused\"} 3",
        "slipway_monitor_events_total{outcome=\"of_nothing_watched\"} 1",
        "slipway_monitor_ready 1",
        "slipway_leader 0",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }

    // a Secret that is not there lets nobody in
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let event = b"{\"Records\": []}".to_vec();
    assert_eq!(post(None, event.clone()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(post(Some("right-token"), event).await.0, StatusCode::INTERNAL_SERVER_ERROR);
}
