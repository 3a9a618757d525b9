//! Leases: what makes one manager out of two the leader.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::ResourceExt as _;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

use crate::bench::{Bench, client, within};

fn lease(holder: &str) -> Lease {
    Lease {
        metadata: ObjectMeta { name: Some("manager".to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }),
    }
}

fn holder(lease: &Lease) -> &str {
    lease.spec.as_ref().unwrap().holder_identity.as_deref().unwrap()
}

fn code<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn of_two_who_write_at_once_one_succeeds() {
    let bench = Bench::new(1).await;
    let clients = [bench.client.clone(), client(&bench.serving.kubeconfig).await];
    let api = |client: &kube::Client| Api::<Lease>::namespaced(client.clone(), "training-manager");
    let params = PostParams::default();
    // whoever comes first makes it
    let (one, other) = (api(&clients[0]), api(&clients[1]));
    let (one_lease, other_lease) = (lease("one"), lease("other"));
    let (first, second) = tokio::join!(one.create(&params, &one_lease), other.create(&params, &other_lease));
    assert!(first.is_ok() != second.is_ok());
    let lost = if first.is_ok() { second } else { first };
    assert_eq!(code(lost), (409, "AlreadyExists".to_owned()));

    // a hundred times, both write what they have read
    let mut transitions = 0;
    for round in 0..100 {
        let seen = one.get("manager").await.unwrap();
        let take = |by: &str| {
            let mut taken = seen.clone();
            let spec = taken.spec.as_mut().unwrap();
            spec.holder_identity = Some(by.to_owned());
            spec.lease_transitions = Some(round + 1);
            taken
        };
        let (a, b) = (take("one"), take("other"));
        let (first, second) = tokio::join!(one.replace("manager", &params, &a), other.replace("manager", &params, &b));
        let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
        let won = won.unwrap();
        assert_eq!(code(lost), (409, "Conflict".to_owned()));
        let now = other.get("manager").await.unwrap();
        assert_eq!((holder(&now), now.resource_version()), (holder(&won), won.resource_version()));
        assert_eq!(now.uid(), seen.uid());
        transitions = now.spec.unwrap().lease_transitions.unwrap();
    }
    assert_eq!(transitions, 100);
}

#[tokio::test]
async fn a_lease_is_patched_if_it_is_what_was_read() {
    let bench = Bench::new(1).await;
    let api: Api<Lease> = Api::namespaced(bench.client.clone(), "any");
    let apply = PatchParams::apply("test");
    let body = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "manager"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-11-24T09:00:00.000000Z"},
    });
    let made = api.patch("manager", &apply, &Patch::Apply(&body)).await.unwrap();
    assert_eq!(holder(&made), "a");
    let change = json!({"spec": {"holderIdentity": "b", "renewTime": null}});
    let merged = api.patch("manager", &PatchParams::default(), &Patch::Merge(&change)).await.unwrap();
    let spec = merged.spec.clone().unwrap();
    assert_eq!((holder(&merged), spec.lease_duration_seconds, spec.renew_time), ("b", Some(15), None));

    let stale = json!({"metadata": {"resourceVersion": made.resource_version()}, "spec": {"holderIdentity": "c"}});
    for (params, patch) in [(PatchParams::default(), Patch::Merge(&stale)), (apply.clone(), Patch::Apply(&stale))] {
        assert_eq!(code(api.patch("manager", &params, &patch).await), (409, "Conflict".to_owned()));
    }
    let fresh = json!({"metadata": {"resourceVersion": merged.resource_version()}, "spec": {"holderIdentity": "c"}});
    assert_eq!(holder(&api.patch("manager", &apply, &Patch::Apply(&fresh)).await.unwrap()), "c");
    let none = api.patch("none", &PatchParams::default(), &Patch::Merge(&fresh)).await;
    assert_eq!(code(none), (404, "NotFound".to_owned()));
}

#[tokio::test]
async fn a_lease_is_watched() {
    let bench = Bench::new(1).await;
    let api: Api<Lease> = Api::namespaced(bench.client.clone(), "training-manager");
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let made = api.create(&PostParams::default(), &lease("a")).await.unwrap();
    let WatchEvent::Added(seen) = within(events.try_next()).await.unwrap().unwrap() else { panic!("it is not new") };
    assert_eq!(seen.uid(), made.uid());
    // what changes nothing is no change
    let same = api.replace("manager", &PostParams::default(), &made).await.unwrap();
    assert_eq!(same.resource_version(), made.resource_version());
    let mut next = made.clone();
    next.spec.as_mut().unwrap().lease_transitions = Some(1);
    api.replace("manager", &PostParams::default(), &next).await.unwrap();
    let WatchEvent::Modified(seen) = within(events.try_next()).await.unwrap().unwrap() else { panic!("it is new") };
    assert_eq!(seen.spec.unwrap().lease_transitions, Some(1));
}

#[tokio::test]
async fn what_is_no_lease_is_refused() {
    let bench = Bench::new(1).await;
    let path = "/apis/coordination.k8s.io/v1/namespaces/n/leases";
    let post = async |body: &str| {
        let answer = bench.request(reqwest::Method::POST, path).body(body.to_owned()).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let long = format!(r#"{{"metadata": {{"name": "a"}}, "spec": {{"holderIdentity": "{}"}}}}"#, "x".repeat(300_000));
    for (body, expected) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("{}", 400),
        (r#"{"metadata": {}}"#, 422),
        (r#"{"metadata": {"name": "A b"}}"#, 422),
        (r#"{"metadata": {"name": "a", "namespace": "other"}}"#, 400),
        (r#"{"metadata": {"name": "a", "resourceVersion": "7"}}"#, 400),
        (r#"{"kind": "Pod", "metadata": {"name": "a"}}"#, 400),
        (r#"{"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": 0}}"#, 422),
        (r#"{"metadata": {"name": "a"}, "spec": {"leaseDurationSeconds": "15"}}"#, 400),
        (r#"{"metadata": {"name": "a"}, "spec": {"renewTime": "now"}}"#, 400),
        (&long, 413),
    ] {
        let (code, status) = post(body).await;
        let shown: String = body.chars().take(100).collect();
        assert_eq!(code, expected, "{shown}: {status}");
        assert_eq!((&status["kind"], &status["code"]), (&json!("Status"), &json!(expected)), "{status}");
    }
    let api: Api<Lease> = Api::namespaced(bench.client.clone(), "n");
    let unread = within(api.replace("manager", &PostParams::default(), &lease("a"))).await;
    assert_eq!(code(unread).0, 422, "it does not say what it has read");
    let deleted = api.delete("manager", &kube::api::DeleteParams::default()).await;
    assert!(matches!(deleted, Err(kube::Error::Api(status)) if status.code == 405));
}
