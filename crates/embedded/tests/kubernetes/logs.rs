//! Logs of workers as those of pods.

use std::time::Duration;

use futures::AsyncReadExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::LogParams;

use crate::bench::{Bench, within};

fn has_ended(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().unwrap().phase.as_deref(), Some("Succeeded" | "Failed"))
}

fn runs(pod: &Pod) -> bool {
    pod.status.as_ref().unwrap().phase.as_deref() == Some("Running")
}

#[tokio::test]
async fn a_log_is_followed_until_its_worker_ends() {
    let mut bench = Bench::new(1).await;
    let (go, pods) = (bench.path("go"), bench.pods());
    let script = format!("echo one; while [ ! -e {} ]; do sleep 0.01; done; echo two; printf three", go.display());
    bench.add("a", 1, &script);
    let pod = bench.pod("a", 0, runs).await.name_any();
    let params = LogParams { follow: true, container: Some("node".to_owned()), ..LogParams::default() };
    let mut stream = Box::pin(pods.log_stream(&pod, &params).await.unwrap());
    let mut begin = [0; 4];
    within(stream.read_exact(&mut begin)).await.unwrap();
    assert_eq!(&begin, b"one\n");
    std::fs::write(go, "").unwrap();
    let mut rest = String::new();
    within(stream.read_to_string(&mut rest)).await.unwrap();
    assert_eq!(rest, "two\nthree");
    // and one that has ended is whole at once
    bench.pod("a", 0, has_ended).await;
    let mut all = String::new();
    let mut stream = Box::pin(pods.log_stream(&pod, &params).await.unwrap());
    within(stream.read_to_string(&mut all)).await.unwrap();
    assert_eq!(all, "one\ntwo\nthree");
}

#[tokio::test]
async fn a_part_of_a_log_is_enough() {
    let mut bench = Bench::new(2).await;
    bench.add("a", 2, "for line in 1 2 3 4; do echo $PET_NODE_RANK-$line; done");
    let pods = bench.pods();
    for rank in [0, 1] {
        let pod = bench.pod("a", rank, has_ended).await.name_any();
        let log = async |params: LogParams| pods.logs(&pod, &params).await.unwrap();
        let tail = LogParams { tail_lines: Some(2), ..LogParams::default() };
        assert_eq!(log(tail.clone()).await, format!("{rank}-3\n{rank}-4\n"));
        assert_eq!(log(LogParams { limit_bytes: Some(5), ..tail }).await, format!("{rank}-3\n{rank}"));
        assert_eq!(log(LogParams { limit_bytes: Some(5), ..LogParams::default() }).await, format!("{rank}-1\n{rank}"));
        assert_eq!(log(LogParams::default()).await.lines().count(), 4);
    }
}

#[tokio::test]
async fn the_log_of_a_worker_that_was_started_again_is_kept() {
    let mut bench = Bench::new(1).await;
    let go = bench.path("go");
    // its port is taken the first time
    let script = format!(
        "if [ ! -e once ]; then touch once; echo 127.0.0.1:$PET_MASTER_PORT: Address already in use; exit 1; fi
         echo again; while [ ! -e {} ]; do sleep 0.01; done",
        go.display()
    );
    bench.add("a", 1, &script);
    let restarted = |pod: &Pod| pod.status.as_ref().unwrap().container_statuses.as_ref().unwrap()[0].restart_count == 1;
    let pod = bench.pod("a", 0, restarted).await.name_any();
    let previous = LogParams { previous: true, ..LogParams::default() };
    let log = bench.pods().logs(&pod, &previous).await.unwrap();
    assert!(log.contains("Address already in use"), "{log}");
    std::fs::write(go, "").unwrap();
    bench.pod("a", 0, has_ended).await;
    assert_eq!(bench.pods().logs(&pod, &LogParams::default()).await.unwrap(), "again\n");
}

#[tokio::test]
async fn what_has_no_log_says_why() {
    let mut bench = Bench::new(1).await;
    bench.add("a", 1, "true");
    let pod = bench.pod("a", 0, has_ended).await.name_any();
    let pods = bench.pods();
    let refused = async |name: &str, params: LogParams| match pods.logs(name, &params).await {
        Err(kube::Error::Api(status)) => (status.code, status.message),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("none", LogParams::default()).await.0, 404);
    for (params, part) in [
        (LogParams { container: Some("other".to_owned()), ..LogParams::default() }, "container other is not valid"),
        (LogParams { previous: true, ..LogParams::default() }, "previous terminated container"),
        (LogParams { since_seconds: Some(3), ..LogParams::default() }, "sinceSeconds"),
        (LogParams { timestamps: true, ..LogParams::default() }, "timestamps"),
        (LogParams { tail_lines: Some(-1), ..LogParams::default() }, "tailLines"),
    ] {
        let (code, message) = refused(&pod, params).await;
        assert!(code == 400 && message.contains(part), "{code} {message}");
    }

    // one that does not run yet: its packages are being installed for ever
    let tree = bench.slow_program();
    bench.add_program("own", Some(&tree));
    let pod = bench.pod("own", 0, |_| true).await.name_any();
    let (code, message) = refused(&pod, LogParams::default()).await;
    assert!(code == 400 && message.contains("is waiting to start: ContainerCreating"), "{code} {message}");
    bench.remove("own");
    within(async {
        while bench.pods().get_opt(&pod).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
