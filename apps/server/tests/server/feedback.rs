//! Feedback: what is kept, what is not, and what a pipeline makes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use slipway_dataset::{Credentials, Store};
use slipway_object_store::{KEYS, serve};
use tempfile::TempDir;

use crate::process::{Server, list, list_with, probabilities, read};
use crate::registry::Registry;

/// A server that takes feedback into a bucket.
struct Taking {
    _registry: Registry,
    bundle: slipway_model::Bundle,
    server: Server,
    store: TempDir,
    endpoint: String,
}

async fn taking(more: &[(&str, &str)]) -> Taking {
    taking_beside(None, more).await
}

/// The same with version 4 of the model beside version 3, which is tried in this way.
async fn taking_beside(trial: Option<&str>, more: &[(&str, &str)]) -> Taking {
    let store = tempfile::tempdir().unwrap();
    std::fs::create_dir(store.path().join("landing")).unwrap();
    let endpoint = serve(store.path()).await;
    let mut environment = vec![
        ("SLIPWAY_FEEDBACK", "s3://landing"),
        ("AWS_ENDPOINT_URL_S3", &*endpoint),
        ("AWS_ACCESS_KEY_ID", KEYS.0),
        ("AWS_SECRET_ACCESS_KEY", KEYS.1),
        ("AWS_REGION", "us-east-1"),
    ];
    environment.extend(more);
    let registry = Registry::start().await;
    let (bundle, digest) = registry.register("3", 1);
    let models = match trial {
        None => list("3", &digest),
        Some(trial) => list_with("mnist", ("3", &digest), ("4", &registry.register("4", 2).1), trial),
    };
    let server = Server::start(&registry.address(), &models, &environment);
    server.ready().await;
    Taking { _registry: registry, bundle, server, store, endpoint }
}

/// Levels of a picture, different for each `of`.
fn levels(of: usize) -> Vec<u8> {
    (0..784).map(|at| ((at * 31 + of * 7) % 256) as u8).collect()
}

fn numbers(levels: &[u8]) -> Vec<f32> {
    levels.iter().map(|level| f32::from(*level) / 255.0).collect()
}

/// The request that asked about a picture.
fn request(id: &str, levels: &[u8]) -> String {
    let input = json!({"name": "image", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": numbers(levels)});
    json!({"id": id, "inputs": [input]}).to_string()
}

impl Taking {
    async fn say(&self, label: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        self.say_at(&self.server.internal, "mnist/versions/3", label, body).await
    }

    async fn say_at(&self, address: &str, model: &str, label: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("{address}/v2/models/{model}/feedback");
        read(self.server.http.post(url).query(&[("label", label)]).body(body).send().await.unwrap()).await
    }

    /// The bucket's objects.
    fn landed(&self) -> BTreeMap<String, Vec<u8>> {
        let bucket = self.store.path().join("landing");
        let mut found = BTreeMap::new();
        let mut folders = vec![bucket.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let key = path.strip_prefix(&bucket).unwrap().to_str().unwrap().to_owned();
                    found.insert(key, std::fs::read(path).unwrap());
                }
            }
        }
        found
    }

    fn keys(&self) -> Vec<String> {
        self.landed().into_keys().collect()
    }
}

fn pixels(file: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut levels).unwrap();
    levels
}

#[tokio::test]
async fn it_is_off_until_it_is_switched_on_and_then_inside_only() {
    let registry = Registry::start().await;
    let (_, digest) = registry.register("3", 1);
    let server = Server::start(&registry.address(), &list("3", &digest), &[]);
    server.ready().await;
    for address in [&server.address, &server.internal] {
        let url = format!("{address}/v2/models/mnist/feedback?label=7");
        let (status, answer) = read(server.http.post(url).body(request("a", &levels(0))).send().await.unwrap()).await;
        assert_eq!((status, &answer["error"]), (404, &json!("this address takes no feedback")));
    }
    let extensions = |about: &Value| about["extensions"].as_array().unwrap().contains(&json!("feedback"));
    assert!(!extensions(&server.get_inside("/v2").await.1));

    let taking = taking(&[]).await;
    let server = &taking.server;
    assert!(extensions(&server.get_inside("/v2").await.1) && !extensions(&server.get("/v2").await.1));
    assert_eq!(taking.say_at(&server.address, "mnist", "7", request("a", &levels(0))).await.0, 404);
    assert!(taking.keys().is_empty());

    let everywhere = self::taking(&[("SLIPWAY_FEEDBACK_PUBLIC", "true")]).await;
    assert!(extensions(&everywhere.server.get("/v2").await.1));
    let (status, answer) = everywhere.say_at(&everywhere.server.address, "mnist", "7", request("a", &levels(0))).await;
    assert_eq!((status, &answer["stored"]), (201, &json!("s3://landing/feedback-mnist/7/a.png")));
}

#[tokio::test]
async fn image_and_note_are_kept_once() {
    let taking = taking(&[]).await;
    let (status, answer) = taking.say("7", request("request-1", &levels(3))).await;
    assert_eq!(
        (status, &answer),
        (201, &json!({"stored": "s3://landing/feedback-mnist/7/request-1.png", "new": true}))
    );
    let landed = taking.landed();
    let keys = ["feedback-mnist/7/request-1.json", "feedback-mnist/7/request-1.png", "feedback-mnist/request-1.json"];
    assert_eq!(landed.keys().map(String::as_str).collect::<Vec<_>>(), keys);
    assert_eq!(pixels(&landed[keys[1]]), levels(3));
    assert_eq!(landed[keys[0]], landed[keys[2]]);

    let note: Value = serde_json::from_slice(&landed[keys[0]]).unwrap();
    let want = taking.bundle.probabilities(&numbers(&levels(3)), 1).unwrap();
    let best = (0..10).max_by(|&a, &b| want[a].total_cmp(&want[b])).unwrap();
    let found: Vec<f32> = serde_json::from_value(note["probabilities"].clone()).unwrap();
    assert!(crate::process::close(&found, &want), "{note}");
    let digest = slipway_digest::Digest::of(&landed[keys[1]]).to_string();
    let parts = ["request", "model", "version", "label", "answer", "image"].map(|part| note[part].as_str().unwrap());
    assert_eq!(parts, ["request-1", "mnist", "3", "7", &best.to_string(), &digest]);
    let (_, described) = taking.server.get("/v2/models/mnist").await;
    assert_eq!(described["versions"], json!(["3"]));
    assert!(note["digest"].as_str().unwrap().starts_with("sha256:"), "{note}");
    assert_eq!(note["classes"], json!(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]));
    assert!(note["time"].as_str().unwrap().ends_with('Z'), "{note}");

    // the same again
    let (status, answer) = taking.say("7", request("request-1", &levels(3))).await;
    assert_eq!((status, &answer["new"]), (200, &json!(false)));
    // another class, or another image
    for (label, image, says) in [("8", 3, "another class"), ("7", 4, "another image")] {
        let (status, answer) = taking.say(label, request("request-1", &levels(image))).await;
        assert!(status == 409 && answer["error"].as_str().unwrap().contains(says), "{status} {answer}");
    }
    assert_eq!(taking.landed(), landed);
    // another request about the same image is another example, for a pipeline to compare
    assert_eq!(taking.say("8", request("request-2", &levels(3))).await.0, 201);
    let counted = "slipway_server_feedback_total{code=\"409\",model=\"mnist\"}";
    assert!((taking.server.figure(counted).await - 2.0).abs() < 0.1);
}

#[tokio::test]
async fn a_canary_whose_answers_people_correct_is_switched_off() {
    let taking = taking_beside(Some("mode: canary, share: 0.5"), &[]).await;
    taking.server.challenger("running").await;
    // until it is known how quick the version in service is, the other one is not asked
    for at in 0..32 {
        assert_eq!(taking.server.post("mnist", request(&format!("early-{at}"), &levels(0))).await.0, 200);
    }
    let mut corrected = 0;
    for at in 0..200 {
        let body = request(&format!("request-{at}"), &levels(at));
        let (status, answer) = taking.server.post("mnist", body.clone()).await;
        assert_eq!(status, 200, "{answer}");
        if answer["model_version"] != "4" {
            continue;
        }
        let said = probabilities(&answer);
        let other = (0..10).min_by(|&one, &other| said[one].total_cmp(&said[other])).unwrap();
        // as the page does: of the version that has answered
        let (status, kept) =
            taking.say_at(&taking.server.internal, "mnist/versions/4", &other.to_string(), body.clone()).await;
        assert_eq!(status, 201, "{kept}");
        // the same again is no other one
        let again = taking.say_at(&taking.server.internal, "mnist/versions/4", &other.to_string(), body).await;
        assert_eq!(again.0, 200, "{}", again.1);
        corrected += 1;
        if corrected == 10 {
            break;
        }
    }
    let report = taking.server.challenger("switched_off").await;
    assert_eq!(report["because"], "corrections", "{report}");
    assert_eq!(taking.server.post("mnist", request("after", &levels(1))).await.1["model_version"], "3");
}

#[tokio::test]
async fn of_several_who_say_it_at_once_one_counts() {
    let taking = taking(&[]).await;
    for round in 0..5 {
        let body = request(&format!("round-{round}"), &levels(round));
        let labels = [0, 1, 2, 0, 1, 2].map(|label: u8| label.to_string());
        let said = futures::future::join_all(labels.iter().map(|label| taking.say(label, body.clone()))).await;
        let mut statuses: Vec<u16> = said.into_iter().map(|(status, _)| status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201, 409, 409, 409, 409]);
        let images = taking.keys().into_iter().filter(|key| key.ends_with(&format!("round-{round}.png"))).count();
        assert_eq!(images, 1);
    }
}

#[tokio::test]
async fn what_was_interrupted_is_completed_by_the_same_again() {
    let taking = taking(&[]).await;
    assert_eq!(taking.say("7", request("a", &levels(0))).await.0, 201);
    let whole = taking.landed();
    let folder = taking.store.path().join("landing/feedback-mnist/7");
    for lost in [&["a.png"][..], &["a.png", "a.json"]] {
        lost.iter().for_each(|name| std::fs::remove_file(folder.join(name)).unwrap());
        assert_eq!(taking.say("8", request("a", &levels(0))).await.0, 409);
        assert_eq!(taking.say("7", request("a", &levels(0))).await.0, 201);
        // with the note of the first time
        assert_eq!(taking.landed(), whole);
    }
}

#[tokio::test]
async fn what_is_not_feedback_is_refused_and_nothing_is_kept() {
    let taking = taking(&[]).await;
    let good = request("a", &levels(0));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body: Value = serde_json::from_str(&good).unwrap();
        change(&mut body);
        body.to_string()
    };
    let two = changed(&|body| {
        body["inputs"][0]["shape"] = json!([2, 1, 28, 28]);
        body["inputs"][0]["data"] = json!(vec![0; 1568]);
    });
    for (label, body, status, says) in [
        ("10", good.clone(), 400, "`10` is not a class of this version; its classes are 0, 1, 2"),
        ("seven", good.clone(), 400, "`seven` is not a class"),
        ("", good.clone(), 400, "the class's name"),
        ("../7", good.clone(), 400, "the class's name"),
        ("7/..", good.clone(), 400, "the class's name"),
        ("7\n", good.clone(), 400, "the class's name"),
        ("<script>alert(1)</script>", good.clone(), 400, "the class's name"),
        ("7", changed(&|body| body["id"] = Value::Null), 400, "the request has no `id`"),
        ("7", changed(&|body| body["id"] = json!("../../datasets/heads/x")), 400, "`id` is not well formed"),
        ("7", changed(&|body| body["id"] = json!("a".repeat(65))), 400, "`id` is not well formed"),
        ("7", two, 400, "about one image, and the request has 2"),
        ("7", changed(&|body| body["inputs"][0]["data"][5] = json!(0.5)), 400, "data[5] is 0.5"),
        ("7", changed(&|body| body["inputs"][0]["shape"] = json!([1, 1, 27, 28])), 400, "shape"),
        ("7", "{".to_owned(), 400, "not an inference request"),
        ("7", format!("{good}{}", " ".repeat(5 << 20)), 413, "longer than 4 MiB"),
    ] {
        let (found, answer) = taking.say(label, body).await;
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{says}: {answer}"));
        assert!(found == status && error.contains(says), "{says}: {found} {error}");
    }
    let url = format!("{}/v2/models/mnist/feedback", taking.server.internal);
    let (status, answer) = read(taking.server.http.post(&url).body(good.clone()).send().await.unwrap()).await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("?label=CLASS"), "{answer}");
    assert_eq!(taking.server.http.get(format!("{url}?label=7")).send().await.unwrap().status(), 405);
    let at = |model: &'static str| taking.say_at(&taking.server.internal, model, "7", good.clone());
    assert_eq!(at("mnist/versions/99").await.0, 404);
    assert_eq!(at("nobody").await.0, 404);
    assert!(taking.keys().is_empty(), "{:?}", taking.keys());
    assert_eq!(at("mnist").await.0, 201);
}

#[tokio::test]
async fn tensors_in_binary_form_are_feedback_too() {
    let taking = taking(&[]).await;
    let described =
        json!({"name": "image", "datatype": "FP32", "shape": [1, 784], "parameters": {"binary_data_size": 3136}});
    let head = json!({"id": "b", "inputs": [described]}).to_string();
    let mut body = head.clone().into_bytes();
    body.extend(numbers(&levels(9)).iter().flat_map(|number| number.to_le_bytes()));
    let url = format!("{}/v2/models/mnist/versions/3/feedback?label=2", taking.server.internal);
    let sent = taking.server.http.post(url).header("Inference-Header-Content-Length", head.len()).body(body);
    let (status, answer) = read(sent.send().await.unwrap()).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(pixels(&taking.landed()["feedback-mnist/2/b.png"]), levels(9));
}

#[tokio::test]
async fn too_much_is_refused_with_the_time_to_wait() {
    let limits = [
        ("SLIPWAY_FEEDBACK_PER_MINUTE", "3"),
        ("SLIPWAY_FEEDBACK_PER_ADDRESS", "1"),
        ("SLIPWAY_FEEDBACK_ADDRESS", "X-Forwarded-For"),
    ];
    let taking = taking(&limits).await;
    let from = async |client: &str, id: &str| {
        let url = format!("{}/v2/models/mnist/feedback?label=7", taking.server.internal);
        let sent = taking.server.http.post(url).header("X-Forwarded-For", client).body(request(id, &levels(0)));
        let response = sent.send().await.unwrap();
        let wait = response.headers().get("Retry-After").map(|wait| wait.to_str().unwrap().parse::<u64>().unwrap());
        (response.status().as_u16(), wait)
    };
    assert_eq!(from("10.0.0.1", "a").await, (201, None));
    // what the client itself writes into the header does not count
    let (status, wait) = from("10.0.0.2, 10.0.0.1", "b").await;
    assert!(status == 429 && (50..=60).contains(&wait.unwrap()), "{status} {wait:?}");
    assert_eq!(from("10.0.0.2", "c").await.0, 201);
    assert_eq!(from("10.0.0.3", "d").await.0, 201);
    let (status, wait) = from("10.0.0.4", "e").await;
    assert!(status == 429 && (10..=20).contains(&wait.unwrap()), "{status} {wait:?}");
    assert_eq!(taking.keys().iter().filter(|key| key.ends_with(".png")).count(), 3);
    // who is refused for another reason takes nothing from the others, and questions are answered as before
    let question = request("f", &levels(0));
    assert_eq!(taking.server.post("mnist", question).await.0, 200);
}

#[tokio::test]
async fn a_store_that_is_gone_is_no_fault_of_the_server() {
    let taking = taking(&[("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")]).await;
    let (status, answer) = taking.say("7", request("a", &levels(0))).await;
    assert_eq!((status, &answer["error"]), (503, &json!("the store does not take the feedback now")));
    assert_eq!(taking.server.post("mnist", request("a", &levels(0))).await.0, 200);
    assert_eq!(taking.server.get("/readyz").await.0, 200);
}

/// An IDX source of ten classes, and what has landed.
const DECLARATION: &str = "{apiVersion: slipway.dev/v1alpha1, kind: Dataset, metadata: {name: grown}, spec: {source: {idx: {images: x, labels: y}}, \
    classes: 10, shape: [28, 28], split: {validation: 0.2, test: 0.2, seed: 0}, \
    pipeline: {read: {landing: ['s3://landing/feedback-mnist/']}}}}";

#[tokio::test]
async fn a_pipeline_makes_a_dataset_of_it_pixel_for_pixel() {
    let taking = taking(&[]).await;
    let project = taking.store.path().join("project");
    std::fs::create_dir(&project).unwrap();
    let known: Vec<Vec<u8>> = (100..160).map(levels).collect();
    let classes: Vec<u8> = (0..60).map(|at| at % 10).collect();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(project.join(name), bytes).unwrap();
    write("x", slipway_dataset::idx::write_images(28, 28, &known.concat()).unwrap());
    write("y", slipway_dataset::idx::write_labels(&classes).unwrap());
    let said: Vec<(Vec<u8>, u8)> = (0..12).map(|of| (levels(of), (of % 10) as u8)).collect();
    for (at, (image, label)) in said.iter().enumerate() {
        assert_eq!(taking.say(&label.to_string(), request(&format!("id-{at}"), image)).await.0, 201);
    }
    let (built, items) = build(&taking.endpoint, &project).await;
    assert_eq!((built.report.items, built.report.set_aside.count), (72, 0), "{:?}", built.report.set_aside);
    for (image, label) in said {
        assert!(items.contains(&(image, label)), "an image of class {label} is not in the dataset");
    }
}

/// The dataset, and the pixels and the label of each of its images.
async fn build(endpoint: &str, project: &Path) -> (slipway_pipeline::Built, Vec<(Vec<u8>, u8)>) {
    let keys = Credentials { access_key: KEYS.0.to_owned(), secret_key: KEYS.1.to_owned(), session_token: None };
    let store = Store::new(endpoint, "datasets", keys, "us-east-1").unwrap();
    let declaration = slipway_experiment::parse_dataset("grown.yaml", DECLARATION).unwrap();
    let cache: PathBuf = project.join("cache");
    let temporary = slipway_pipeline::Temporary::new(&project.join("temporary")).unwrap();
    let sources = slipway_sources::Places {
        project: project.to_owned(),
        cache: cache.clone(),
        repin: false,
        limits: slipway_sources::Limits::default(),
    };
    let places = slipway_pipeline::Places { sources, npm: None, temporary: temporary.path().to_owned() };
    let built = slipway_pipeline::build(&declaration, &places, &store, |_| {}).await.unwrap();
    let dataset = store.fetch(&built.digest, &cache).await.unwrap();
    let of = |split: &slipway_dataset::Split| {
        split.images.chunks_exact(784).map(<[u8]>::to_vec).zip(split.labels.clone()).collect::<Vec<_>>()
    };
    let items = [&dataset.train, &dataset.validation, &dataset.test].into_iter().flat_map(of).collect();
    (built, items)
}
