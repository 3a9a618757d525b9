//! A model server as far as the monitor asks it: its model says which side of a picture is the brighter one, and what it has seen of both.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::pictures::SIDE;

/// Serves the model `sides` until the runtime ends, with its features or without. Returns the server's address. Version 1 is the one in service; versions
/// 2 and 4 are right about inverted pictures, too, and version 3 about these alone.
pub(crate) async fn serve(has_features: bool) -> String {
    let shape = [-1, SIDE as i64, SIDE as i64];
    let mut outputs = vec![
        json!({"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}),
        json!({"name": "label", "datatype": "INT64", "shape": [-1]}),
    ];
    if has_features {
        outputs.push(json!({"name": "features", "datatype": "FP32", "shape": [-1, 2]}));
    }
    let signature = json!({
        "name": "sides", "versions": ["1"],
        "inputs": [{"name": "image", "datatype": "FP32", "shape": shape}],
        "outputs": outputs,
    });
    let versions: [(u32, Answer); 4] = [(1, answer), (2, either), (3, inverted), (4, either)];
    let mut router = Router::new();
    for (version, probabilities) in versions {
        let signature = signature.clone();
        let of = format!("/v2/models/sides/versions/{version}");
        let infers = move |headers: HeaderMap, body: Bytes| infer(probabilities, headers, body);
        router = router.route(&format!("{of}/infer"), post(infers)).route(&of, get(async move || Json(signature)));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// What a version says of a picture.
type Answer = fn(&[f32]) -> [f32; 2];

/// How bright the left side is, and the right side: what the model looks at.
pub(crate) fn features(picture: &[f32]) -> [f32; 2] {
    [true, false].map(|is_left| {
        let of = picture.iter().enumerate().filter(|(at, _)| (at % SIDE < SIDE / 2) == is_left);
        of.map(|(_, level)| level).sum::<f32>() / 32.0
    })
}

/// What the model says of a picture.
pub(crate) fn answer(picture: &[f32]) -> [f32; 2] {
    let [left, right] = features(picture);
    // sure of itself, unless both sides are the same
    let left = 1.0 / (1.0 + (-6.0 * (left - right)).exp());
    [left, 1.0 - left]
}

/// The same for whom paper is bright.
fn inverted(picture: &[f32]) -> [f32; 2] {
    let [left, right] = answer(picture);
    [right, left]
}

/// Of pictures the brighter side is the one in question, of inverted ones, which are brighter on the whole, the darker side.
fn either(picture: &[f32]) -> [f32; 2] {
    let [left, right] = features(picture);
    if left + right > 1.0 { inverted(picture) } else { answer(picture) }
}

async fn infer(probabilities: Answer, headers: HeaderMap, body: Bytes) -> Json<Value> {
    let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let (head, tensor) = body.split_at(length);
    let head: Value = serde_json::from_slice(head).unwrap();
    let rows = head["inputs"][0]["shape"][0].as_u64().unwrap() as usize;
    assert_eq!(head["inputs"][0]["parameters"]["binary_data_size"], tensor.len());
    let (numbers, rest) = tensor.as_chunks::<4>();
    assert!(rows <= 64 && rest.is_empty() && numbers.len() == rows * SIDE * SIDE, "{head}");
    let numbers: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
    let output = |wanted: &Value| {
        let name = wanted["name"].as_str().unwrap();
        let of: Answer = match name {
            "probabilities" => probabilities,
            "features" => features,
            other => panic!("{other} is not asked for"),
        };
        let data: Vec<f32> = numbers.chunks(SIDE * SIDE).flat_map(of).collect();
        json!({"name": name, "datatype": "FP32", "shape": [rows, 2], "data": data})
    };
    let outputs: Vec<Value> = head["outputs"].as_array().unwrap().iter().map(output).collect();
    Json(json!({"model_name": "sides", "model_version": "1", "outputs": outputs}))
}
