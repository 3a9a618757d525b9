//! Setting a cluster up: in order, once, and never over what is there.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use slipway_cluster::{Bootstrap, Credential, Error, Event, Expected, Options, Outcome, Template, bootstrap};

use crate::server::Api;

const SECRET: &str = "/api/v1/namespaces/db/secrets/db";
const ARGOCD: &str = "/apis/apps/v1/namespaces/argocd/deployments/argocd-server";

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn what() -> Bootstrap {
    let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "root", "namespace": "argocd"}});
    let project = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "root", "namespace": "argocd"}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "argocd-server", "namespace": "argocd"}});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "applications.argoproj.io"}});
    Bootstrap {
        environment: "local".to_owned(),
        argocd_namespace: "argocd".to_owned(),
        namespaces: vec![namespace("argocd"), namespace("db")],
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
            Expected { name: "root".to_owned(), healthy: false },
            Expected { name: "web".to_owned(), healthy: true },
        ],
    }
}

fn options() -> Options {
    Options { dry_run: false, adopt: false, timeout: Duration::from_secs(20) }
}

/// A server whose controllers do their work at once.
fn api() -> Api {
    let api = Api::default();
    {
        let mut state = api.0.lock().unwrap();
        let well = json!({"sync": {"status": "Synced"}, "health": {"status": "Healthy"}});
        state.controllers.insert("Deployment".to_owned(), json!({"updatedReplicas": 1, "availableReplicas": 1}));
        state.controllers.insert(
            "CustomResourceDefinition".to_owned(),
            json!({"conditions": [{"type": "Established", "status": "True"}]}),
        );
        state.controllers.insert("Application".to_owned(), well.clone());
        let web = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "web", "namespace": "argocd"}, "status": well});
        state.objects.insert("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web".to_owned(), web);
    }
    api
}

#[tokio::test]
async fn everything_is_made_in_order_and_again_is_nothing() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let report = bootstrap(&cluster, &what(), options(), &|_| {}).await.unwrap();
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

    let report = bootstrap(&cluster, &what(), options(), &|_| {}).await.unwrap();
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
    bootstrap(&cluster, &what(), options(), &|_| {}).await.unwrap();
    assert_eq!(api.object(SECRET).unwrap()["data"], json!({"password": "bWluZQ==", "user": "c2xpcHdheQ=="}));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_it_would() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let told = Mutex::new(Vec::new());
    let tell = |event| {
        if let Event::Applied(_, what, outcome) = event {
            told.lock().unwrap().push((what, outcome));
        }
    };
    bootstrap(&cluster, &what(), Options { dry_run: true, ..options() }, &tell).await.unwrap();
    assert_eq!(api.writes(), [""; 0]);
    let told = told.into_inner().unwrap();
    assert_eq!(told.len(), 7);
    assert!(told.iter().all(|(_, outcome)| *outcome == Outcome::Created), "{told:?}");
    // and where one thing differs, that one
    bootstrap(&cluster, &what(), options(), &|_| {}).await.unwrap();
    let mut other = what();
    other.argocd[0]["spec"] = json!({"paused": true});
    let changed = Mutex::new(Vec::new());
    let tell = |event| {
        if let Event::Applied(_, what, Outcome::Changed | Outcome::Created) = event {
            changed.lock().unwrap().push(what);
        }
    };
    api.writes();
    bootstrap(&cluster, &other, Options { dry_run: true, ..options() }, &tell).await.unwrap();
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
    let error = bootstrap(&cluster, &what(), Options { adopt: true, ..options() }, &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Taken(text) if text.contains("`production`")), "{error}");

    api.put("/api/v1/namespaces/argocd", namespace("argocd"));
    api.put(
        "/apis/apps/v1/namespaces/argocd/statefulsets/argocd-application-controller",
        json!({"kind": "StatefulSet"}),
    );
    let error = bootstrap(&cluster, &what(), options(), &|_| {}).await.unwrap_err();
    assert!(matches!(&error, Error::Taken(text) if text.contains("--adopt")), "{error}");
    assert_eq!(api.writes(), [""; 0]);
    bootstrap(&cluster, &what(), Options { adopt: true, ..options() }, &|_| {}).await.unwrap();
}

#[tokio::test]
async fn a_break_is_survived_and_time_is_kept() {
    let api = api();
    let (_server, cluster) = api.start().await;
    // Argo CD's deployment does not come up, and its pod says why
    api.0.lock().unwrap().controllers.insert("Deployment".to_owned(), json!({}));
    let pod = json!({"kind": "Pod", "metadata": {"name": "argocd-server-1"}, "status": {"containerStatuses": [
        {"name": "server", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]}});
    api.put("/api/v1/namespaces/argocd/pods/argocd-server-1", pod);
    let mut waits = what();
    waits.argocd[0]["spec"] = json!({"selector": {"matchLabels": {"app": "x"}}});
    let quick = Options { timeout: Duration::from_millis(600), ..options() };
    let error = bootstrap(&cluster, &waits, quick, &|_| {}).await.unwrap_err().to_string();
    assert!(
        error.contains("Deployment argocd/argocd-server (0 of 1 available)") && error.contains("ImagePullBackOff"),
        "{error}"
    );

    // the server is away for a moment, and the deployment comes up: it goes on
    {
        let mut state = api.0.lock().unwrap();
        let deployment = state.objects.get_mut(ARGOCD).unwrap();
        deployment["status"] = json!({"updatedReplicas": 1, "availableReplicas": 1});
        state.controllers.remove("Deployment");
    }
    let away = std::sync::atomic::AtomicBool::new(false);
    let tell = |event| {
        if matches!(event, Event::Began(slipway_cluster::Step::Root))
            && !away.swap(true, std::sync::atomic::Ordering::Relaxed)
        {
            api.0.lock().unwrap().away = 2;
        }
    };
    bootstrap(&cluster, &waits, options(), &tell).await.unwrap();
}

#[tokio::test]
async fn an_application_that_stays_behind_is_named_with_its_reason() {
    let api = api();
    let (_server, cluster) = api.start().await;
    let web = json!({"metadata": {"name": "web", "namespace": "argocd"}, "status": {"sync": {"status": "OutOfSync"},
        "health": {"status": "Missing"}, "conditions": [{"type": "ComparisonError", "message": "repository not found"}]}});
    api.put("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web", web);
    let quick = Options { timeout: Duration::from_millis(600), ..options() };
    let error = bootstrap(&cluster, &what(), quick, &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("web (OutOfSync, Missing: repository not found)"), "{error}");
}
