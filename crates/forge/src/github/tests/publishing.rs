//! The requests by which a report is published. That they come to a good end whatever happens is for the model to show.

use serde_json::{Value, json};
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{TOKEN, pull};
use crate::{
    Annotation, CheckOutcome, CheckRun, Conclusion, Credentials, Error, GitHub, Level, Opened, Publication, Published,
};

const COMMENTS: &str = "/repos/octo/cat/issues/7/comments";
const BOT: &str = "github-actions[bot]";

async fn runner() -> (MockServer, GitHub) {
    let server = MockServer::start().await;
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::Runner(TOKEN.into()));
    (server, github)
}

fn annotation(line: usize) -> Annotation {
    let [file, title, message] = ["experiments/a.yaml", "unknown field", "did you mean `epochs`?"].map(str::to_owned);
    Annotation { file, line, column: 0, level: Level::Warning, title, message }
}

fn check(annotations: usize) -> CheckRun {
    let [name, title, summary] = ["slipway", "2 TrainJobs", "all of it"].map(str::to_owned);
    let annotations = (1..=annotations).map(annotation).collect();
    CheckRun { name, conclusion: Conclusion::Success, title, summary, annotations }
}

async fn publish(github: &GitHub, parts: &[&str], check: Option<CheckRun>) -> Result<Published, Error> {
    let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    let publication = async |opened: &Opened, _: Option<&str>| {
        Ok(Publication { head: opened.head.clone(), parts: parts.clone(), check: check.clone() })
    };
    github.publish(7, publication).await
}

fn comment(id: u64, login: &str, body: &str) -> Value {
    json!({"id": id, "body": body, "user": {"login": login}, "html_url": format!("https://github.com/octo/cat/pull/7#issuecomment-{id}")})
}

async fn answer(server: &MockServer, verb: &str, at: &str, status: u16, body: &Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
}

async fn sent(server: &MockServer, verb: &str) -> Vec<(String, Value)> {
    let requests: Vec<Request> = server.received_requests().await.unwrap();
    let sent = requests.iter().filter(|request| request.method.as_str() == verb);
    sent.map(|request| (request.url.path().to_owned(), request.body_json().unwrap_or_default())).collect()
}

/// The first line of a part of a report about `abc`.
fn marker(part: usize, parts: usize, text: &str) -> String {
    let digest = slipway_digest::Digest::of(text).hex();
    format!("<!-- slipway:report {part}/{parts} abc {} -->", &digest[..16])
}

#[tokio::test]
async fn what_is_there_already_is_not_written_and_costs_three_requests() {
    let (server, github) = runner().await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    let ours = comment(2, BOT, &format!("{}\r\nplan\r\n", marker(1, 1, "plan")));
    answer(&server, "GET", COMMENTS, 200, &json!([ours])).await;
    let check = check(0);
    let id = crate::github::check_run::Check::of(&check, "abc").id;
    Mock::given(path("/repos/octo/cat/commits/abc/check-runs"))
        .and(query_param("check_name", "slipway"))
        .respond_with(ResponseTemplate::new(200).set_body_json(
            json!({"total_count": 1, "check_runs": [{"id": 5, "external_id": id, "conclusion": "success", "app": {"slug": "github-actions"}}]}),
        ))
        .mount(&server)
        .await;
    let published = publish(&github, &["plan"], Some(check)).await.unwrap();
    assert_eq!((published.changed, &published.check), (false, &CheckOutcome::Unchanged));
    assert_eq!(published.url.as_deref(), Some("https://github.com/octo/cat/pull/7#issuecomment-2"));
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn only_our_own_comments_are_edited_and_removed() {
    let (server, github) = runner().await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    let old = |part| format!("<!-- slipway:report {part}/3 0ld 00 -->\nold {part}");
    let comments = json!([
        comment(1, "mona", &old(1)),
        comment(2, BOT, &old(1)),
        comment(3, BOT, "another workflow"),
        comment(4, BOT, &old(2)),
        comment(5, BOT, &old(3)),
        {"id": 6, "body": old(1), "user": null, "html_url": "https://x"},
    ]);
    let now = json!([comment(2, BOT, &format!("{}\nplan", marker(1, 1, "plan")))]);
    let listed = Mock::given(method("GET")).and(path(COMMENTS));
    listed.respond_with(ResponseTemplate::new(200).set_body_json(comments)).up_to_n_times(1).mount(&server).await;
    answer(&server, "GET", COMMENTS, 200, &now).await;
    answer(&server, "PATCH", "/repos/octo/cat/issues/comments/2", 200, &comment(2, BOT, "")).await;
    // one of them is gone already
    Mock::given(method("DELETE"))
        .and(path("/repos/octo/cat/issues/comments/4"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&server)
        .await;
    answer(&server, "DELETE", "/repos/octo/cat/issues/comments/5", 404, &json!({"message": "Not Found"})).await;
    let published = publish(&github, &["plan"], None).await.unwrap();
    assert_eq!((published.changed, published.check), (true, CheckOutcome::NotAsked));
    let body = format!("{}\nplan", marker(1, 1, "plan"));
    let edited = ("/repos/octo/cat/issues/comments/2".to_owned(), json!({ "body": body }));
    assert_eq!(sent(&server, "PATCH").await, [edited]);
    let removed: Vec<String> = sent(&server, "DELETE").await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(removed, ["/repos/octo/cat/issues/comments/4", "/repos/octo/cat/issues/comments/5"]);
    assert!(sent(&server, "POST").await.is_empty());
}

#[tokio::test]
async fn whoever_may_write_goes_on_with_the_workflow_s_comment_and_removes_their_own() {
    let server = MockServer::start().await;
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::token(TOKEN));
    answer(&server, "GET", "/user", 200, &json!({"login": "mona"})).await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    let old = |part, text: &str| format!("<!-- slipway:report {part}/2 abc 00 -->\n{text} {part}");
    let comments = json!([
        comment(1, "mona", &old(1, "mona's")),
        comment(2, "bob", &old(1, "a copy")),
        comment(3, BOT, &old(1, "plan")),
        comment(4, BOT, &old(2, "plan")),
        comment(5, "another-app[bot]", &old(1, "a copy")),
    ]);
    let listed = Mock::given(method("GET")).and(path(COMMENTS));
    listed.respond_with(ResponseTemplate::new(200).set_body_json(comments)).up_to_n_times(1).mount(&server).await;
    let body = format!("{}\nresults", marker(1, 1, "results"));
    answer(&server, "GET", COMMENTS, 200, &json!([comment(3, BOT, &body)])).await;
    answer(&server, "PATCH", "/repos/octo/cat/issues/comments/3", 200, &comment(3, BOT, &body)).await;
    for id in [1, 4] {
        let removed = Mock::given(method("DELETE")).and(path(format!("/repos/octo/cat/issues/comments/{id}")));
        removed.respond_with(ResponseTemplate::new(204)).mount(&server).await;
    }
    let results = async |opened: &Opened, first: Option<&str>| {
        assert!(matches!(first, Some("plan 1" | "results")), "{first:?}");
        Ok::<_, Error>(Publication { head: opened.head.clone(), parts: vec!["results".to_owned()], check: None })
    };
    let published = github.publish(7, results).await.unwrap();
    assert_eq!(published.url.as_deref(), Some("https://github.com/octo/cat/pull/7#issuecomment-3"));
    let edited = ("/repos/octo/cat/issues/comments/3".to_owned(), json!({ "body": body }));
    assert_eq!(sent(&server, "PATCH").await, [edited]);
    let removed: Vec<String> = sent(&server, "DELETE").await.into_iter().map(|(path, _)| path).collect();
    assert_eq!(removed, ["/repos/octo/cat/issues/comments/4", "/repos/octo/cat/issues/comments/1"]);
    assert!(sent(&server, "POST").await.is_empty());
}

#[tokio::test]
async fn annotations_go_fifty_at_a_time_and_no_more_than_two_hundred() {
    let (server, github) = runner().await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    answer(&server, "GET", COMMENTS, 200, &json!([])).await;
    answer(&server, "GET", "/repos/octo/cat/commits/abc/check-runs", 200, &json!({"check_runs": []})).await;
    answer(&server, "POST", "/repos/octo/cat/check-runs", 201, &json!({"id": 5})).await;
    answer(&server, "PATCH", "/repos/octo/cat/check-runs/5", 200, &json!({"id": 5})).await;
    let long = CheckRun { summary: "| x |\n".repeat(20_000), ..check(230) };
    let published = publish(&github, &[], Some(long)).await.unwrap();
    assert_eq!((published.changed, published.check, published.url), (true, CheckOutcome::Written, None));
    let mut all = sent(&server, "POST").await;
    all.extend(sent(&server, "PATCH").await);
    let counts: Vec<usize> =
        all.iter().map(|(_, body)| body["output"]["annotations"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [50, 50, 50, 50]);
    let unfinished: Vec<bool> =
        all.iter().map(|(_, body)| body["external_id"].as_str().unwrap().ends_with(":unfinished")).collect();
    assert_eq!(unfinished, [true, true, true, false]);
    let first = &all[0].1;
    assert_eq!(
        (&first["name"], &first["head_sha"], &first["conclusion"]),
        (&json!("slipway"), &json!("abc"), &json!("success"))
    );
    let annotation = &first["output"]["annotations"][0];
    assert_eq!((&annotation["path"], &annotation["start_line"]), (&json!("experiments/a.yaml"), &json!(1)));
    assert_eq!((&annotation["annotation_level"], annotation.get("start_column")), (&json!("warning"), None));
    let summary = first["output"]["summary"].as_str().unwrap();
    assert!(summary.chars().count() <= 65_535 && summary.contains("… and 30 more annotations"));
}

#[tokio::test]
async fn a_person_writes_no_check_and_is_asked_for_once() {
    let server = MockServer::start().await;
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::token(TOKEN));
    answer(&server, "GET", "/user", 200, &json!({"login": "mona"})).await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    let ours = comment(2, "mona", &format!("{}\nplan", marker(1, 1, "plan")));
    answer(&server, "GET", COMMENTS, 200, &json!([ours])).await;
    for _ in 0..2 {
        let published = publish(&github, &["plan"], Some(check(0))).await.unwrap();
        assert!(matches!(published.check, CheckOutcome::NotAllowed(_)));
        assert!(!published.changed);
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 5);
}

#[tokio::test]
async fn nobody_is_asked_for_a_login_where_only_the_workflow_has_written() {
    let server = MockServer::start().await;
    let github = GitHub::new(&server.uri(), "octo", "cat", Credentials::token(TOKEN));
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    let ours = comment(2, BOT, &format!("{}\nplan", marker(1, 1, "plan")));
    answer(&server, "GET", COMMENTS, 200, &json!([ours, comment(3, "bob", "What is this?")])).await;
    assert!(!publish(&github, &["plan"], None).await.unwrap().changed);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_fork_s_token_may_write_no_check() {
    let (server, github) = runner().await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    answer(&server, "GET", COMMENTS, 200, &json!([])).await;
    answer(&server, "GET", "/repos/octo/cat/commits/abc/check-runs", 200, &json!({"check_runs": []})).await;
    let refused = json!({"message": "Resource not accessible by integration"});
    answer(&server, "POST", "/repos/octo/cat/check-runs", 403, &refused).await;
    let published = publish(&github, &[], Some(check(0))).await.unwrap();
    assert_eq!(published.check, CheckOutcome::NotAllowed("Resource not accessible by integration".to_owned()));
    assert!(!published.changed);
}

#[tokio::test]
async fn what_is_about_an_older_commit_is_not_published() {
    let (server, github) = runner().await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    answer(&server, "GET", COMMENTS, 200, &json!([])).await;
    let older = async |_: &Opened, _: Option<&str>| {
        Ok::<_, Error>(Publication { head: "0ld".to_owned(), parts: vec!["plan".to_owned()], check: None })
    };
    let error = github.publish(7, older).await.unwrap_err();
    assert!(matches!(&error, Error::Outdated { number: 7, head, .. } if head == "abc"), "{error}");
    assert!(sent(&server, "POST").await.is_empty());
}

#[tokio::test]
async fn the_publication_sees_the_first_part_without_its_marker() {
    let (server, github) = runner().await;
    answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
    let parts = json!([comment(2, BOT, &format!("{}\nplan\n<!-- x -->", marker(1, 1, "plan\n<!-- x -->")))]);
    answer(&server, "GET", COMMENTS, 200, &parts).await;
    let keep = async |opened: &Opened, first: Option<&str>| {
        assert_eq!(first, Some("plan\n<!-- x -->"));
        let parts = vec![first.unwrap().to_owned()];
        Ok::<_, Error>(Publication { head: opened.head.clone(), parts, check: None })
    };
    assert!(!github.publish(7, keep).await.unwrap().changed);
}

#[tokio::test]
async fn a_check_is_replaced_or_made_anew_by_what_is_there() {
    let id = crate::github::check_run::Check::of(&check(60), "abc").id;
    let run = |id: &str, conclusion: &str, app: &str, annotations: usize| {
        json!({"id": 5, "external_id": id, "conclusion": conclusion, "app": {"slug": app},
               "output": {"annotations_count": annotations}})
    };
    let (own, other) = ("github-actions", "another");
    let unfinished = format!("{id}:unfinished");
    // the request that follows, and how many annotations it has
    for (there, verb, annotations) in [
        (run("a job of a workflow", "success", own, 0), "POST", 50),
        (run("slipway:0", "success", own, 0), "PATCH", 50),
        // annotations stay in a run for ever, and nobody changes another app's run
        (run("slipway:0", "success", own, 3), "POST", 50),
        (run("slipway:0", "success", other, 0), "POST", 50),
        (run(&unfinished, "success", own, 50), "PATCH", 10),
        (run(&unfinished, "success", own, 51), "POST", 50),
        // somebody's with our mark, but another end
        (run(&id, "failure", own, 60), "POST", 50),
        (run(&id, "success", own, 110), "POST", 50),
    ] {
        let (server, github) = runner().await;
        answer(&server, "GET", "/repos/octo/cat/pulls/7", 200, &pull(7, "slipway/a")).await;
        answer(&server, "GET", COMMENTS, 200, &json!([])).await;
        let runs = json!({ "check_runs": [there] });
        answer(&server, "GET", "/repos/octo/cat/commits/abc/check-runs", 200, &runs).await;
        answer(&server, "POST", "/repos/octo/cat/check-runs", 201, &json!({"id": 6})).await;
        for id in [5, 6] {
            answer(&server, "PATCH", &format!("/repos/octo/cat/check-runs/{id}"), 200, &json!({ "id": id })).await;
        }
        assert!(publish(&github, &[], Some(check(60))).await.unwrap().changed, "{there}");
        let first = sent(&server, verb).await.remove(0);
        assert_eq!(first.1["output"]["annotations"].as_array().unwrap().len(), annotations, "{there}");
        assert_eq!(sent(&server, "POST").await.is_empty(), verb == "PATCH", "{there}");
    }
}
