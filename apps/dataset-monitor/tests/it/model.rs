//! A model server as far as the monitor asks it: its model says which side of a picture is the brighter one.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::pictures::SIDE;

/// Serves the model `sides`, version 1, until the runtime ends. Returns the server's address.
pub(crate) async fn serve() -> String {
    let shape = [-1, SIDE as i64, SIDE as i64];
    let signature = json!({
        "name": "sides", "versions": ["1"],
        "inputs": [{"name": "image", "datatype": "FP32", "shape": shape}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}, {"name": "label", "datatype": "INT64", "shape": [-1]}],
    });
    let router = Router::new()
        .route("/v2/models/sides/versions/1", get(async move || Json(signature)))
        .route("/v2/models/sides/versions/1/infer", post(infer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// What the model says of a picture.
pub(crate) fn answer(picture: &[f32]) -> [f32; 2] {
    let side = |is_left: bool| -> f32 {
        let of = picture.iter().enumerate().filter(|(at, _)| (at % SIDE < SIDE / 2) == is_left);
        of.map(|(_, level)| level).sum::<f32>() / 32.0
    };
    // sure of itself, unless both sides are the same
    let left = 1.0 / (1.0 + (-6.0 * (side(true) - side(false))).exp());
    [left, 1.0 - left]
}

async fn infer(headers: HeaderMap, body: Bytes) -> Json<Value> {
    let length: usize = headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let (head, tensor) = body.split_at(length);
    let head: Value = serde_json::from_slice(head).unwrap();
    let rows = head["inputs"][0]["shape"][0].as_u64().unwrap() as usize;
    assert_eq!(head["inputs"][0]["parameters"]["binary_data_size"], tensor.len());
    let (numbers, rest) = tensor.as_chunks::<4>();
    assert!(rows <= 64 && rest.is_empty() && numbers.len() == rows * SIDE * SIDE, "{head}");
    let numbers: Vec<f32> = numbers.iter().map(|four| f32::from_le_bytes(*four)).collect();
    let mut probabilities = Vec::new();
    for picture in numbers.chunks(SIDE * SIDE) {
        probabilities.extend(answer(picture));
    }
    Json(json!({"model_name": "sides", "model_version": "1", "outputs": [
        {"name": "probabilities", "datatype": "FP32", "shape": [rows, 2], "data": probabilities},
    ]}))
}
