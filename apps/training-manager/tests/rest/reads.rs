//! What is read from the newest state.

use std::sync::Arc;

use serde_json::{Value, json};
use slipway_training_manager::view::Trainings;
use slipway_training_manager::waiting::What;

use crate::manager::{Answer, Manager, by_name, running, trainings};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|trial| trial["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn experiments_are_listed_without_their_sources_and_shown_with_them() {
    let manager = Manager::with_trials().await;
    let all = manager.get("/api/v1/experiments").await.fine();
    assert_eq!(names(&all["experiments"]), ["digits", "letters"]);
    assert!(all["experiments"][0].get("source").is_none());
    assert_eq!(all["experiments"][0]["states"], json!({ "running": 1 }));
    let one = manager.get("/api/v1/experiments/digits").await.fine();
    assert_eq!(one["source"], "apiVersion: slipway.dev/v1alpha1\n");
    assert_eq!(names(&one["trials"]).len(), 4);
    assert_eq!(manager.get("/api/v1/experiments/none").await.problem(404), "unknown-experiment");
}

#[tokio::test]
async fn trials_are_filtered_and_come_in_parts() {
    let manager = Manager::with_trials().await;
    for (query, expected) in [
        (
            "",
            &[
                "letters-00000004",
                "digits-00000003",
                "digits-00000001",
                "digits-00000002",
                "letters-00000006",
                "digits-00000005",
            ][..],
        ),
        ("?experiment=letters", &["letters-00000004", "letters-00000006"]),
        ("?state=finished", &["digits-00000002", "digits-00000005"]),
        ("?state=finished&archived=false", &["digits-00000002"]),
        ("?archived=true", &["digits-00000005"]),
        ("?environment=staging", &["letters-00000006"]),
        ("?environment=nowhere", &[]),
        ("?experiment=%27%20OR%201%3D1", &[]),
    ] {
        let found = manager.get(&format!("/api/v1/trials{query}")).await.fine();
        assert_eq!((names(&found["trials"]), &found["next"]), (expected.to_vec(), &Value::Null), "{query}");
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let part = manager.get(&format!("/api/v1/trials?limit=2{after}")).await.fine();
        seen.extend(names(&part["trials"]).into_iter().map(str::to_owned));
        match part["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    let history = manager.get("/api/v1/history?experiment=digits").await.fine();
    assert_eq!((names(&history["records"]), &history["records"][0]["version"]), (vec!["digits-00000005"], &json!(3)));
    assert_eq!(manager.get("/api/v1/history?experiment=letters").await.fine()["records"], json!([]));
}

#[tokio::test]
async fn a_trial_is_what_the_newest_state_says() {
    let manager = Manager::with_trials().await;
    let trial = manager.get("/api/v1/trials/digits-00000001").await.fine();
    assert_eq!((&trial["state"], &trial["progress"]["percent"]), (&json!("running"), &json!(40)));
    assert_eq!(trial["metrics"], json!({ "loss": 0.25, "diverged": null }), "JSON has no NaN");
    let hostile = manager.get("/api/v1/trials/digits-00000003").await;
    assert!(hostile.fine()["reason"].as_str().unwrap().starts_with("<script>"));
    assert_eq!(
        (hostile.header("content-type"), hostile.header("x-content-type-options")),
        ("application/json", "nosniff")
    );
    assert!(hostile.header("content-security-policy").contains("default-src 'none'"));
    assert_eq!(manager.get("/api/v1/trials/none").await.problem(404), "unknown-trial");

    let late = Trainings { trials: by_name([running("late-00000001")]), archived: Arc::default(), ..trainings() };
    manager.publish.send_replace(Arc::new(late));
    assert_eq!(names(&manager.get("/api/v1/trials").await.fine()["trials"]), ["late-00000001"]);
}

#[tokio::test]
async fn an_answer_that_has_not_changed_is_not_sent_again() {
    let manager = Manager::with_trials().await;
    let first = manager.get("/api/v1/trials").await;
    let tag = first.header("etag").to_owned();
    assert_eq!(first.header("cache-control"), "no-cache");
    let ask = |tag: String| Answer::of(manager.request("GET", "/api/v1/trials").header("if-none-match", tag));
    for same in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = ask(same).await;
        assert_eq!((again.status.as_u16(), again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
    }
    let head = Answer::of(manager.request("HEAD", "/api/v1/trials")).await;
    assert_eq!((head.status.as_u16(), head.header("etag"), head.text.as_str()), (200, tag.as_str(), ""));
    manager.publish.send_replace(Arc::new(Trainings { trials: by_name([running("late-00000001")]), ..trainings() }));
    assert_eq!(ask(tag).await.status, 200);
}

#[tokio::test]
async fn the_summary_and_the_probes_say_how_things_are() {
    let manager = Manager::with_trials().await;
    let summary = manager.get("/api/v1/summary").await.fine();
    assert_eq!(summary["environment"], "local");
    assert_eq!(summary["commit"], "0123456789012345678901234567890123456789");
    let states = json!({ "waiting": 1, "running": 1, "finished": 1, "refused": 1, "failed": 1 });
    assert_eq!((&summary["states"], &summary["leader"]), (&states, &json!(true)));
    manager.leader.send_replace(false);
    assert_eq!(manager.get("/api/v1/summary").await.fine()["leader"], false);

    assert_eq!(manager.get("/readyz").await.text, "ready\n");
    let missing = [(What::Repository, "the repository is away"), (What::Mlflow, "MLflow is away: start it")];
    manager.missing.send_replace(missing.map(|(what, why)| (what, why.to_owned())).into());
    let unready = manager.get("/readyz").await;
    assert_eq!(unready.problem(503), "not-ready");
    assert_eq!(unready.json()["detail"], "the repository is away · MLflow is away: start it");
    assert!(manager.get("/metrics").await.text.contains("slipway_manager_ready 0\n"));
    manager.get("/api/v1/trials").await.fine();
    assert_eq!(manager.get("/healthz").await.text, "ok\n");
}

#[tokio::test]
async fn what_is_not_known_yet_does_not_look_as_if_it_did_not_exist() {
    let manager = Manager::with_trials().await;
    let _ = manager.read.send_replace(Err("git has not been read yet".to_owned()));
    for (method, path) in [
        ("GET", "/api/v1/trials"),
        ("GET", "/api/v1/trials/none"),
        ("GET", "/api/v1/events"),
        ("POST", "/api/v1/experiments"),
    ] {
        let answer = Answer::of(manager.request(method, path)).await;
        assert_eq!(answer.problem(503), "not-ready", "{path}");
        assert_eq!(
            (&answer.json()["detail"], answer.header("retry-after")),
            (&json!("git has not been read yet"), "5")
        );
    }
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(manager.get(path).await.status, 200, "{path}");
    }
    manager.read.send_replace(Ok(())).unwrap_err();
    assert_eq!(manager.get("/api/v1/trials/none").await.problem(404), "unknown-trial");
}

#[tokio::test]
async fn metrics_are_those_of_the_newest_state_and_of_the_loops() {
    let manager = Manager::with_trials().await;
    manager.metrics.merge_to_first_step.observe(42.0);
    manager.metrics.report_writes.inc();
    manager.get("/api/v1/trials/none").await;
    for round in 0..2 {
        let text = manager.get("/metrics").await.text;
        for line in [
            "slipway_jobs{state=\"running\"} 1",
            "slipway_jobs{state=\"cancelled\"} 0",
            "slipway_experiment_cpu_hours{experiment=\"digits\"} 1.5",
            "slipway_merge_to_first_step_seconds_bucket{le=\"60\"} 1",
            "slipway_merge_to_first_step_seconds_count 1",
            "slipway_report_writes_total 1",
            "slipway_leader 1",
            "slipway_manager_ready 1",
            "slipway_manager_streams{kind=\"events\"} 0",
            "slipway_manager_requests_total{code=\"404\",operation=\"getTrial\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{round}: {line}: {text}");
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}
