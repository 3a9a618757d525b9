//! Experiments and cancellations become pull requests of a bare repository.

use std::sync::Arc;

use futures::future::BoxFuture;
use rstest::rstest;
use serde_json::{Value, json};
use slipway_training_manager::rest::{Denied, Token, Who, Writer, Writers};
use slipway_training_manager::view::Trainings;

use crate::document::Document;
use crate::logged::logged;
use crate::manager::{Answer, Manager, Setup};
use crate::project::{EXPERIMENT, Project, TOKEN, USER};

const EXPERIMENTS: &str = "/api/v1/experiments";

async fn start(project: &Project) -> Manager {
    Manager::start(Setup { writers: project.writers("cache.git"), ..Setup::default() }).await
}

fn digits() -> Value {
    json!({ "name": "digits", "source": EXPERIMENT })
}

/// The pull request of an answer.
#[track_caller]
fn opened(answer: &Answer, existed: bool) -> u64 {
    assert_eq!(answer.status, if existed { 200 } else { 201 }, "{answer:?}");
    let pull_request = answer.json();
    assert_eq!(pull_request["existed"], existed);
    assert_eq!(answer.header("location"), pull_request["url"].as_str().unwrap());
    pull_request["number"].as_u64().unwrap()
}

#[tokio::test]
async fn an_experiment_becomes_a_pull_request_and_the_same_again_is_the_same_one() {
    let project = Project::new();
    let manager = start(&project).await;
    let document = Document::of(&manager).await;
    let answer = manager.post(EXPERIMENTS, TOKEN, &digits()).await;
    let number = opened(&answer, false);
    document.check("POST", EXPERIMENTS, &answer);
    let pull_request = answer.json();
    assert_eq!(pull_request["title"], "Train digits (2 TrainJobs)");
    let files = project.files(pull_request["branch"].as_str().unwrap());
    assert!(files.contains("experiments/digits.yaml"), "{files:?}");
    assert_eq!(files.iter().filter(|file| file.starts_with("overlays/local/training-jobs/digits-")).count(), 2);
    assert!(
        project.files("main").iter().all(|file| !file.contains("digits")),
        "nothing runs before a person merges it"
    );
    let record = project.record(number);
    let body = record["body"].as_str().unwrap();
    let said = format!("Asked for by `{USER}`, through Slipway's training manager.\n\n");
    assert!(body.starts_with(&said), "{body}");
    assert!(body.contains("learningRate"), "{body}");
    // the report shows what changes in the clusters, so it does not matter that the manager has no kustomize
    assert!(!body.contains("kustomize") && !body.contains("is not shown"), "{body}");
    assert!(!record.to_string().contains(TOKEN));

    let again = manager.post(EXPERIMENTS, TOKEN, &digits()).await;
    assert_eq!(opened(&again, true), number);
    document.check("POST", EXPERIMENTS, &again);
    // another one is another one, as a draft if that is asked for
    let other = EXPERIMENT.replace("epochs: 3", "epochs: 2");
    let answer = manager.post(EXPERIMENTS, TOKEN, &json!({ "name": "digits", "source": other, "draft": true })).await;
    let second = opened(&answer, false);
    assert_eq!((second == number, &project.record(second)["draft"]), (false, &json!(true)));

    project.merge(number);
    let nothing = manager.post(EXPERIMENTS, TOKEN, &digits()).await;
    assert_eq!(nothing.problem(409), "conflict");
    assert_eq!(project.pull_requests(), 2);
}

#[tokio::test]
async fn ten_at_once_at_two_managers_are_one_pull_request() {
    let project = Project::new();
    let (one, other) = tokio::join!(start(&project), async {
        Manager::start(Setup { writers: project.writers("other.git"), ..Setup::default() }).await
    });
    let body = digits();
    let requests = (0..10).map(|index| [&one, &other][index % 2].post(EXPERIMENTS, TOKEN, &body));
    let answers = futures::future::join_all(requests).await;
    for answer in &answers {
        assert!(matches!(answer.status.as_u16(), 200 | 201), "{answer:?}");
        assert_eq!(answer.json()["number"], 1, "{answer:?}");
    }
    assert_eq!(project.pull_requests(), 1);
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert!((1..=2).contains(&created), "each manager makes it at most once: {created}");
}

#[tokio::test]
async fn what_is_wrong_with_an_experiment_has_its_place() {
    let project = Project::new();
    let manager = start(&project).await;
    let document = Document::of(&manager).await;
    for (source, line, column, code) in [
        (EXPERIMENT.replace("cpuHours: 4", "cpuHours: 1"), 12, 22, "budget-exceeded"),
        (EXPERIMENT.replace("name: digits", "name: other"), 4, 9, "misnamed"),
        (EXPERIMENT.replace("dataset: ten", "dataset: eleven"), 6, 12, "unknown-dataset"),
        (EXPERIMENT.replace("  dataset: ten", "  dataset: [ten"), 0, 0, ""),
        ("{".to_owned(), 0, 0, ""),
        (String::new(), 0, 0, ""),
    ] {
        let answer = manager.post(EXPERIMENTS, TOKEN, &json!({ "name": "digits", "source": source })).await;
        assert_eq!(answer.problem(422), "invalid", "{source}");
        document.check("POST", EXPERIMENTS, &answer);
        let finding = answer.json()["findings"][0].clone();
        assert_eq!(finding["file"], "experiments/digits.yaml", "{answer:?}");
        assert!(finding["line"].as_u64().unwrap() >= 1 && finding["column"].as_u64().unwrap() >= 1);
        if line > 0 {
            assert_eq!(
                (&finding["line"], &finding["column"], &finding["code"]),
                (&json!(line), &json!(column), &json!(code))
            );
        }
    }
    assert_eq!(project.pull_requests(), 0);
}

/// Whoever may sign in may send anything: none of it is a panic, takes for ever, or is written.
#[tokio::test]
async fn hostile_experiments_are_refused() {
    let project = Project::new();
    let manager = start(&project).await;
    let swept = |values: &str| EXPERIMENT.replace("[0.001, 0.003]", values);
    let many: String = (0..20_000).map(|index| format!("0.{index:06}1, ")).collect();
    let parameters: String =
        (0..12).map(|index| format!("    training.x{index}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n")).collect();
    for source in [
        "[".repeat(200_000),
        "{a: ".repeat(50_000),
        "- ".repeat(100_000),
        format!("a: &a [x]\n{}", (0..5_000).map(|_| "b: *a\n").collect::<String>()),
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n".to_owned(),
        swept(&format!("[{many}]")),
        EXPERIMENT.replace("    training.optimizer.learningRate: [0.001, 0.003]\n", &parameters),
        EXPERIMENT.replace("epochs: 3", "epochs: 99999999999999999999999999999999"),
        EXPERIMENT.replace("cpuHours: 4", "cpuHours: 1e999"),
        EXPERIMENT.replace("count: 2", "count: -1"),
        EXPERIMENT.replace("name: digits", "name: digits\n  name: letters"),
        EXPERIMENT.replace("name: digits", "name: \"digits\\r\\nX-Header: a\""),
        format!("{EXPERIMENT}---\n{EXPERIMENT}"),
    ] {
        let answer = manager.post(EXPERIMENTS, TOKEN, &json!({ "name": "digits", "source": source })).await;
        assert_eq!(answer.problem(422), "invalid", "{}", &source[..source.len().min(300)]);
    }
    assert_eq!(project.pull_requests(), 0);
    opened(&manager.post(EXPERIMENTS, TOKEN, &digits()).await, false);
}

#[tokio::test]
async fn experiments_and_trials_are_cancelled_by_pull_requests() {
    let project = Project::new();
    let manager = start(&project).await;
    let number = opened(&manager.post(EXPERIMENTS, TOKEN, &digits()).await, false);
    project.merge(number);
    let jobs: Vec<String> = project
        .files("main")
        .into_iter()
        .filter_map(|file| Some(file.strip_prefix("overlays/local/training-jobs/")?.strip_suffix(".yaml")?.to_owned()))
        .filter(|name| name != "kustomization")
        .collect();
    assert_eq!(jobs.len(), 2, "{jobs:?}");

    let trial = format!("/api/v1/trials/{}/cancel", jobs[0]);
    let one = manager.post(&trial, TOKEN, &json!({})).await;
    let number = opened(&one, false);
    Document::of(&manager).await.check("POST", "/api/v1/trials/{name}/cancel", &one);
    assert_eq!(one.json()["title"], format!("Cancel {} (1 TrainJob)", jobs[0]));
    let files = project.files(&format!("refs/pull/{number}/head"));
    assert!(!files.contains(&format!("overlays/local/training-jobs/{}.yaml", jobs[0])), "{files:?}");
    assert!(project.record(number)["body"].as_str().unwrap().starts_with("Asked for by"));
    assert_eq!(opened(&manager.post(&trial, TOKEN, &json!({})).await, true), number);

    let all = manager.post("/api/v1/experiments/digits/cancel", TOKEN, &json!({ "environment": "local" })).await;
    assert_ne!(opened(&all, false), number);
    assert_eq!(all.json()["title"], "Cancel digits (2 TrainJobs)");

    let at = async |path: String, body: Value| manager.post(&path, TOKEN, &body).await;
    for (path, body, status, kind) in [
        ("/api/v1/trials/digits/cancel".to_owned(), json!({}), 404, "unknown-trial"),
        (format!("/api/v1/experiments/{}/cancel", jobs[0]), json!({}), 404, "unknown-experiment"),
        ("/api/v1/experiments/none/cancel".to_owned(), json!({}), 404, "unknown-thing-to-cancel"),
        ("/api/v1/experiments/%2e%2e%2fdigits/cancel".to_owned(), json!({}), 404, "unknown-thing-to-cancel"),
        ("/api/v1/experiments/digits/cancel".to_owned(), json!({ "environment": "mars" }), 422, "invalid"),
    ] {
        assert_eq!(at(path.clone(), body).await.problem(status), kind, "{path}");
    }
    assert_eq!(project.pull_requests(), 3);
}

#[rstest]
#[case("0123456789abcdef-of-this-manages")]
#[case("0123456789abcdef")]
#[case("0123456789abcdef-of-this-manager0")]
#[tokio::test]
async fn another_token_opens_nothing(#[case] token: &str) {
    let project = Project::new();
    let manager = start(&project).await;
    let answer = manager.post(EXPERIMENTS, token, &digits()).await;
    assert_eq!(answer.problem(401), "unauthorized");
    assert!(!answer.text.contains(TOKEN), "{answer:?}");
    assert_eq!(project.pull_requests(), 0);
}

#[tokio::test]
async fn the_token_can_be_changed_and_a_short_one_is_none() {
    let project = Project::new();
    let manager = start(&project).await;
    project.write_token("another-token-of-32-characters-!");
    assert_eq!(
        manager.post(EXPERIMENTS, TOKEN, &digits()).await.problem(503),
        "forge-unavailable",
        "it cannot be sent"
    );
    project.write_token("short");
    assert_eq!(manager.post(EXPERIMENTS, "short", &digits()).await.problem(503), "forge-unavailable");
    project.write_token("another-token-of-32-characters-a");
    assert_eq!(manager.post(EXPERIMENTS, TOKEN, &digits()).await.problem(401), "unauthorized");
    opened(&manager.post(EXPERIMENTS, "another-token-of-32-characters-a", &digits()).await, false);
}

/// People by their tokens, as a forge knows them.
struct People(Project);

impl Writers for People {
    fn sign_in<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Writer, Denied>> {
        Box::pin(async move {
            let login = match token.secret() {
                "token-of-ann" => "ann`</details>@octo/team",
                "token-of-bob" => return Err(Denied::Forbidden("bob may only read".to_owned())),
                "token-of-nobody" => return Err(Denied::Unavailable("the forge is away".to_owned())),
                _ => return Err(Denied::Unknown("nobody has this token".to_owned())),
            };
            let holder = self.0.writers("cache.git").unwrap();
            let writer = holder.sign_in(&Token::read(TOKEN).unwrap()).await?;
            Ok(Writer { who: Who::Login(login.to_owned()), ..writer })
        })
    }
}

#[tokio::test]
async fn who_asked_is_said_where_it_has_no_effect() {
    let people = Arc::new(People(Project::new()));
    let writers: Arc<dyn Writers> = Arc::clone(&people) as _;
    let manager = Manager::start(Setup { writers: Some(writers), ..Setup::default() }).await;
    for (token, status, kind) in [
        ("token-of-bob", 403, "forbidden"),
        ("token-of-nobody", 503, "forge-unavailable"),
        ("token-of-eve", 401, "unauthorized"),
    ] {
        assert_eq!(manager.post(EXPERIMENTS, token, &digits()).await.problem(status), kind);
    }
    let number = opened(&manager.post(EXPERIMENTS, "token-of-ann", &digits()).await, false);
    let body = people.0.record(number)["body"].as_str().unwrap().to_owned();
    let line = body.lines().next().unwrap();
    assert_eq!(line, "Asked for by ``ann`</details>@octo/team``, through Slipway's training manager.");
}

#[test]
fn who_asked_is_logged_and_no_token_is() {
    let wrong = "0123456789abcdef-of-somebody-else";
    let text = logged(async move {
        let project = Project::new();
        let manager = start(&project).await;
        assert_eq!(manager.post(EXPERIMENTS, wrong, &digits()).await.status, 401);
        opened(&manager.post(EXPERIMENTS, TOKEN, &digits()).await, false);
        manager.publish.send_replace(Arc::new(Trainings::default()));
        manager.stop().await;
    });
    let line = text.lines().find(|line| line.contains("\"event\":\"pull_request\"")).expect("it is not logged");
    let line: Value = serde_json::from_str(line).unwrap();
    let fields = &line["fields"];
    assert_eq!((&fields["who"], &fields["asked"]), (&json!(USER), &json!("experiment digits")));
    assert_eq!((&fields["number"], &fields["existed"]), (&json!(1), &json!(false)));
    // hyper's client, which is the test's own, may trace what it sends; the service's side must not
    let of_service =
        |line: &&str| !line.contains("\"target\":\"hyper_util::client") && !line.contains("\"target\":\"reqwest");
    for token in [TOKEN, wrong] {
        let shown: Vec<&str> = text.lines().filter(of_service).filter(|line| line.contains(token)).collect();
        assert!(shown.is_empty(), "{shown:?}");
    }
}
