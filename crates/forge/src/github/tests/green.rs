//! Whether a check is green.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::apps::{self, KEY, SLUG};
use super::{TOKEN, github};
use crate::{Credentials, GitHub};

const COMMIT: &str = "1111111111111111111111111111111111111111";
/// As whom GitHub's runners write.
const WORKFLOW: &str = "github-actions";
/// What the reports' checks are marked with.
const MARK: &str = "slipway:0a1b";

/// A run of the check, by an app and with a mark.
fn run_by(app: &str, mark: &str, id: u64, status: &str, conclusion: Value) -> Value {
    json!({"id": id, "name": "slipway", "status": status, "conclusion": conclusion, "external_id": mark, "app": {"slug": app}})
}

/// A run that the workflow's report wrote.
fn run(id: u64, status: &str, conclusion: Value) -> Value {
    run_by(WORKFLOW, MARK, id, status, conclusion)
}

fn green(app: &str, mark: &str, id: u64) -> Value {
    run_by(app, mark, id, "completed", json!("success"))
}

async fn serve(server: &MockServer, runs: &[Value]) {
    Mock::given(method("GET"))
        .and(path(format!("/repos/octo/cat/commits/{COMMIT}/check-runs")))
        .and(query_param("check_name", "slipway"))
        .and(query_param("filter", "all"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"total_count": runs.len(), "check_runs": runs})))
        .expect(1)
        .mount(server)
        .await;
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
        serve(&server, &runs).await;
        assert_eq!(github.is_green(COMMIT, "slipway").await.unwrap(), is_green, "{runs:?}");
    }
}

#[tokio::test]
async fn what_others_call_by_its_name_does_not_count() {
    let red = || run(2, "completed", json!("failure"));
    let nobody = json!({"id": 3, "name": "slipway", "status": "completed", "conclusion": "success", "external_id": MARK, "app": null});
    // whether it is green for a person, for a workflow, and for the training manager's app
    for (runs, expected) in [
        // another app, with a mark like ours too
        (vec![green("another", "", 1)], [false; 3]),
        (vec![green("another", MARK, 1)], [false; 3]),
        (vec![red(), green("another", MARK, 3)], [false; 3]),
        (vec![red(), nobody], [false; 3]),
        // a job of any workflow that is called like the check
        (vec![green(WORKFLOW, "4a1c6e1e-job", 1)], [false; 3]),
        (vec![red(), green(WORKFLOW, "4a1c6e1e-job", 3)], [false; 3]),
        // neither does it hide ours
        (vec![green(WORKFLOW, MARK, 1), run_by("another", MARK, 2, "completed", json!("failure"))], [true; 3]),
        // a report by the app itself
        (vec![green(SLUG, MARK, 1)], [false, false, true]),
        (vec![green(&SLUG.to_uppercase(), MARK, 1)], [false, false, true]),
        (vec![red(), green(SLUG, MARK, 3)], [false, false, true]),
        (vec![green(SLUG, MARK, 1), red()], [false; 3]),
    ] {
        let person = Credentials::token(TOKEN);
        let workflow = Credentials::Runner(TOKEN.into());
        for (credentials, is_green) in [person, workflow].into_iter().zip(expected) {
            let server = MockServer::start().await;
            serve(&server, &runs).await;
            let github = GitHub::new(&server.uri(), "octo", "cat", credentials);
            assert_eq!(github.is_green(COMMIT, "slipway").await.unwrap(), is_green, "{github:?}: {runs:?}");
        }
        let server = apps::server(60, 1, 0).await;
        serve(&server, &runs).await;
        let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::app(12, &KEY).unwrap());
        assert_eq!(github.is_green(COMMIT, "slipway").await.unwrap(), expected[2], "{github:?}: {runs:?}");
    }
}
