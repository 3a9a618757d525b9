//! `/invocations`, for code that was written for `mlflow models serve`.

use serde_json::{Value, json};

use crate::process::{Server, close, list, picture, read};
use crate::registry::Registry;

async fn invoke(server: &Server, query: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/invocations{query}", server.internal);
    let asked = server.http.post(url).header("content-type", "application/json").body(body.to_string());
    read(asked.send().await.unwrap()).await
}

#[tokio::test]
async fn the_only_model_in_service_answers_or_the_one_that_is_named() {
    let registry = Registry::start().await;
    let (bundle, digest) = registry.register("3", 1);
    registry.register("4", 2);
    let server = Server::start(&registry.address(), "models: []", &[]);
    let rows: Vec<Vec<f32>> = picture(1, 2).chunks(784).map(<[f32]>::to_vec).collect();
    let body = json!({ "inputs": rows });
    let (status, answer) = invoke(&server, "", &body).await;
    let expected = json!({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": answer["message"]});
    assert!(status == 404 && answer == expected, "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("no model is in service"), "{answer}");

    server.pin(&list("3", &digest));
    server.until("/v2/models/mnist", |status, _| status == 200).await;
    assert_eq!(server.get("/ping").await.0, 200);
    let want = bundle.probabilities(&picture(1, 2), 2).unwrap();
    let flat = |answer: &Value| -> Vec<f32> {
        let rows = answer["predictions"].as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32)).collect()
    };
    for query in ["", "?model=mnist", "?model=mnist&version=3"] {
        let (status, answer) = invoke(&server, query, &body).await;
        assert!(status == 200 && close(&flat(&answer), &want), "{query}: {answer}");
    }
    let (_, answer) = invoke(&server, "", &json!({"dataframe_split": {"data": rows}})).await;
    assert!(close(&[answer["predictions"][1]["9"].as_f64().unwrap() as f32], &want[19..]), "{answer}");
    assert!(!close(&flat(&invoke(&server, "?model=mnist&version=4", &body).await.1), &want));
    for (query, body, status, says) in [
        ("?model=cifar", &body, 404, "in service: mnist"),
        ("?model=mnist&version=9", &body, 404, "mnist has no version 9"),
        ("?version=9", &body, 404, "mnist has no version 9"),
        ("", &json!({"inputs": [[1, 2]]}), 400, "[n, 784]"),
        ("", &json!({"rows": []}), 400, "dataframe_split"),
    ] {
        let (found, answer) = invoke(&server, query, body).await;
        assert!(found == status && answer["message"].as_str().unwrap().contains(says), "{query}: {found} {answer}");
    }
    let url = format!("{}/invocations", server.address);
    let csv = server.http.post(url).header("content-type", "text/csv").body("a,b\n1,2\n");
    let (status, answer) = read(csv.send().await.unwrap()).await;
    assert!(status == 415 && answer["message"].as_str().unwrap().contains("send application/json"), "{answer}");
}
