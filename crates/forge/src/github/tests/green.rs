//! Whether a check is green.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, ResponseTemplate};

use super::github;

const COMMIT: &str = "1111111111111111111111111111111111111111";

fn run(id: u64, status: &str, conclusion: Value) -> Value {
    json!({"id": id, "name": "slipway", "status": status, "conclusion": conclusion})
}

#[tokio::test]
async fn the_newest_run_of_the_check_decides() {
    for (runs, is_green) in [
        (vec![], false),
        (vec![run(1, "completed", json!("success"))], true),
        (vec![run(1, "completed", json!("failure"))], false),
        (vec![run(1, "in_progress", json!(null))], false),
        (vec![run(2, "in_progress", json!(null)), run(1, "completed", json!("success"))], false),
        (vec![run(1, "completed", json!("failure")), run(2, "completed", json!("success"))], true),
    ] {
        let (server, github) = github().await;
        Mock::given(method("GET"))
            .and(path(format!("/repos/octo/cat/commits/{COMMIT}/check-runs")))
            .and(query_param("check_name", "slipway"))
            .respond_with(
                ResponseTemplate::new(200).set_body_json(json!({"total_count": runs.len(), "check_runs": runs})),
            )
            .expect(1)
            .mount(&server)
            .await;
        assert_eq!(github.is_green(COMMIT, "slipway").await.unwrap(), is_green, "{runs:?}");
    }
}
