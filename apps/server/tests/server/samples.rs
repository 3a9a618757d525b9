//! A sample of the requests arrives on S3, and S3 harms no answer.

use serde_json::{Value, json};
use slipway_dataset::{Credentials, Store};
use slipway_object_store::{KEYS, serve};
use slipway_samples::{Hour, Reader, Sample, now};

use crate::process::{Server, close, list, picture, probabilities, request};
use crate::registry::Registry;

/// What the server needs to find a store.
fn environment(url: &str) -> Vec<(&'static str, String)> {
    [
        ("SLIPWAY_REQUESTS", "s3://requests"),
        ("SLIPWAY_SAMPLE_SHARE", "1"),
        ("SLIPWAY_SAMPLE_SECONDS", "1"),
        ("AWS_ENDPOINT_URL_S3", url),
        ("AWS_ACCESS_KEY_ID", KEYS.0),
        ("AWS_SECRET_ACCESS_KEY", KEYS.1),
        ("AWS_REGION", "us-east-1"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn start(registry: &Registry, digest: &str, environment: &[(&str, String)]) -> Server {
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Server::start(&registry.address(), &list("3", digest), &environment)
}

async fn read(url: &str) -> Vec<Sample> {
    let credentials = Credentials { access_key: KEYS.0.into(), secret_key: KEYS.1.into(), session_token: None };
    let store = Store::new(url, "datasets", credentials, "us-east-1").unwrap();
    let reader = Reader::new(store.beside("requests"));
    let hour = Hour::of(now());
    let mut samples = Vec::new();
    for file in reader.list("mnist", Some(3), hour.after(-1), hour).await.unwrap() {
        samples.extend(reader.read(&file).await.unwrap());
    }
    samples
}

/// A request for these pictures with an id.
fn with_id(id: &str, of: usize, images: usize) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&request(&picture(of, images))).unwrap();
    body["id"] = json!(id);
    body.to_string().into_bytes()
}

// the store answers while a test waits for the server to end
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_sampled_with_their_answers() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(folder.path()).await;
    let registry = Registry::start().await;
    let (bundle, digest) = registry.register("3", 1);
    let mut server = start(&registry, &digest, &environment(&url));
    server.ready().await;
    let before = now();
    let (_, first) = server.post("mnist", with_id("a", 1, 1)).await;
    let (_, second) = server.post("mnist", with_id("b", 2, 3)).await;
    // the features are for the sample, not for whoever did not ask for them
    assert_eq!(second["outputs"].as_array().unwrap().len(), 2);
    // what is refused is no request that was answered, and what a monitor asks is nobody's request
    assert_eq!(server.post("mnist", with_id("c", 0, 65)).await.0, 413);
    assert_eq!(server.post("mnist", with_id("slipway-measuring", 3, 1)).await.0, 200);
    while server.figure("slipway_server_sampled_rows_total{result=\"written\"}").await < 4.0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let samples = read(&url).await;
    let rows: Vec<(&str, u32)> = samples.iter().map(|sample| (sample.request_id.as_str(), sample.row)).collect();
    assert_eq!(rows, [("a", 0), ("b", 0), ("b", 1), ("b", 2)]);
    assert!(samples.iter().all(|sample| sample.is_intact() && sample.version == 3));
    assert!(samples.iter().all(|sample| (before..=now()).contains(&sample.time)));
    assert_eq!(samples[0].inputs, picture(1, 1));
    assert_eq!(samples[3].inputs, picture(2, 3)[2 * 784..]);
    assert!(close(&samples[0].outputs, &probabilities(&first)));
    assert!(close(&samples[3].outputs, &probabilities(&second)[20..]));
    let mut features = Vec::new();
    bundle.answer(&picture(1, 1), 1, Some(&mut features)).unwrap();
    bundle.answer(&picture(2, 3), 3, Some(&mut features)).unwrap();
    for (sample, features) in samples.iter().zip(features.chunks_exact(128)) {
        assert!(close(sample.features.as_deref().unwrap(), features), "{} {}", sample.request_id, sample.row);
    }
    assert_eq!(server.figure("slipway_server_sampled_requests_total{result=\"taken\"}").await, 2.0);
    assert_eq!(server.figure("slipway_server_sampled_requests_total{result=\"measuring\"}").await, 1.0);
    // what is not written yet when the server ends is written then
    assert_eq!(server.post("mnist", with_id("last", 0, 1)).await.0, 200);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(read(&url).await.iter().any(|sample| sample.request_id == "last"));
}

#[tokio::test]
async fn a_store_that_is_away_harms_no_answer_and_no_end() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("3", 1);
    let mut environment = environment("http://127.0.0.1:1");
    environment.push(("SLIPWAY_SAMPLE_MIB", "1".to_owned()));
    let mut server = start(&registry, &digest, &environment);
    server.ready().await;
    // 243 KiB each: the fifth does not fit any more
    for at in 0..20 {
        let (status, body) = server.post("mnist", with_id(&at.to_string(), at, 64)).await;
        assert_eq!(status, 200, "{body}");
    }
    while server.figure("slipway_server_sample_files_total{result=\"failed\"}").await == 0.0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let taken = server.figure("slipway_server_sampled_requests_total{result=\"taken\"}").await;
    let dropped = server.figure("slipway_server_sampled_requests_total{result=\"dropped\"}").await;
    assert_eq!((taken, dropped), (4.0, 16.0));
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sampled_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(folder.path()).await;
    let registry = Registry::start().await;
    let (_, digest) = registry.register("3", 1);
    let without_share =
        environment(&url).into_iter().filter(|(name, _)| *name != "SLIPWAY_SAMPLE_SHARE").collect::<Vec<_>>();
    let mut server = start(&registry, &digest, &without_share);
    server.ready().await;
    assert_eq!(server.post("mnist", with_id("a", 1, 1)).await.0, 200);
    assert_eq!(server.figure("slipway_server_sampled_requests_total{result=\"taken\"}").await, 0.0);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(read(&url).await.is_empty());
}
