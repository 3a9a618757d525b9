//! Server-sent events.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use rstest::rstest;
use serde_json::Value;
use slipway_training_manager::view::{Trainings, Trial, TrialState};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::document::Document;
use crate::manager::{LONG, Manager, by_name, running, trainings, until};

/// A reader of events.
struct Reader {
    bytes: BoxStream<'static, reqwest::Result<axum::body::Bytes>>,
    text: String,
}

impl Reader {
    async fn of(manager: &Manager) -> Self {
        let response = manager.request("GET", "/api/v1/events").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { bytes: response.bytes_stream().boxed(), text: String::new() }
    }

    /// The next event with its data; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let found = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    found.map(|value| value.trim_start().to_owned())
                };
                let found = field("event").zip(field("data"));
                self.text = rest.to_owned();
                if let Some((kind, data)) = found {
                    return Some((kind, serde_json::from_str(&data).unwrap()));
                }
            }
            let more = tokio::time::timeout(LONG, self.bytes.next()).await.expect("nothing comes")?;
            self.text.push_str(std::str::from_utf8(&more.unwrap()).unwrap());
        }
    }
}

fn with(trials: impl IntoIterator<Item = Trial>) -> Arc<Trainings> {
    Arc::new(Trainings { trials: by_name(trials), ..trainings() })
}

#[tokio::test]
async fn live_trials_come_first_then_every_change() {
    let manager = Manager::with_trials().await;
    let document = Document::of(&manager).await;
    let schemas =
        &document.0["paths"]["/api/v1/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]["x-events"];
    let mut reader = Reader::of(&manager).await;
    let mut live = Vec::new();
    for _ in 0..2 {
        let (kind, trial) = reader.next().await.unwrap();
        assert_eq!(kind, "trial");
        document.fits(&schemas["trial"], &trial);
        live.push(trial["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(live, ["digits-00000001", "letters-00000004"]);

    let mut now = trainings().trials;
    let ended = Trial { state: TrialState::Finished, ..running("digits-00000001") };
    now.insert(ended.name.clone(), Arc::new(ended));
    now.remove("digits-00000002");
    manager.publish.send_replace(Arc::new(Trainings { trials: now, ..trainings() }));
    let (kind, trial) = reader.next().await.unwrap();
    assert_eq!(
        (kind.as_str(), &trial["name"], &trial["state"]),
        ("trial", &"digits-00000001".into(), &"finished".into())
    );
    let (kind, gone) = reader.next().await.unwrap();
    assert_eq!((kind.as_str(), &gone["name"]), ("gone", &"digits-00000002".into()));
    document.fits(&schemas["gone"], &gone);
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_not_a_queue() {
    let manager = Manager::with_trials().await;
    // larger than what the sockets between hold
    let padding = "x".repeat(2 << 20);
    let trial = |seconds: u32| Trial {
        seconds: Some(seconds.into()),
        reason: Some(padding.clone()),
        ..running("digits-00000001")
    };
    manager.publish.send_replace(with([trial(0)]));
    let mut stream = TcpStream::connect(manager.address()).await.unwrap();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let changes = 24;
    for seconds in 1..=changes {
        manager.publish.send_replace(with([trial(seconds)]));
        // longer than the pause between two looks
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let newest = format!("\"seconds\":{changes}.0");
    let (mut read, mut block, mut events) = (Vec::new(), vec![0; 1 << 16], 0);
    loop {
        let count =
            tokio::time::timeout(LONG, stream.read(&mut block)).await.expect("the newest state does not come").unwrap();
        assert_ne!(count, 0, "the connection is closed");
        read.extend_from_slice(&block[..count]);
        events += block[..count].windows(12).filter(|part| part == b"event: trial").count();
        if read.windows(newest.len()).any(|part| part == newest.as_bytes()) {
            break;
        }
        let keep = read.len().saturating_sub(64);
        read.drain(..keep);
    }
    assert!(events < 15, "{events} of {changes} changes were sent to a reader that took none");
}

#[tokio::test]
async fn only_so_many_read_at_once_and_one_who_leaves_makes_room() {
    let manager = Manager::with_trials().await;
    let mut readers = Vec::new();
    for _ in 0..64 {
        readers.push(Reader::of(&manager).await);
    }
    let refused = manager.get("/api/v1/events").await;
    assert_eq!((refused.problem(503).as_str(), refused.header("retry-after")), ("busy", "5"));
    readers.pop();
    until("a place is free", async || {
        let response = manager.request("GET", "/api/v1/events").send().await.unwrap();
        response.status() == 200
    })
    .await;
}

/// Whoever sends nothing more may be waiting, or may have gone. hyper does not look while bytes wait, or after a body that nobody read.
#[rstest]
#[case("", "")]
#[case("", "what comes after the request")]
#[case("content-length: 9\r\n", "half")]
#[case("transfer-encoding: chunked\r\n", "5\r\nhal")]
#[tokio::test]
async fn a_reader_that_sends_nothing_more_is_told_for_a_while_and_then_left(#[case] header: &str, #[case] rest: &str) {
    let manager = Manager::with_trials().await;
    let mut stream = TcpStream::connect(manager.address()).await.unwrap();
    let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n{header}\r\n{rest}");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut told = String::new();
    tokio::time::timeout(LONG, stream.read_to_string(&mut told)).await.expect("it is told for ever").unwrap();
    assert!(told.contains("event: trial"), "{told}");
    until("there is room again", async || {
        manager.get("/metrics").await.text.contains("slipway_manager_streams{kind=\"events\"} 0")
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_service_ends_the_events() {
    let manager = Manager::with_trials().await;
    let mut reader = Reader::of(&manager).await;
    reader.next().await.unwrap();
    manager.begin_to_stop();
    while reader.next().await.is_some() {}
    manager.stop().await;
}
