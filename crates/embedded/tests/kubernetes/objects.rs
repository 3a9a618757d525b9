//! What is served, as discovery, `get` and `list` show it.

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, DynamicObject, ListParams, VersionMatch};
use kube::core::GroupVersionKind;
use kube::discovery::{Discovery, Scope, pinned_kind, verbs};

use crate::bench::{Bench, job, resource, within};

#[tokio::test]
async fn discovery_finds_what_the_manager_uses() {
    let bench = Bench::new(1).await;
    let discovery = Discovery::new(bench.client.clone()).run().await.unwrap();
    let kinds = [
        ("trainer.kubeflow.org", "v1alpha1", "TrainJob", "trainjobs"),
        ("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets"),
        ("", "v1", "Pod", "pods"),
        ("", "v1", "Event", "events"),
        ("coordination.k8s.io", "v1", "Lease", "leases"),
    ];
    for (group, version, kind, plural) in kinds {
        let kind = GroupVersionKind::gvk(group, version, kind);
        let (found, can) = discovery.resolve_gvk(&kind).unwrap();
        assert_eq!(found.plural, plural);
        assert!(can.scope == Scope::Namespaced && can.supports_operation(verbs::WATCH), "{plural}");
        assert_eq!(can.supports_operation(verbs::UPDATE), plural == "leases");
        assert_eq!(pinned_kind(&bench.client, &kind).await.unwrap().0.plural, plural);
    }
    let version = bench.client.apiserver_version().await.unwrap();
    assert_eq!((version.major.as_str(), version.minor.as_str()), ("1", "34"));
}

/// A client that is told of no job believes that all are gone.
#[tokio::test]
async fn who_asks_before_main_is_read_waits_for_its_jobs() {
    let mut bench = Bench::before_main(1).await;
    let jobs: Vec<String> = (0..50).map(|number| format!("job-{number:02}")).collect();
    let api = bench.train_jobs();
    let asked = tokio::spawn(async move { api.list(&ListParams::default()).await });
    // the question is on its way before there is an answer
    tokio::task::yield_now().await;
    assert!(!asked.is_finished());
    bench.add_all(jobs.iter().map(|name| (name.clone(), job(name, 1, &["sleep", "1000"]))));
    let listed = within(asked).await.unwrap().unwrap();
    assert_eq!(listed.items.into_iter().map(|object| object.metadata.name.unwrap()).collect::<Vec<_>>(), jobs);
}

#[tokio::test]
async fn a_job_is_what_a_cluster_would_have() {
    let mut bench = Bench::new(2).await;
    bench.add("a", 2, "[ $PET_NODE_RANK = 0 ] || { echo the digest differs; exit 3; }; exec sleep 1000");
    bench.finished("a").await;
    let object = bench.train_jobs().get("a").await.unwrap();
    let (metadata, data) = (object.metadata, object.data);
    assert!(metadata.uid.is_some() && metadata.creation_timestamp.is_some() && metadata.resource_version.is_some());
    assert_eq!(metadata.labels.unwrap()["slipway.dev/experiment"], "test");
    assert_eq!(data["spec"]["trainer"]["numNodes"], 2);
    assert_eq!(data["status"]["conditions"][1]["reason"], "FailedJobs");

    let jobsets: Api<DynamicObject> = Api::namespaced_with(
        bench.client.clone(),
        "training",
        &resource("jobset.x-k8s.io", "v1alpha2", "JobSet", "jobsets"),
    );
    let jobset = jobsets.get("a").await.unwrap();
    assert_eq!(jobset.metadata.owner_references.unwrap()[0].uid, metadata.uid.unwrap());

    let ended = |pod: &Pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Failed");
    for (rank, code, message) in [(0, 143, None), (1, 3, Some("the digest differs"))] {
        let status = bench.pod("a", rank, ended).await.status.unwrap();
        let state = status.container_statuses.unwrap()[0].state.clone().unwrap().terminated.unwrap();
        assert_eq!((state.exit_code, state.message.as_deref()), (code, message));
    }
    // in all namespaces, and in another one
    let all: Api<Pod> = Api::all(bench.client.clone());
    assert_eq!(all.list(&ListParams::default()).await.unwrap().items.len(), 2);
    let other: Api<Pod> = Api::namespaced(bench.client.clone(), "other");
    assert!(other.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn what_cannot_start_warns() {
    let mut bench = Bench::new(2).await;
    bench.add_file("typo", &job("typo", 1, &["true"]).replace("numNodes", "numNode"));
    bench.add_program("own", None);
    for name in ["typo", "own"] {
        bench.finished(name).await;
    }
    let events: Api<Event> = Api::namespaced(bench.client.clone(), "training");
    let warnings = within(async {
        loop {
            let found = events.list(&ListParams::default().fields("type=Warning")).await.unwrap().items;
            if found.len() == 2 {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let about = |kind: &str| {
        let found = warnings.iter().find(|event| event.involved_object.kind.as_deref() == Some(kind)).unwrap();
        found.message.clone().unwrap()
    };
    assert!(about("TrainJob").contains("numNode"), "{}", about("TrainJob"));
    assert!(about("Pod").contains("does not say which code of trainers/own"), "{}", about("Pod"));
    assert!(events.list(&ListParams::default().fields("type=Normal")).await.unwrap().items.is_empty());
    let about_one = ListParams::default().fields("involvedObject.name=typo");
    assert_eq!(events.list(&about_one).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_thousand_jobs_are_listed_in_pages_of_one_version() {
    let mut bench = Bench::new(1).await;
    let name = |number: usize| format!("job-{number:04}");
    let command = ["sleep", "1000"];
    bench.add_all((0..1000).map(|number| (name(number), job(&name(number), 1, &command))));
    let api = bench.train_jobs();
    within(async {
        while api.list_metadata(&ListParams::default()).await.unwrap().items.len() < 1000 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;

    let page = ListParams::default().limit(300);
    let first = api.list(&page).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (300, Some(700)));
    // what is merged meanwhile is not of that version
    bench.remove("job-0500");
    bench.add("job-0500-a", 1, "true");
    within(async {
        while api.get_opt("job-0500-a").await.unwrap().is_none() || api.get_opt("job-0500").await.unwrap().is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let (mut names, mut token) = (Vec::new(), first.metadata.continue_.clone());
    names.extend(first.items.into_iter().map(|object| object.metadata.name.unwrap()));
    while let Some(next) = token.filter(|token| !token.is_empty()) {
        let list = api.list(&page.clone().continue_token(&next)).await.unwrap();
        assert_eq!(list.metadata.resource_version, first.metadata.resource_version);
        names.extend(list.items.into_iter().map(|object| object.metadata.name.unwrap()));
        token = list.metadata.continue_;
    }
    assert_eq!(names, (0..1000).map(name).collect::<Vec<_>>());

    let now = api.list(&ListParams::default()).await.unwrap();
    assert!(now.items.iter().any(|object| object.metadata.name.as_deref() == Some("job-0500-a")));
    let version = now.metadata.resource_version.unwrap();
    let exact = ListParams::default().at(&version).matching(VersionMatch::Exact);
    assert_eq!(api.list(&exact).await.unwrap().metadata.resource_version.unwrap(), version);
}

#[tokio::test]
async fn kubectl_gets_the_table_that_it_prints() {
    let mut bench = Bench::new(1).await;
    bench.add("a", 1, "true");
    bench.finished("a").await;
    let table = async |path: &str| {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        let answer = bench.request(reqwest::Method::GET, path).header("accept", accept).send().await.unwrap();
        let table: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((&table["kind"], &table["apiVersion"]), (&"Table".into(), &"meta.k8s.io/v1".into()));
        table
    };
    let jobs = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/training/trainjobs";
    for path in [jobs.to_owned(), format!("{jobs}/a")] {
        let table = table(&path).await;
        assert_eq!(table["columnDefinitions"].as_array().unwrap().len(), 4);
        assert_eq!((&table["rows"][0]["cells"][0], &table["rows"][0]["cells"][1]), (&"a".into(), &"Complete".into()));
        assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "a");
    }
    bench.pod("a", 0, |pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Succeeded")).await;
    assert_eq!(table("/api/v1/namespaces/training/pods").await["rows"][0]["cells"][2], "Completed");
    let mut watch = bench
        .request(reqwest::Method::GET, "/api/v1/namespaces/training/pods?watch=true&timeoutSeconds=1")
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .send()
        .await
        .unwrap();
    let line: serde_json::Value = serde_json::from_slice(&watch.chunk().await.unwrap().unwrap()).unwrap();
    assert_eq!((&line["type"], &line["object"]["kind"]), (&"ADDED".into(), &"Table".into()));
}
