//! Features of a built-in network are given to whoever asks for them by name.

use serde_json::{Value, json};
use slipway_model::{Architecture, Bundle, Config, Model};

use crate::process::{Server, close, list, list_with, picture, request};
use crate::registry::Registry;

/// A request for these outputs, in this order.
fn asking(pixels: &[f32], outputs: Value) -> String {
    let mut body: Value = serde_json::from_slice(&request(pixels)).unwrap();
    body["outputs"] = outputs;
    body.to_string()
}

fn numbers(output: &Value) -> Vec<f32> {
    output["data"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

/// The features of pictures, by libtorch.
fn features(bundle: &Bundle, pixels: &[f32], images: usize) -> Vec<f32> {
    let mut features = Vec::new();
    bundle.answer(pixels, images, Some(&mut features)).unwrap();
    features
}

#[tokio::test]
async fn features_are_answered_only_if_they_are_asked_for() {
    let registry = Registry::start().await;
    let (bundle, digest) = registry.register("3", 1);
    let server = Server::start(&registry.address(), &list("3", &digest), &[]);
    server.ready().await;
    let described = server.get("/v2/models/mnist").await.1["outputs"].clone();
    assert_eq!(described[2], json!({"name": "features", "datatype": "FP32", "shape": [-1, 128]}));

    let names = |answer: &Value| -> Vec<String> {
        answer["outputs"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let (_, usual) = server.post("mnist", request(&picture(5, 2))).await;
    assert_eq!(names(&usual), ["probabilities", "label"]);
    // one image and many, which may be answered in different forms of the network
    for images in [1, 2, 64] {
        let pixels = picture(5, images);
        let both = json!([{"name": "features"}, {"name": "probabilities"}]);
        let (status, answer) = server.post("mnist", asking(&pixels, both)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(names(&answer), ["features", "probabilities"]);
        let found = &answer["outputs"][0];
        assert_eq!((&found["datatype"], &found["shape"]), (&json!("FP32"), &json!([images, 128])));
        assert!(close(&numbers(found), &features(&bundle, &pixels, images)), "{images}");
        assert!(close(&numbers(&answer["outputs"][1]), &bundle.probabilities(&pixels, images).unwrap()), "{images}");
    }
    // as bytes after the JSON
    let binary = json!([{"name": "features", "parameters": {"binary_data": true}}]);
    let url = format!("{}/v2/models/mnist/infer", server.address);
    let response = server.http.post(url).body(asking(&picture(5, 2), binary)).send().await.unwrap();
    let length: usize = response.headers()["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let bytes = response.bytes().await.unwrap();
    let found: Vec<f32> = bytes[length..].as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
    assert!(close(&found, &features(&bundle, &picture(5, 2), 2)));
    let (status, answer) = server.post("mnist", asking(&picture(5, 1), json!([{"name": "feature"}]))).await;
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("there is no output `feature`; the outputs are probabilities, label and features"))
    );
}

#[tokio::test]
async fn a_network_with_too_many_features_does_not_offer_them() {
    let registry = Registry::start().await;
    let folder = tempfile::tempdir().unwrap();
    let model = Model::new(&Config::mnist(Architecture::Resnet, 0.0), 1).unwrap();
    Bundle::new(&model).unwrap().save(folder.path()).unwrap();
    registry.register_folder("wide", "1", folder.path());
    let server = Server::start(&registry.address(), "models: []", &[]);
    let described = server.get_inside("/v2/models/wide/versions/1").await.1["outputs"].clone();
    assert_eq!(described.as_array().unwrap().len(), 2, "{described}");
    let body = asking(&picture(0, 1), json!([{"name": "features"}]));
    let (status, answer) = server.post_inside("wide/versions/1", body).await;
    assert_eq!(
        (status, &answer["error"]),
        (400, &json!("there is no output `features`; the outputs are probabilities and label"))
    );
}

#[tokio::test]
async fn whoever_asks_for_features_is_answered_by_the_version_in_service() {
    let registry = Registry::start().await;
    let [(champion, one), (_, other)] = [registry.register("1", 1), registry.register("2", 2)];
    let canary = list_with("mnist", ("1", &one), ("2", &other), "mode: canary, share: 0.5");
    let server = Server::start(&registry.address(), &canary, &[]);
    server.ready().await;
    server.challenger("running").await;
    let mut by_canary = 0;
    for of in 0..100 {
        let pixels = picture(of, 1);
        by_canary += usize::from(server.post("mnist", request(&pixels)).await.1["model_version"] == "2");
        let (_, answer) = server.post("mnist", asking(&pixels, json!([{"name": "features"}]))).await;
        assert_eq!(answer["model_version"], "1");
        assert!(close(&numbers(&answer["outputs"][0]), &features(&champion, &pixels, 1)));
    }
    assert!(by_canary > 0, "the canary was never asked");
}
