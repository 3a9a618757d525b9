//! Logs of workers: from pods, bounded, and followed.

use axum::body::Bytes;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::cluster::{Cluster, Log};
use crate::manager::{LONG, Manager, Setup, trainings, until};

const POD: &str = "digits-00000001-node-0-1-abcde";
const LOG: &str = "/api/v1/trials/digits-00000001/workers/1/log";

async fn start() -> (Cluster, Manager) {
    let cluster = Cluster::start().await;
    let manager =
        Manager::start(Setup { trainings: trainings(), cluster: Some(cluster.url.clone()), ..Setup::default() }).await;
    (cluster, manager)
}

#[tokio::test]
async fn the_log_of_a_pod_is_passed_on_as_it_is() {
    let (cluster, manager) = start().await;
    let text = "epoch 1\n<script>alert(1)</script>\n\u{1b}[31mred\r\n";
    cluster.has(POD, Log::Text(text.into()));
    let answer = manager.get(LOG).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, text));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!((answer.header("x-content-type-options"), answer.header("cache-control")), ("nosniff", "no-store"));
    manager.get(&format!("{LOG}?tailLines=5&follow=false")).await;
    let asked = cluster.asked();
    assert_eq!(asked[0], format!("{POD}?container=node&limitBytes=4194305&tailLines=10000"));
    assert_eq!(asked[1], format!("{POD}?container=node&limitBytes=4194305&tailLines=5"));
}

#[tokio::test]
async fn what_has_no_log_says_why() {
    let (cluster, manager) = start().await;
    cluster.has(POD, Log::Refused(400, "container \"node\" in pod is waiting to start: ContainerCreating"));
    let waiting = manager.get(LOG).await;
    assert_eq!(waiting.problem(409), "conflict");
    assert!(waiting.text.contains("ContainerCreating"), "{waiting:?}");
    cluster.has(POD, Log::Refused(403, "pods is forbidden"));
    let forbidden = manager.get(LOG).await;
    assert_eq!(forbidden.problem(503), "kubernetes-unavailable");
    assert!(forbidden.text.contains("forbidden"), "{forbidden:?}");
    assert_eq!(manager.get("/api/v1/trials/none/workers/0/log").await.problem(404), "unknown-trial");
    assert_eq!(manager.get("/api/v1/trials/digits-00000001/workers/2/log").await.problem(404), "unknown-worker");
    assert_eq!(manager.get("/api/v1/trials/letters-00000004/workers/0/log").await.problem(404), "unknown-log");
    assert!(!cluster.asked().iter().any(|asked| asked.contains("letters")), "it has no pod");
}

#[tokio::test]
async fn a_log_that_is_too_long_is_cut_and_says_so() {
    let (cluster, manager) = start().await;
    // without a line end where it is cut
    cluster.has(POD, Log::Text(vec![b'a'; (4 << 20) + 1]));
    let answer = manager.get(LOG).await.text;
    let (log, note) = answer.split_once('\n').unwrap();
    assert_eq!((log.len(), note), (4 << 20, "# slipway: it is cut after 4 MiB: ask for fewer lines by tailLines\n"));
    cluster.has(POD, Log::Text(vec![b'a'; 4 << 20]));
    assert_eq!(manager.get(LOG).await.text.len(), 4 << 20);
}

#[tokio::test]
async fn a_log_is_followed_until_it_ends_or_the_service_does() {
    let (cluster, manager) = start().await;
    let (write, lines) = mpsc::channel(4);
    cluster.has(POD, Log::Followed(lines));
    let response = manager.request("GET", &format!("{LOG}?follow=true&tailLines=0")).send().await.unwrap();
    let mut log = response.bytes_stream();
    for line in ["one\n", "two\n"] {
        write.send(Bytes::from(line)).await.unwrap();
        let read = tokio::time::timeout(LONG, log.next()).await.expect("it is not sent at once").unwrap().unwrap();
        assert_eq!(read, line);
    }
    drop(write);
    assert!(log.next().await.is_none(), "it ends with the pod's");
    assert_eq!(cluster.asked(), [format!("{POD}?container=node&follow=true&tailLines=0")]);

    let (write, lines) = mpsc::channel(4);
    cluster.has(POD, Log::Followed(lines));
    let response = manager.request("GET", &format!("{LOG}?follow=true")).send().await.unwrap();
    write.send(Bytes::from("half a line")).await.unwrap();
    let mut log = response.bytes_stream();
    assert_eq!(log.next().await.unwrap().unwrap(), "half a line");
    manager.begin_to_stop();
    assert_eq!(log.next().await.unwrap().unwrap(), "\n# slipway: the training manager ends: ask again\n");
    assert!(log.next().await.is_none());
    manager.stop().await;
}

#[tokio::test]
async fn only_so_many_logs_are_read_at_once_and_a_reader_who_leaves_makes_room() {
    let (cluster, manager) = start().await;
    let mut open = Vec::new();
    for _ in 0..32 {
        let (write, lines) = mpsc::channel(1);
        cluster.has(POD, Log::Followed(lines));
        open.push((manager.request("GET", &format!("{LOG}?follow=true")).send().await.unwrap(), write));
    }
    cluster.has(POD, Log::Text(b"short".to_vec()));
    let refused = manager.get(LOG).await;
    assert_eq!((refused.problem(503).as_str(), refused.header("retry-after")), ("busy", "5"));
    assert!(manager.get("/metrics").await.text.contains("slipway_manager_streams{kind=\"logs\"} 32"));
    let (_, write) = open.pop().unwrap();
    until("a place is free", async || manager.get(LOG).await.status == 200).await;
    // and the pod's log is not read any longer
    tokio::time::timeout(LONG, write.closed()).await.unwrap();
}

/// The log of a worker that says nothing for an hour is not read for an hour after its reader has gone.
#[tokio::test]
async fn a_reader_who_leaves_ends_the_stream_of_a_silent_log() {
    let (cluster, manager) = start().await;
    // the rest is what keeps hyper from looking whether somebody is still there
    for rest in ["", "more"] {
        let (write, lines) = mpsc::channel(1);
        cluster.has(POD, Log::Followed(lines));
        let mut stream = TcpStream::connect(manager.address()).await.unwrap();
        let request = format!("GET {LOG}?follow=true HTTP/1.1\r\nhost: localhost\r\n\r\n{rest}");
        stream.write_all(request.as_bytes()).await.unwrap();
        write.send(Bytes::from("a line\n")).await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"a line\n\r\n") {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        }
        drop(stream);
        tokio::time::timeout(LONG, write.closed()).await.expect("the cluster is still read");
    }
}
