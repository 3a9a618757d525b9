//! Watches, by kube's own watcher.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Config, Event, watcher};
use reqwest::Method;

use crate::bench::{Bench, job, within};

/// The next change that a watcher tells, after its first list.
async fn next<K>(events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin)) -> Event<K> {
    within(events.next()).await.unwrap().unwrap()
}

fn is_complete(job: &DynamicObject) -> bool {
    let conditions = job.data["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|one| one["type"] == "Complete" && one["status"] == "True")
}

#[tokio::test]
async fn a_watcher_sees_a_job_come_change_and_go() {
    for config in [
        Config::default(),
        Config { initial_list_strategy: watcher::InitialListStrategy::StreamingList, ..Config::default() },
    ] {
        let mut bench = Bench::new(1).await;
        let mut events = pin!(watcher(bench.train_jobs(), config));
        assert!(matches!(next(&mut events).await, Event::Init));
        assert!(matches!(next(&mut events).await, Event::InitDone));
        bench.add("a", 1, "true");
        let mut versions = Vec::new();
        loop {
            let Event::Apply(job) = next(&mut events).await else { panic!("it was neither made nor changed") };
            versions.push(job.resource_version().unwrap().parse::<u64>().unwrap());
            if is_complete(&job) {
                break;
            }
        }
        assert!(versions.len() >= 2 && versions.is_sorted(), "{versions:?}");
        bench.remove("a");
        let Event::Delete(job) = next(&mut events).await else { panic!("it was not deleted") };
        assert_eq!(job.name_any(), "a");
        assert!(job.resource_version().unwrap().parse::<u64>().unwrap() > versions[versions.len() - 1]);
        assert!(bench.train_jobs().get_opt("a").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn the_workers_of_a_removed_job_are_there_until_they_have_ended() {
    let mut bench = Bench::new(1).await;
    let ended = bench.path("ended");
    bench.add(
        "a",
        1,
        &format!("trap 'touch {}; exit 143' TERM; echo here; while :; do sleep 0.01; done", ended.display()),
    );
    let pod = bench.pod("a", 0, |pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Running")).await;
    within(async {
        while bench.pods().logs(&pod.name_any(), &Default::default()).await.unwrap() != "here\n" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let mut jobs = pin!(watcher(bench.train_jobs(), Config::default()));
    let mut pods = pin!(watcher(bench.pods(), Config::default()));
    while !matches!(next(&mut jobs).await, Event::InitDone) {}
    while !matches!(next(&mut pods).await, Event::InitDone) {}
    bench.remove("a");
    let Event::Delete(_) = next(&mut jobs).await else { panic!("the job is still there") };
    let Event::Apply(leaving) = next(&mut pods).await else { panic!("its worker was gone at once") };
    assert!(leaving.metadata.deletion_timestamp.is_some());
    loop {
        if let Event::Delete(gone) = next(&mut pods).await {
            assert_eq!(gone.name_any(), pod.name_any());
            break;
        }
    }
    assert!(ended.exists());
}

#[tokio::test]
async fn a_file_that_comes_back_is_another_job() {
    let mut bench = Bench::new(1).await;
    // it takes its time to end
    bench.add(
        "a",
        1,
        &format!(
            "trap 'sleep 0.3; exit 143' TERM; touch {}; while :; do sleep 0.01; done",
            bench.path("runs").display()
        ),
    );
    within(async {
        while !bench.path("runs").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let first = bench.train_jobs().get("a").await.unwrap();
    let mut events = pin!(watcher(bench.train_jobs(), Config::default()));
    while !matches!(next(&mut events).await, Event::InitDone) {}
    bench.remove("a");
    let Event::Delete(gone) = next(&mut events).await else { panic!("it was not deleted") };
    assert_eq!(gone.uid(), first.uid());
    bench.add("a", 1, "true");
    loop {
        let Event::Apply(job) = next(&mut events).await else { panic!("it was deleted again") };
        assert_ne!(job.uid(), first.uid());
        if is_complete(&job) {
            break;
        }
    }
}

#[tokio::test]
async fn a_watch_says_what_it_leaves_out_and_when_it_ends() {
    let mut bench = Bench::new(1).await;
    bench.add("a", 1, "true");
    bench.finished("a").await;
    let list = bench.train_jobs().list(&ListParams::default()).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    let params = WatchParams::default().timeout(1).labels("slipway.dev/experiment=other");
    bench.add("b", 1, "true");
    let events: Vec<WatchEvent<DynamicObject>> =
        within(bench.train_jobs().watch(&params, &version).await.unwrap().try_collect()).await.unwrap();
    let [WatchEvent::Bookmark(last)] = &events[..] else { panic!("{events:?}") };
    assert!(last.metadata.resource_version.parse::<u64>().unwrap() > version.parse::<u64>().unwrap());

    // what is there counts as made for one who knows nothing
    let params = WatchParams::default().timeout(1).fields("metadata.name=a");
    let mut events = bench.train_jobs().watch(&params, "0").await.unwrap().boxed();
    let first = within(events.try_next()).await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Added(job) if job.name_any() == "a"));
}

#[tokio::test]
async fn one_who_was_away_too_long_is_told() {
    let mut bench = Bench::new(1).await;
    let list = bench.train_jobs().list(&ListParams::default()).await.unwrap();
    let version = list.metadata.resource_version.unwrap();
    // more than the changes that are kept
    let filler = "x".repeat(60_000);
    for round in 0..3 {
        bench.add_all((0..50).map(|number| {
            let name = format!("job-{round}-{number}");
            (name.clone(), job(&name, 1, &["sh", "-c", "exec sleep 1000", filler.as_str()]))
        }));
        let last = format!("job-{round}-49");
        within(async {
            while bench.train_jobs().get_opt(&last).await.unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
    let mut stream = bench.train_jobs().watch(&WatchParams::default(), &version).await.unwrap().boxed();
    let event = within(stream.try_next()).await.unwrap().unwrap();
    assert!(
        matches!(&event, WatchEvent::Error(status) if status.code == 410 && status.reason == "Expired"),
        "{event:?}"
    );
    assert!(within(stream.try_next()).await.unwrap().is_none(), "nothing comes after that");

    let old =
        bench.request(Method::GET, "/api/v1/pods?resourceVersion=7&resourceVersionMatch=Exact").send().await.unwrap();
    assert_eq!(old.status(), 410);
}

#[tokio::test]
async fn a_watch_ends_with_the_loop() {
    let bench = Bench::new(1).await;
    let mut stream = bench.pods().watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let Bench { serving, client, .. } = bench;
    within(serving.shutdown()).await.unwrap();
    let end = within(stream.try_next()).await;
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");
    let pods: Api<Pod> = Api::all(client);
    assert!(pods.list(&ListParams::default()).await.is_err());
}
