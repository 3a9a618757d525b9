//! Setting a cluster up: in order, once, and never over what exists.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};
use slipway_cluster::{
    Bootstrap, Credential, DynamicObject, Error, Event, Expected, Goal, JobsPolicy, Options, Outcome, Step, Template,
    TrainingJobs, bootstrap,
};

use crate::server::Api;

const SECRET: &str = "/api/v1/namespaces/db/secrets/db";
const WEB: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web";
const ARGOCD: &str = "/apis/apps/v1/namespaces/argocd/deployments/argocd-server";

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn content() -> Bootstrap {
    let application = object(
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "root", "namespace": "argocd"}}),
    );
    let project = object(
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "root", "namespace": "argocd"}}),
    );
    let deployment = object(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "argocd-server", "namespace": "argocd"}}),
    );
    let definition = object(
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "applications.argoproj.io"},
        "spec": {"group": "argoproj.io", "names": {"kind": "Application"}}}),
    );
    Bootstrap {
        environment: "local".to_owned(),
        argocd_namespace: "argocd".to_owned(),
        namespaces: vec![object(namespace("argocd")), object(namespace("db"))],
        credentials: vec![Credential {
            namespace: "db".to_owned(),
            name: "db".to_owned(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            data: [
                ("user".to_owned(), Template::parse("slipway").unwrap()),
                ("password".to_owned(), Template::parse("${db}").unwrap()),
            ]
            .into(),
        }],
        argocd: vec![deployment, definition],
        root: vec![application, project],
        applications: vec![
            Expected { name: "root".to_owned(), goal: Goal::Synced, needs_registry: false },
            Expected { name: "web".to_owned(), goal: Goal::Healthy, needs_registry: false },
        ],
        jobs: None,
    }
}

fn options() -> Options {
    Options { dry_run: false, adopt: false, timeout: Duration::from_secs(20), jobs: JobsPolicy::Keep }
}

/// A server whose controllers do their work at once.
fn api() -> Api {
    let api = Api::default();
    {
        let mut state = api.0.lock().unwrap();
        state.controllers.insert("Deployment".to_owned(), json!({"updatedReplicas": 1, "availableReplicas": 1}));
        state.controllers.insert(
            "CustomResourceDefinition".to_owned(),
            json!({"conditions": [{"type": "Established", "status": "True"}]}),
        );
        state.controllers.insert("Application".to_owned(), well());
    }
    api.put(WEB, json!({"metadata": {"name": "web", "namespace": "argocd"}, "status": well()}));
    api
}

fn well() -> Value {
    json!({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}})
}

#[tokio::test]
async fn everything_is_created_in_order_and_once() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let report = bootstrap(&cluster, &content(), options(), &|_| {}).await.unwrap();
    assert_eq!(report.components.len(), 2);
    assert_eq!(
        api.writes(),
        [
            "PATCH /api/v1/namespaces/argocd",
            "PATCH /api/v1/namespaces/db",
            "PATCH /api/v1/namespaces/argocd",
            "POST /api/v1/namespaces/db/secrets/db",
            "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io",
            "PATCH /apis/apps/v1/namespaces/argocd/deployments/argocd-server",
            "PATCH /apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects/root",
            "PATCH /apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root",
        ]
    );
    let before = api.object(SECRET).unwrap();
    assert_eq!(before["data"]["user"], "c2xpcHdheQ==");
    assert_eq!(before["metadata"]["labels"]["a"], "b");

    let report = bootstrap(&cluster, &content(), options(), &|_| {}).await.unwrap();
    assert!(report.steps.iter().all(|(_, _, sum)| sum.created + sum.changed == 0), "{report:?}");
    assert_eq!(api.object(SECRET).unwrap(), before);
    assert!(!api.writes().iter().any(|write| write.contains("secrets")));
}

#[tokio::test]
async fn only_missing_keys_are_added_to_a_secret() {
    let api = api();
    api.put(
        SECRET,
        json!({"kind": "Secret", "metadata": {"name": "db", "resourceVersion": "7"}, "data": {"password": "bWluZQ=="}}),
    );
    let (_server, cluster) = api.start().await;
    bootstrap(&cluster, &content(), options(), &|_| {}).await.unwrap();
    assert_eq!(api.object(SECRET).unwrap()["data"], json!({"password": "bWluZQ==", "user": "c2xpcHdheQ=="}));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_would_change() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let applied = Mutex::new(Vec::new());
    let on_event = |event| {
        if let Event::Applied(_, what, outcome) = event {
            applied.lock().unwrap().push((what, outcome));
        }
    };
    bootstrap(&cluster, &content(), Options { dry_run: true, ..options() }, &on_event).await.unwrap();
    assert_eq!(api.writes(), [""; 0]);
    let applied = applied.into_inner().unwrap();
    assert_eq!(applied.len(), 7);
    assert!(applied.iter().all(|(_, outcome)| *outcome == Outcome::Created), "{applied:?}");
    // and where one thing differs, that one
    bootstrap(&cluster, &content(), options(), &|_| {}).await.unwrap();
    let mut other = content();
    other.argocd[0].data["spec"] = json!({"paused": true});
    let changed = Mutex::new(Vec::new());
    let on_event = |event| {
        if let Event::Applied(_, what, Outcome::Changed | Outcome::Created) = event {
            changed.lock().unwrap().push(what);
        }
    };
    api.writes();
    bootstrap(&cluster, &other, Options { dry_run: true, ..options() }, &on_event).await.unwrap();
    assert_eq!(
        (changed.into_inner().unwrap(), api.writes()),
        (vec!["Deployment argocd/argocd-server".to_owned()], vec![])
    );
}

#[tokio::test]
async fn a_cluster_that_is_something_else_is_refused() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let mut other = namespace("argocd");
    other["metadata"]["annotations"] = json!({"slipway.dev/environment": "production"});
    api.put("/api/v1/namespaces/argocd", other);
    let error = bootstrap(&cluster, &content(), Options { adopt: true, ..options() }, &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Taken(text) if text.contains("`production`")), "{error}");

    api.put("/api/v1/namespaces/argocd", namespace("argocd"));
    api.put(
        "/apis/apps/v1/namespaces/argocd/statefulsets/argocd-application-controller",
        json!({"kind": "StatefulSet"}),
    );
    let error = bootstrap(&cluster, &content(), options(), &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Taken(text) if text.contains("--adopt")), "{error}");
    assert_eq!(api.writes(), [""; 0]);
    bootstrap(&cluster, &content(), Options { adopt: true, ..options() }, &|_| {}).await.unwrap();
}

#[tokio::test]
async fn an_interruption_is_survived_and_the_timeout_is_kept() {
    let api = api();
    let (_server, cluster) = api.start().await;
    // Argo CD's deployment does not come up, and its pod says why
    api.0.lock().unwrap().controllers.insert("Deployment".to_owned(), json!({}));
    let pod = json!({"kind": "Pod", "metadata": {"name": "argocd-server-1", "labels": {"app": "x"}}, "status": {"containerStatuses": [
        {"name": "server", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}});
    api.put("/api/v1/namespaces/argocd/pods/argocd-server-1", pod);
    let mut waits = content();
    waits.argocd[0].data["spec"] = json!({"selector": {"matchLabels": {"app": "x"}}});
    let quick = Options { timeout: Duration::from_millis(600), ..options() };
    let error = bootstrap(&cluster, &waits, quick, &|_| {}).await.unwrap_err().to_string();
    assert!(
        error.contains("Deployment argocd/argocd-server (0 of 1 available)") && error.contains("ImagePullBackOff"),
        "{error}"
    );

    // the server is away for a moment, and the deployment comes up: it continues
    api.set_status(ARGOCD, json!({"updatedReplicas": 1, "availableReplicas": 1}));
    api.0.lock().unwrap().controllers.remove("Deployment");
    let away = std::sync::atomic::AtomicBool::new(false);
    let on_event = |event| {
        if matches!(event, Event::Began(Step::Root)) && !away.swap(true, std::sync::atomic::Ordering::Relaxed) {
            api.0.lock().unwrap().away = 2;
        }
    };
    bootstrap(&cluster, &waits, options(), &on_event).await.unwrap();
}

#[tokio::test]
async fn an_application_that_stays_behind_is_named_with_its_reason() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let web = json!({"metadata": {"name": "web", "namespace": "argocd"}, "status": {"sync": {"status": "OutOfSync"},
        "health": {"status": "Missing"}, "conditions": [{"type": "ComparisonError", "message": "repository not found"}]}});
    api.put(WEB, web);
    let quick = Options { timeout: Duration::from_millis(600), ..options() };
    let error = bootstrap(&cluster, &content(), quick, &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("web (OutOfSync, Missing: repository not found)"), "{error}");
}

#[rstest]
#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for_at_every_request(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] at: usize) {
    let api = api();
    let (_server, cluster) = api.start().await;
    // away after the event of this number; among what comes next are the mark of the namespace, the Secret and the watches
    let events = AtomicUsize::new(0);
    let on_event = |event| {
        if matches!(event, Event::Began(_) | Event::Applied(..)) && events.fetch_add(1, Ordering::Relaxed) == at {
            api.0.lock().unwrap().away = 3;
        }
    };
    let report = bootstrap(&cluster, &content(), options(), &on_event).await.unwrap();
    assert_eq!((report.steps.len(), api.0.lock().unwrap().away), (6, 0));
}

#[tokio::test]
async fn an_api_server_that_stays_away_is_named() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let on_event = |event| {
        if matches!(event, Event::Began(Step::Credentials)) {
            api.0.lock().unwrap().away = usize::MAX;
        }
    };
    let quick = Options { timeout: Duration::from_millis(300), ..options() };
    let error = bootstrap(&cluster, &content(), quick, &on_event).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { waiting, .. } if waiting[0].contains("etcd is away")), "{error}");
}

#[tokio::test]
async fn a_login_that_ends_is_not_waited_for() {
    let api = api();
    let (_server, cluster) = api.start().await;
    for step in [Step::Namespaces, Step::Credentials, Step::ArgoCd, Step::Jobs, Step::Root, Step::Tree] {
        api.0.lock().unwrap().locked = false;
        let on_event = |event| {
            if matches!(event, Event::Began(began) if began == step) {
                api.0.lock().unwrap().locked = true;
            }
        };
        let error = bootstrap(&cluster, &content(), options(), &on_event).await.unwrap_err();
        assert!(matches!(&error, Error::Login { message, .. } if message.contains("the token has expired")), "{error}");
    }
}

#[rstest]
#[case::created(false)]
#[case::completed(true)]
#[tokio::test]
async fn what_someone_else_writes_into_a_secret_at_the_same_time_is_kept(#[case] exists: bool) {
    let api = api();
    let (_server, cluster) = api.start().await;
    if exists {
        api.put(SECRET, json!({"data": {}}));
    }
    let theirs = json!({"data": {"password": "dGhlaXJz"}});
    api.0.lock().unwrap().rivals.insert(SECRET.to_owned(), theirs);
    bootstrap(&cluster, &content(), options(), &|_| {}).await.unwrap();
    assert_eq!(api.object(SECRET).unwrap()["data"], json!({"password": "dGhlaXJz", "user": "c2xpcHdheQ=="}));
}

#[rstest]
#[tokio::test]
async fn workloads_and_applications_are_watched_until_they_are_well(#[values(false, true)] short_watches: bool) {
    let api = api();
    let (_server, cluster) = api.start().await;
    {
        let mut state = api.0.lock().unwrap();
        state.controllers.insert("Deployment".to_owned(), json!({}));
        state.short_watches = short_watches;
    }
    api.set_status(WEB, json!({"sync": {"status": "OutOfSync"}}));
    // each change is made because of the one before it was seen
    let rollout =
        Mutex::new(vec![json!({"updatedReplicas": 1, "availableReplicas": 1}), json!({"updatedReplicas": 1})]);
    let sync = Mutex::new(vec![well(), json!({"sync": {"status": "Synced"}, "health": {"status": "Progressing"}})]);
    let on_event = |event| {
        let next = match event {
            Event::Waiting(..) => rollout.lock().unwrap().pop().map(|status| (ARGOCD, status)),
            Event::Applications(_) => sync.lock().unwrap().pop().map(|status| (WEB, status)),
            _ => None,
        };
        if let Some((path, status)) = next {
            api.set_status(path, status);
        }
    };
    bootstrap(&cluster, &content(), options(), &on_event).await.unwrap();
    assert_eq!((rollout.into_inner().unwrap().len(), sync.into_inner().unwrap().len()), (0, 0));
    let lists = std::mem::take(&mut api.0.lock().unwrap().lists);
    let watched = |plural: &str| lists.iter().any(|list| list.contains("watch=true") && list.contains(plural));
    assert!(watched("/deployments") && watched("/applications"), "{lists:#?}");
}

#[tokio::test]
async fn a_kind_whose_definition_was_just_applied_is_waited_for() {
    let api = api();
    let (_server, cluster) = api.start().await;
    api.0.lock().unwrap().undiscovered = 3;
    let mut with_application = content();
    with_application.argocd.append(&mut with_application.root);
    with_application.argocd.retain(|object| object.types.as_ref().unwrap().kind != "AppProject");
    bootstrap(&cluster, &with_application, options(), &|_| {}).await.unwrap();
    // a kind that nothing defines is an error at once
    let mut unknown = content();
    unknown.root.push(object(json!({"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}})));
    let error = bootstrap(&cluster, &unknown, options(), &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::UnknownKind { kind, .. } if kind == "Nothing"), "{error}");
}

const JOBS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/training-jobs";

/// The same with so many training jobs.
fn with_jobs(count: usize) -> Bootstrap {
    let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "training-jobs", "namespace": "argocd"},
        "spec": {"project": "training", "syncPolicy": {"automated": {"prune": true, "selfHeal": true}}}});
    let mut content = content();
    content.applications.push(Expected { name: "training-jobs".to_owned(), goal: Goal::Synced, needs_registry: false });
    content.jobs = Some(TrainingJobs { application: object(application), count });
    content
}

/// What Argo CD has found out about an Application that it does not sync.
fn missing() -> Value {
    json!({"sync": {"status": "OutOfSync"}, "health": {"status": "Missing"}})
}

fn automated(api: &Api) -> Value {
    api.object(JOBS).unwrap()["spec"]["syncPolicy"]["automated"].clone()
}

#[tokio::test]
async fn a_new_cluster_holds_many_jobs_back_until_it_is_told_to_start_them() {
    let api = api();
    let (_server, cluster) = api.start().await;
    api.0.lock().unwrap().controllers.insert("Application".to_owned(), missing());
    let root = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root";
    let on_event = |event| {
        // the root itself is synced
        if matches!(event, Event::Began(Step::Tree)) {
            api.set_status(root, well());
        }
    };
    let report = bootstrap(&cluster, &with_jobs(6), options(), &on_event).await.unwrap();
    assert_eq!(report.held_jobs, 6);
    assert_eq!(automated(&api), json!({"prune": true, "selfHeal": true, "enabled": false}));
    // before the root, which would start them
    let writes = api.writes();
    let at = |path: &str| writes.iter().position(|write| write.ends_with(path)).unwrap();
    assert!(at(JOBS) < at(root), "{writes:#?}");

    // again: it stays as it is, whatever was merged meanwhile
    for count in [6, 1] {
        let report = bootstrap(&cluster, &with_jobs(count), options(), &on_event).await.unwrap();
        assert_eq!((report.held_jobs, automated(&api)["enabled"].clone()), (count, json!(false)));
    }
    // a dry run says what would change
    let start = Options { jobs: JobsPolicy::Start, ..options() };
    let report = bootstrap(&cluster, &with_jobs(6), Options { dry_run: true, ..start }, &|_| {}).await.unwrap();
    let changed: Vec<_> = report.steps.iter().filter(|(_, _, sum)| sum.changed > 0).map(|(step, ..)| *step).collect();
    assert_eq!((changed, automated(&api)["enabled"].clone()), (vec![Step::Jobs], json!(false)));

    // started: nothing is left that git does not say
    api.0.lock().unwrap().controllers.insert("Application".to_owned(), well());
    let report = bootstrap(&cluster, &with_jobs(6), start, &on_event).await.unwrap();
    assert_eq!((report.held_jobs, automated(&api)), (0, json!({"prune": true, "selfHeal": true})));
    let report = bootstrap(&cluster, &with_jobs(6), options(), &on_event).await.unwrap();
    assert_eq!(report.held_jobs, 0, "a cluster that has its jobs goes on with them");
    // held back again, by hand
    api.0.lock().unwrap().controllers.insert("Application".to_owned(), missing());
    let hold = Options { jobs: JobsPolicy::Hold, ..options() };
    assert_eq!(bootstrap(&cluster, &with_jobs(6), hold, &on_event).await.unwrap().held_jobs, 6);
    assert_eq!(automated(&api)["enabled"], json!(false));
}

#[rstest]
#[case::a_handful(5, JobsPolicy::Keep, false)]
#[case::more(6, JobsPolicy::Keep, true)]
#[case::more_that_may_start(6, JobsPolicy::Start, false)]
#[case::none_that_must_wait(0, JobsPolicy::Hold, true)]
#[tokio::test]
async fn what_a_new_cluster_does_with_jobs(#[case] count: usize, #[case] jobs: JobsPolicy, #[case] held: bool) {
    let api = api();
    let (_server, cluster) = api.start().await;
    let on_event = |event| {
        // what the root brings
        if matches!(event, Event::Began(Step::Tree)) && api.object(JOBS).is_none() {
            api.put(JOBS, json!({"metadata": {"name": "training-jobs", "namespace": "argocd"}, "status": well()}));
        }
    };
    let report = bootstrap(&cluster, &with_jobs(count), Options { jobs, ..options() }, &on_event).await.unwrap();
    assert_eq!(report.held_jobs, if held { count } else { 0 });
    assert_eq!(api.writes().iter().any(|write| write.ends_with(JOBS)), held);
}

#[tokio::test]
async fn a_server_whose_versions_are_not_restored_yet_does_not_stop_a_new_cluster() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let degraded =
        json!({"sync": {"status": "Synced"}, "health": {"status": "Degraded", "message": "not in the registry"}});
    api.set_status(WEB, degraded);
    let quick = Options { timeout: Duration::from_millis(600), ..options() };
    let error = bootstrap(&cluster, &content(), quick, &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { waiting, .. } if waiting[0].contains("not in the registry")), "{error}");

    let mut content = with_jobs(6);
    content.applications[1].needs_registry = true;
    bootstrap(&cluster, &content, options(), &|_| {}).await.unwrap();
    bootstrap(&cluster, &content, options(), &|_| {}).await.unwrap();
    // once the jobs may start, the registry is as it must be
    let error = bootstrap(&cluster, &content, Options { jobs: JobsPolicy::Start, ..quick }, &|_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
}
