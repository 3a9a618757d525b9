//! Answers and refusals.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::process::{Server, close, list, picture, probabilities, program, request};
use crate::registry::Registry;

async fn serving() -> (Registry, slipway_model::Bundle, Server) {
    let registry = Registry::start().await;
    let (bundle, digest) = registry.register("3", 1);
    let server = Server::start(&registry.address(), &list("3", &digest), &[]);
    server.ready().await;
    (registry, bundle, server)
}

#[tokio::test]
async fn an_answer_is_the_bundles() {
    let (_registry, bundle, server) = serving().await;
    let mut body: Value = serde_json::from_slice(&request(&picture(5, 2))).unwrap();
    body["id"] = json!("mine");
    let (status, body) = server.post("mnist", body.to_string()).await;
    assert_eq!(status, 200, "{body}");
    let want = bundle.probabilities(&picture(5, 2), 2).unwrap();
    assert!(close(&probabilities(&body), &want), "{body}");
    let label = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let [p, l] = [&body["outputs"][0], &body["outputs"][1]];
    assert_eq!(
        (&body["model_name"], &body["model_version"], &body["id"]),
        (&json!("mnist"), &json!("3"), &json!("mine"))
    );
    assert_eq!((&p["name"], &p["datatype"], &p["shape"]), (&json!("probabilities"), &json!("FP32"), &json!([2, 10])));
    assert_eq!((&l["name"], &l["datatype"], &l["shape"]), (&json!("label"), &json!("INT64"), &json!([2])));
    assert_eq!(l["data"], json!([label(&want[..10]), label(&want[10..])]));
}

#[tokio::test]
async fn each_of_many_concurrent_requests_gets_its_own_answer() {
    let (_registry, bundle, server) = serving().await;
    let server = Arc::new(server);
    let clients: Vec<_> = (0..32)
        .map(|of| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..8 {
                    answers.push(server.post("mnist", request(&picture(of, 1))).await);
                }
                answers
            })
        })
        .collect();
    for (of, client) in clients.into_iter().enumerate() {
        let want = bundle.probabilities(&picture(of, 1), 1).unwrap();
        for (status, body) in client.await.unwrap() {
            assert_eq!(status, 200, "{body}");
            assert!(close(&probabilities(&body), &want), "{of}");
        }
    }
}

#[tokio::test]
async fn bad_requests_are_refused_with_what_is_allowed() {
    let (_registry, _bundle, server) = serving().await;
    let good = String::from_utf8(request(&picture(0, 1))).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body: Value = serde_json::from_str(&good).unwrap();
        change(&mut body["inputs"][0]);
        body.to_string()
    };
    let cases = [
        (String::new(), 400, "EOF"),
        ("hello".to_owned(), 400, "expected value"),
        ("{\"inputs\": [".repeat(5000), 400, "inference request"),
        (good.replacen("0.0,", "NaN,", 1), 400, "line 1 column"),
        (changed(&|input| input["data"][7] = json!(2)), 400, "data[7] is 2"),
        (changed(&|input| input["data"][7] = json!("x")), 400, "list of numbers"),
        (changed(&|input| input["datatype"] = json!("FP64")), 400, "expected FP32"),
        (changed(&|input| input["name"] = json!("pixels")), 400, "expected image"),
        (changed(&|input| input["shape"] = json!([1, 28])), 400, "[n, 784]"),
        (changed(&|input| input["shape"] = json!([2, 784])), 400, "the shape needs 1568"),
        (String::from_utf8(request(&vec![0.0; 65 * 784])).unwrap(), 413, "at most 64"),
        ("[".repeat((4 << 20) + 1), 413, "4 MiB"),
        (" ".repeat(32 << 20), 413, "4 MiB"),
    ];
    for (body, status, says) in cases {
        let (found, body) = server.post("mnist", body).await;
        let error = body["error"].as_str().unwrap_or_else(|| panic!("{says}: {body}"));
        assert!(found == status && error.contains(says), "{says}: {found} {error}");
    }
    let (status, _) = server.post("mnist", good).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_does_not_exist_is_an_error_in_json() {
    let (_registry, _bundle, server) = serving().await;
    for (path, status, says) in [
        ("/", 404, "/v2/models"),
        ("/v2/models/cifar", 404, "in service: mnist"),
        ("/v2/models/mnist/versions/9", 404, "version 9 of mnist is not in service; version 3 is"),
        ("/v2/models/cifar/versions/1/ready", 404, "in service: mnist"),
        ("/v2/models/mnist/infer", 405, "POST"),
        ("/v2/models/%FF", 400, "UTF-8"),
    ] {
        let (found, body) = server.get(path).await;
        let error = body["error"].as_str().unwrap_or_else(|| panic!("{path}: {body}"));
        assert!(found == status && error.contains(says), "{path}: {found} {error}");
    }
    let (status, body) = server.post("cifar", request(&picture(0, 1))).await;
    assert!(status == 404 && body["error"].is_string(), "{body}");
    for (path, says) in [
        ("/v2/models/mnist/versions/9", "mnist has no version 9; it has 3"),
        ("/v2/models/mnist/versions/latest", "mnist has no version latest; it has 3"),
        ("/v2/models/cifar/versions/1/ready", "no version 1 of cifar"),
    ] {
        let (found, body) = server.get_inside(path).await;
        assert!(found == 404 && body["error"].as_str().unwrap().contains(says), "{path}: {found} {body}");
    }
}

#[tokio::test]
async fn the_protocol_describes_the_server_and_its_models() {
    let (registry, _bundle, server) = serving().await;
    registry.register("12", 2);
    registry.register("1", 3);
    assert_eq!(server.get("/healthz").await.0, 200);
    assert_eq!(server.get("/v2/health/live").await, (200, json!({"live": true})));
    assert_eq!(server.get("/v2/health/ready").await, (200, json!({"ready": true})));
    let (_, described) = server.get("/v2").await;
    assert_eq!(
        (&described["name"], &described["extensions"]),
        (&json!("slipway-server"), &json!(["binary_tensor_data", "classification", "model_repository", "statistics"]))
    );
    let (_, model) = server.get_inside("/v2/models/mnist").await;
    // The one in service, then the newest first.
    assert_eq!((&model["versions"], &model["complete"]), (&json!(["3", "12", "1"]), &json!(true)));
    assert_eq!((&model["name"], &model["platform"]), (&json!("mnist"), &json!("libtorch")));
    assert_eq!(model["inputs"], json!([{"name": "image", "datatype": "FP32", "shape": [-1, 1, 28, 28]}]));
    let models = server.get_inside("/v2/models").await.1;
    let memory = models["models"][0]["memory_bytes"].clone();
    // at least its weights: 784 × 256 of them in the first layer
    assert!(memory["3"].as_u64().unwrap() > 784 * 256 * 4, "{memory}");
    let listed =
        |versions: &[&str]| json!({"name": "mnist", "versions": versions, "in_service": "3", "memory_bytes": memory});
    assert_eq!(models, json!({"models": [listed(&["3", "12", "1"])], "complete": true}));
    // What is not in service is nobody's business outside.
    assert_eq!(server.get("/v2/models/mnist").await.1["versions"], json!(["3"]));
    assert_eq!(server.get("/v2/models").await.1, json!({"models": [listed(&["3"])], "complete": true}));
    assert_eq!(server.get("/v2/models/mnist/ready").await.0, 200);
}

#[tokio::test]
async fn the_registry_is_listed_once_for_everybody_and_a_list_without_it_says_so() {
    let (registry, _bundle, server) = serving().await;
    registry.register("12", 2);
    let asked = || async {
        let (models, model) = tokio::join!(server.get_inside("/v2/models"), server.get_inside("/v2/models/mnist"));
        (models.1, model.1)
    };
    for (models, model) in futures::future::join_all((0..20).map(|_| asked())).await {
        assert_eq!((&models["models"][0]["versions"], &models["complete"]), (&json!(["3", "12"]), &json!(true)));
        assert_eq!((&model["versions"], &model["complete"]), (&json!(["3", "12"]), &json!(true)));
    }
    assert_eq!(registry.requests("/model-versions/search"), 1);
    registry.fail(true);
    // The list is kept for a few seconds.
    let find = async |path| server.until_inside(path, |_, body| body["complete"] == json!(false)).await;
    let (models, model) = (find("/v2/models").await, find("/v2/models/mnist").await);
    assert_eq!((&models["models"][0]["versions"], &model["versions"]), (&json!(["3"]), &json!(["3"])));
}

#[tokio::test]
async fn a_malformed_environment_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in
        [("SLIPWAY_WORKERS", "many"), ("SLIPWAY_LISTEN", "here"), ("MLFLOW_TRACKING_URI", "sqlite:///x")]
    {
        let output = program(folder.path(), "http://127.0.0.1:9").env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}");
        assert!(output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains(value), "{name}");
    }
}

#[tokio::test]
async fn the_end_waits_for_a_request_in_flight() {
    let (_registry, _bundle, mut server) = serving().await;
    let mut stream = tokio::net::TcpStream::connect(server.address.trim_start_matches("http://")).await.unwrap();
    let body = request(&picture(0, 1));
    let head = format!(
        "POST /v2/models/mnist/infer HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server sends this when it wants the body: the request is then in flight.
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body[..100]).await.unwrap();
    server.signal("TERM");
    let refused = async {
        while tokio::net::TcpStream::connect(server.address.trim_start_matches("http://")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    stream.write_all(&body[100..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.wait().code(), Some(0));
}
