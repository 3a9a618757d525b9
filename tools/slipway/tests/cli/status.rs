//! `slipway status` and a loop whose state folder this test holds; MLflow and the model server are stubs.

use std::net::TcpListener;

use serde_json::{Value, json};
use slipway_embedded::{State, StateFolder};
use wiremock::matchers::{method, path, path_regex};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::project::{EXPERIMENT, Project, Ran};

const COMPLETE: &str = "phase: Complete
conditions:
- {type: Complete, status: 'True', reason: AllJobsCompleted, message: all are done, lastTransitionTime: '2026-11-28T12:00:00Z'}
jobsStatus: []
";

/// MLflow with version 1 of the model `mnist`, and with two jobs that registered nothing.
pub(crate) async fn mlflow() -> MockServer {
    mlflow_with(&json!({
        "name": "mnist", "version": "1", "status": "READY", "run_id": "r", "source": "models:/m",
        "tags": [{"key": "slipway.accuracy", "value": "0.97"}, {"key": "slipway.trainjob", "value": "digits-0123abcd"}]
    }))
    .await
}

/// The same with another version.
async fn mlflow_with(version: &Value) -> MockServer {
    let stub = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "model_versions": [version] }));
    Mock::given(method("GET")).and(path_regex("model-versions/search$")).respond_with(answer).mount(&stub).await;
    let experiments = ResponseTemplate::new(200).set_body_json(json!({ "experiments": [{ "experiment_id": "7" }] }));
    Mock::given(method("GET")).and(path_regex("experiments/search$")).respond_with(experiments).mount(&stub).await;
    let run = |job: &str, tags: &[(&str, &str)]| {
        let tags = tags.iter().copied().chain([("slipway.trainjob", job)]);
        let tags: Vec<Value> = tags.map(|(key, value)| json!({ "key": key, "value": value })).collect();
        json!({ "info": { "run_id": job, "experiment_id": "7", "status": "FINISHED" }, "data": { "tags": tags } })
    };
    let unmet = r#"[{"metric":"accuracy","value":0.9443,"bound":">= 0.95"}]"#;
    let runs = json!({ "runs": [
        run("refused-0123abcd", &[("slipway.gate", "refused"), ("slipway.gate-unmet", unmet)]),
        run("not-asked-0123abcd", &[("slipway.gate", "none")]),
    ]});
    let runs = ResponseTemplate::new(200).set_body_json(runs);
    Mock::given(method("POST")).and(path_regex("runs/search$")).respond_with(runs).mount(&stub).await;
    stub
}

/// Makes a state folder that says that a loop is ready, as long as what is returned is held.
pub(crate) fn publish(project: &Project, folder: &std::path::Path, mlflow: &str, server: &str) -> StateFolder {
    let nobody = "http://127.0.0.1:9";
    let held = StateFolder::take(folder, false).unwrap();
    let state = State {
        pid: std::process::id(),
        s3: nobody.to_owned(),
        mlflow: mlflow.to_owned(),
        server: server.to_owned(),
        manager: nobody.to_owned(),
        monitor: nobody.to_owned(),
        page: nobody.to_owned(),
        kubeconfig: folder.join("kubeconfig"),
        forge: project.forge().into(),
    };
    state.publish(&held).unwrap();
    held
}

/// Runs `slipway status` for a ready loop. There is a proxy, as some users have it, and nothing answers there.
fn status(project: &Project, mlflow: &str, server: &str, output: &str) -> Ran {
    status_with(project, mlflow, server, &["status", "-o", output])
}

fn status_text(project: &Project, mlflow: &str, server: &str) -> String {
    status_with(project, mlflow, server, &["status"]).text()
}

fn status_with(project: &Project, mlflow: &str, server: &str, arguments: &[&str]) -> Ran {
    let nobody = "http://127.0.0.1:9";
    let _held = publish(project, &project.root().join(".slipway"), mlflow, server);
    for job in ["digits-0123abcd", "refused-0123abcd", "not-asked-0123abcd"] {
        let folder = project.root().join(".slipway/jobs").join(job);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("status.yaml"), COMPLETE).unwrap();
    }
    project.run_with(arguments, |command| {
        command.env_remove("NO_PROXY").env_remove("no_proxy");
        for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(variable, nobody);
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_asked_for_without_a_proxy() {
    let (mlflow, server) = (mlflow().await, MockServer::start().await);
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "name": "mnist", "versions": ["1", "2"] }));
    Mock::given(method("GET")).and(path("/v2/models/mnist")).respond_with(answer).mount(&server).await;
    let ran = status(&Project::new(), &mlflow.uri(), &server.uri(), "json");
    assert_eq!(ran.code(), 0, "{}", ran.errors());
    assert_eq!(ran.json()["running"], true);
    let expected = json!([
        { "model": "mnist", "version": "1", "accuracy": 0.97, "trial": "digits-0123abcd", "served": true }
    ]);
    assert_eq!(ran.json()["versions"], expected, "{}", ran.errors());
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_the_loop_lacks_is_said_before_the_merge() {
    // a program's code is not in its experiment
    for (project, file) in
        [(Project::new(), "experiments/digits.yaml"), (crate::programs::project(), "experiments/fashion.yaml")]
    {
        let objects = project.top().join("../s3");
        std::fs::create_dir_all(objects.join("datasets/manifests/sha256")).unwrap();
        let store = slipway_object_store::serve(&objects).await;
        let folder = project.root().join(".slipway");
        let held = StateFolder::take(&folder, false).unwrap();
        let nobody = || "http://127.0.0.1:9".to_owned();
        let state = State {
            pid: std::process::id(),
            s3: store,
            mlflow: nobody(),
            server: nobody(),
            manager: nobody(),
            monitor: nobody(),
            page: nobody(),
            kubeconfig: folder.join("kubeconfig"),
            forge: project.forge().into(),
        };
        state.publish(&held).unwrap();
        let (access_key, secret_key) = slipway_object_store::KEYS;
        let keys = json!({ "accessKey": access_key, "secretKey": secret_key });
        std::fs::write(folder.join("credentials.json"), keys.to_string()).unwrap();

        let commands = [&["propose", file, "--dry-run"][..], &["plan", file], &["new", "more"]];
        let dataset = project.read("datasets/ten.yaml");
        let says = "the data of ten is not in the store of the loop that runs here: run `slipway dataset add datasets/ten.yaml` before the merge";
        for command in commands {
            let lacks = project.run(command);
            assert!(lacks.code() == 0 && lacks.errors().contains(says), "{command:?}: {lacks:?}");
        }
        std::fs::remove_file(project.root().join("experiments/more.yaml")).unwrap();
        let digest = dataset.split("sha256:").nth(1).unwrap()[..64].to_owned();
        std::fs::write(objects.join("datasets/manifests/sha256").join(format!("{digest}.json")), "{}").unwrap();
        for command in commands {
            let has = project.run(command);
            assert_eq!((has.code(), has.errors().as_str()), (0, ""), "{command:?}: {has:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_no_server_runs_is_marked_and_says_why() {
    let reason = "it does not take tensors";
    let tags = json!([{"key": "slipway.flavor", "value": "sklearn"}, {"key": "slipway.unservable", "value": reason}]);
    let version = json!({ "name": "forest", "version": "1", "status": "READY", "source": "models:/m", "tags": tags });
    let mlflow = mlflow_with(&version).await;
    let project = Project::new();
    let _held = publish(&project, &project.root().join(".slipway"), &mlflow.uri(), "http://127.0.0.1:9");
    let text = project.run(&["status"]).text();
    assert!(text.contains("cannot be served") && text.contains(reason), "{text}");
    assert_eq!(project.run(&["status", "-o", "json"]).json()["versions"][0]["unservable"], reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_whose_state_is_elsewhere_is_found_there() {
    let (project, mlflow) = (Project::new(), mlflow().await);
    let elsewhere = project.root().join("../state");
    let folder = elsewhere.display().to_string();
    let none = project.run(&["status", "--state", &folder]);
    assert!(none.code() == 3 && none.errors().contains("slipway up --state"), "{none:?}");
    let _held = publish(&project, &elsewhere, &mlflow.uri(), "http://127.0.0.1:9");
    assert_eq!(project.run(&["status", "-o", "json"]).json()["running"], false);
    assert_eq!(project.run(&["status", "--state", &folder, "-o", "json"]).json()["versions"][0]["version"], "1");
    let promoted = project.run(&["promote", "mnist", "--state", &folder, "--version", "2"]);
    assert!(promoted.code() == 3 && promoted.errors().contains("it has: 1"), "{promoted:?}");
    let proposed = project.run(&["propose", "experiments/digits.yaml", "--state", &folder, "-o", "json"]);
    assert_eq!(proposed.json()["pullRequest"]["number"], 1, "{proposed:?}");

    // what is merged there runs there, and is nothing to start
    let forge = project.forge();
    crate::project::git(std::path::Path::new(&forge), &["update-ref", "refs/heads/main", "refs/pull/1/head"]);
    let here = project.run(&["plan", "-o", "json"]).json();
    assert_eq!((here["changes"][0]["starts"].as_array().unwrap().len(), &here["comparedWith"]), (2, &json!("HEAD")));
    // a loop that does not run now
    std::fs::create_dir_all(project.root().join(".slipway")).unwrap();
    std::os::unix::fs::symlink(&forge, project.root().join(".slipway/forge.git")).unwrap();
    let stopped = project.run(&["plan", "-o", "json"]);
    assert_eq!(stopped.json()["comparedWith"], "HEAD", "{stopped:?}");
    let warning = "HEAD lacks what was merged in the loop's forge; `git pull ";
    assert!(stopped.errors().contains(warning), "{stopped:?}");
    let checked = project.run(&["check"]);
    let says = "experiments/digits.yaml has started on the loop's main in local (2 TrainJobs): `git pull --ff-only ";
    assert!(checked.code() == 0 && checked.text().contains(says), "{checked:?}");
    assert_eq!(project.run(&["check", "-o", "json"]).json()["drafts"][0]["state"], "startedOnMain");
    let there = project.run(&["plan", "--state", &folder]);
    assert!(
        there.text().contains("nothing to do") && there.text().contains("compared with main of the loop"),
        "{there:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_merged_and_not_applied_yet_is_said_so() {
    let (mlflow, server) = (mlflow().await, MockServer::start().await);
    let project = Project::new();
    let forge = project.forge();
    let before = project.git(&["rev-parse", "HEAD"]);
    let state = project.root().join(".slipway");
    let ran = status(&project, &mlflow.uri(), &server.uri(), "json");
    assert_eq!(ran.json()["main"], json!({ "commit": before, "applied": null, "waiting": [] }), "{ran:?}");

    // as the loop records it, then a merge
    std::fs::write(state.join("applied"), &before).unwrap();
    assert_eq!(project.run(&["render"]).code(), 0);
    let names: Vec<String> = project.list("overlays/local/training-jobs").iter().map(|file| name(file)).collect();
    project.git(&["add", "overlays"]);
    project.git(&["commit", "--quiet", "-m", "jobs"]);
    project.git(&["push", "--quiet", &forge, "HEAD:main"]);
    let merged = project.git(&["rev-parse", "HEAD"]);
    let ran = status(&project, &mlflow.uri(), &server.uri(), "json");
    let expected = json!({ "commit": merged, "applied": before, "waiting": names });
    assert_eq!(ran.json()["main"], expected, "{ran:?}");
    let text = status_text(&project, &mlflow.uri(), &server.uri());
    assert!(text.contains(&format!("main    {}; the loop is still at {}", &merged[..8], &before[..8])), "{text}");
    assert!(text.contains("2 TrainJobs on main have not started yet: "), "{text}");

    std::fs::write(state.join("applied"), &merged).unwrap();
    let text = status_text(&project, &mlflow.uri(), &server.uri());
    assert!(text.contains(&format!("main    {}, applied\n", &merged[..8])), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_says_what_it_runs_and_what_it_may_cost() {
    let (mlflow, server) = (mlflow().await, MockServer::start().await);
    let project = crate::programs::project();
    assert_eq!(project.run(&["render"]).code(), 0);
    project.commit("rendered");
    project.git(&["push", "--quiet", &project.forge(), "HEAD:main"]);
    let job = name(&project.list("overlays/local/training-jobs")[0]);
    // the first call makes the state folder
    assert_eq!(status(&project, &mlflow.uri(), &server.uri(), "json").code(), 0);
    let folder = project.root().join(".slipway/jobs").join(&job);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("status.yaml"), COMPLETE).unwrap();
    let ran = status(&project, &mlflow.uri(), &server.uri(), "json");
    let jobs = ran.json()["jobs"].as_array().unwrap().clone();
    let found = jobs.iter().find(|one| one["name"] == job.as_str()).unwrap();
    assert_eq!(found["program"], "trainers/torch-cnn");
    let rate = found["parameters"]["parameters.lr"].as_f64().unwrap();
    assert_eq!((found["cpuHours"].as_f64(), found["gpuHours"].as_f64()), (Some(1.0), Some(1.0)));
    assert_eq!((found["cost"].as_f64(), &found["currency"]), (Some(2.5), &json!("EUR")));
    // one that is no longer on main
    let gone = jobs.iter().find(|one| one["name"] == "refused-0123abcd").unwrap();
    assert_eq!((&gone["program"], &gone["cost"]), (&Value::Null, &Value::Null));
    let text = status_text(&project, &mlflow.uri(), &server.uri());
    assert!(text.contains(&format!("trainers/torch-cnn lr={rate}")), "{text}");
    assert!(text.contains("1 CPU-hour and 1 GPU-hour, 2.50 EUR"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_requests_that_wait_for_a_merge_are_listed_with_a_loop_and_without() {
    let (mlflow, server) = (mlflow().await, MockServer::start().await);
    let project = Project::new();
    let forge = project.forge();
    let ask = |arguments: &[&str]| {
        let ran = project.run(&[arguments, &["--remote", &forge, "-o", "json"]].concat());
        assert_eq!(ran.code(), 0, "{arguments:?}: {ran:?}");
        ran.json()
    };
    for (number, epochs, more) in [(1, "3", vec![]), (2, "2", vec!["--draft", "--label", "urgent"]), (3, "1", vec![])] {
        project.write("experiments/digits.yaml", &EXPERIMENT.replace("epochs: 3", &format!("epochs: {epochs}")));
        let opened = ask(&[&["propose", "experiments/digits.yaml"][..], &more[..]].concat());
        assert_eq!(opened["pullRequest"]["number"], number, "{opened}");
    }
    ask(&["close", "3"]);
    let title = "Train digits (2 TrainJobs)";
    let first = json!([1, title, false, ["train"]]);
    let draft = json!([2, title, true, ["train", "urgent"]]);
    let listed = |ran: &Ran| -> Vec<Value> {
        let listed = ran.json()["pullRequests"].as_array().unwrap().clone();
        listed.iter().map(|one| json!([one["number"], one["title"], one["isDraft"], one["labels"]])).collect()
    };

    // without a loop those of the remote origin, whose path begins at the top of the work tree, wherever the command runs
    project.git(&["remote", "add", "origin", "../forge.git"]);
    let ran = project.run_with(&["status", "-o", "json"], |command| {
        command.current_dir(project.root().join("experiments"));
    });
    assert_eq!((ran.json()["running"].clone(), listed(&ran)), (json!(false), vec![first.clone(), draft.clone()]));
    // those of the loop's forge
    let ran = status(&project, &mlflow.uri(), &server.uri(), "json");
    assert_eq!((ran.json()["running"].clone(), listed(&ran)), (json!(true), vec![first, draft.clone()]), "{ran:?}");
    let text = status_text(&project, &mlflow.uri(), &server.uri());
    assert!(text.contains(&format!("{title} (draft)")) && text.contains("#1") && !text.contains("#3"), "{text}");
    ask(&["merge", "1"]);
    assert_eq!(listed(&status(&project, &mlflow.uri(), &server.uri(), "json")), [draft]);
}

/// The name of the job in a rendered file.
fn name(file: &str) -> String {
    file.rsplit('/').next().unwrap().strip_suffix(".yaml").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_server_is_not_one_that_serves_nothing() {
    let (mlflow, nothing, broken) = (mlflow().await, MockServer::start().await, MockServer::start().await);
    let refusal = ResponseTemplate::new(500).set_body_json(json!({ "error": "a worker panicked" }));
    Mock::given(method("GET")).respond_with(refusal).mount(&broken).await;
    // it takes connections and never answers
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let project = Project::new();
    for (server, served, says) in [
        (nothing.uri(), json!(false), ""),
        (broken.uri(), Value::Null, "a worker panicked"),
        (silent_url, Value::Null, "does not answer"),
        ("http://127.0.0.1:9".to_owned(), Value::Null, "Connection refused"),
    ] {
        let ran = status(&project, &mlflow.uri(), &server, "json");
        let errors = ran.errors();
        assert_eq!(ran.code(), 0, "{errors}");
        assert_eq!(ran.json()["versions"][0]["served"], served, "{server}: {errors}");
        assert!(errors.contains(says), "{server}: {errors}");
        assert_eq!(errors.contains("what is served is unknown"), served.is_null(), "{server}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_says_why_it_registered_nothing() {
    let (mlflow, server) = (mlflow().await, MockServer::start().await);
    let project = Project::new();
    let ran = status(&project, &mlflow.uri(), &server.uri(), "json");
    assert_eq!(ran.code(), 0, "{}", ran.errors());
    let reasons: Vec<(Value, Value)> = ran.json()["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["name"].clone(), job["unregistered"].clone()))
        .collect();
    let unmet = json!([{ "metric": "accuracy", "value": 0.9443, "bound": ">= 0.95" }]);
    assert_eq!(
        reasons,
        [
            (json!("digits-0123abcd"), Value::Null),
            (json!("not-asked-0123abcd"), json!({ "because": "notAsked" })),
            (json!("refused-0123abcd"), json!({ "because": "gateRefused", "unmet": unmet })),
        ]
    );
    let ran = status(&project, &mlflow.uri(), &server.uri(), "text");
    let text = ran.text();
    for line in [
        "the gate refused the model: accuracy is 0.9443, but >= 0.95 is required",
        "registered nothing: the experiment has no spec.register",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
