//! Models that were trained elsewhere: TorchScript and compiled packages, made by PyTorch.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use half::{bf16, f16};
use serde_json::{Value, json};

use crate::process::{Server, lists, read};
use crate::registry::Registry;

/// Where the models are, each in a folder of its name. They are made once for all tests of a run.
pub(crate) fn made() -> &'static Path {
    static MADE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MADE.get_or_init(|| {
        let python = std::env::var_os("SLIPWAY_PYTHON_TORCH");
        let python = python.expect("SLIPWAY_PYTHON_TORCH is not set: run this through `make test`");
        let folder = tempfile::tempdir().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/models.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(folder.path())
            .arg("--compiled")
            .env("TORCHINDUCTOR_CACHE_DIR", folder.path().join("cache"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = folder.path().to_owned();
        (folder, path)
    });
    path
}

/// A server with these models in service, each as version 1.
async fn serving(names: &[&str], environment: &[(&str, &str)]) -> (Registry, Server) {
    let registry = Registry::start().await;
    let digests: Vec<String> =
        names.iter().map(|name| registry.register_folder(name, "1", &made().join(name))).collect();
    let pins: Vec<_> = names.iter().zip(&digests).map(|(name, digest)| (*name, "1", digest.as_str())).collect();
    let server = Server::start(&registry.address(), &lists(&pins), environment);
    server.ready().await;
    (registry, server)
}

pub(crate) fn input(name: &str, datatype: &str, shape: &[usize], data: Value) -> Value {
    json!({"name": name, "datatype": datatype, "shape": shape, "data": data})
}

pub(crate) fn inputs(inputs: &[Value]) -> String {
    json!({ "inputs": inputs }).to_string()
}

fn close(found: &Value, expected: &[f64]) -> bool {
    let found: Vec<f64> = found.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
    found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6)
}

/// What the model `wine` answers for [1, 0, 0] and [0, 2, 0].
const WINE: [f64; 4] = [0.731_058_578, 0.268_941_421, 0.119_202_922, 0.880_797_077];

#[tokio::test]
async fn scripts_and_packages_answer_alike() {
    let (_registry, server) = serving(&["wine", "wine-compiled"], &[]).await;
    for (name, platform) in [("wine", "pytorch_torchscript"), ("wine-compiled", "pytorch_aotinductor")] {
        let (_, described) = server.get(&format!("/v2/models/{name}")).await;
        assert_eq!((&described["platform"], &described["labels"]), (&json!(platform), &json!(["red", "white"])));
        assert_eq!(
            described["inputs"],
            json!([{"name": "row", "datatype": "FP32", "shape": [-1, 3], "columns": ["acid", "sugar", "alcohol"]}])
        );
        let body = inputs(&[input("row", "FP32", &[2, 3], json!([[1, 0, 0], [0, 2, 0]]))]);
        let (status, answer) = server.post(name, body).await;
        assert!(status == 200 && close(&answer["outputs"][0]["data"], &WINE), "{name}: {answer}");
        assert_eq!(answer["outputs"][0]["shape"], json!([2, 2]));
        // one row: less than what PyTorch compiles for
        let (status, answer) = server.post(name, inputs(&[input("", "FP32", &[1, 3], json!([1, 0, 0]))])).await;
        assert!(status == 200 && close(&answer["outputs"][0]["data"], &WINE[..2]), "{name}: {answer}");
        let mut body: Value =
            serde_json::from_str(&inputs(&[input("row", "FP32", &[2, 3], json!([1, 0, 0, 0, 2, 0]))])).unwrap();
        body["outputs"] = json!([{"name": "probabilities", "parameters": {"classification": 1}}]);
        let (_, answer) = server.post(name, body.to_string()).await;
        let classes = &answer["outputs"][0];
        assert_eq!((&classes["datatype"], &classes["shape"]), (&json!("BYTES"), &json!([2, 1])), "{answer}");
        assert_eq!(classes["data"], json!(["0.7310586:0:red", "0.880797:1:white"]));
    }
    let memory = server.figure("slipway_server_model_memory_bytes{model=\"wine\",version=\"1\"}").await;
    assert!(memory > 1000.0, "{memory}");
    // unpacked while it is loaded, and only into the cache
    let unpacked = std::fs::read_dir(server.folder.path().join("cache/unpacked")).unwrap().count();
    assert_eq!(unpacked, 1);
}

#[tokio::test]
async fn every_datatype_comes_back_as_it_went_in_both_as_json_and_as_bytes() {
    let (_registry, server) = serving(&["every"], &[]).await;
    let halves = |numbers: [f32; 2], write: fn(f32) -> [u8; 2]| numbers.map(write).concat();
    let cases: Vec<(&str, Value, Vec<u8>)> = vec![
        ("BOOL", json!([true, false]), vec![1, 0]),
        ("UINT8", json!([0, 255]), vec![0, 255]),
        ("INT8", json!([-128, 127]), vec![128, 127]),
        ("INT16", json!([-32768, 5]), [i16::MIN, 5].map(i16::to_le_bytes).concat()),
        ("INT32", json!([i32::MIN, 7]), [i32::MIN, 7].map(i32::to_le_bytes).concat()),
        ("INT64", json!([i64::MIN, i64::MAX]), [i64::MIN, i64::MAX].map(i64::to_le_bytes).concat()),
        ("FP16", json!([0.5, -65504.0]), halves([0.5, -65504.0], |number| f16::from_f32(number).to_le_bytes())),
        ("BF16", json!([-2.0, 0.25]), halves([-2.0, 0.25], |number| bf16::from_f32(number).to_le_bytes())),
        ("FP32", json!([0.1, -1.5]), [0.1_f32, -1.5].map(f32::to_le_bytes).concat()),
        ("FP64", json!([0.1, 1e300]), [0.1_f64, 1e300].map(f64::to_le_bytes).concat()),
    ];
    let json = cases.iter().map(|(name, data, _)| input(&format!("in_{name}"), name, &[1, 2], data.clone()));
    let (status, answer) = server.post("every", inputs(&json.collect::<Vec<_>>())).await;
    assert_eq!(status, 200, "{answer}");
    for ((name, data, _), output) in cases.iter().zip(answer["outputs"].as_array().unwrap()) {
        assert_eq!((&output["name"], &output["datatype"], &output["data"]), (&json!(name), &json!(name), data));
    }
    let sized = |(name, _, bytes): &(&str, Value, Vec<u8>)| json!({"name": format!("in_{name}"), "datatype": name, "shape": [1, 2], "parameters": {"binary_data_size": bytes.len()}});
    let head =
        json!({"inputs": cases.iter().map(sized).collect::<Vec<_>>(), "parameters": {"binary_data_output": true}});
    let head = head.to_string();
    let tail: Vec<u8> = cases.iter().flat_map(|(.., bytes)| bytes.clone()).collect();
    let url = format!("{}/v2/models/every/infer", server.address);
    let asked = server.http.post(url).header("inference-header-content-length", head.len());
    let response = asked.body([head.as_bytes(), &tail].concat()).send().await.unwrap();
    let length: usize = response.headers()["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let bytes = response.bytes().await.unwrap();
    assert_eq!(bytes[length..], tail);
}

#[tokio::test]
async fn several_tensors_of_any_length_are_batched_by_shape() {
    let (_registry, server) = serving(&["words", "fixed"], &[("SLIPWAY_WORKERS", "1")]).await;
    let server = std::sync::Arc::new(server);
    let words = |rows: usize, length: usize, from: usize| {
        let ids: Vec<usize> = (0..rows * length).map(|at| (at + from) % 10).collect();
        let mask = vec![true; rows * length];
        let sums: Vec<f64> = ids
            .chunks(length)
            .flat_map(|row| [0, 1].map(|at| row.iter().map(|id| (id * 2 + at) as f64).sum::<f64>()))
            .collect();
        let shape = [rows, length];
        (inputs(&[input("mask", "BOOL", &shape, json!(mask)), input("ids", "INT64", &shape, json!(ids))]), sums)
    };
    let clients = (0..24).map(|at| {
        let server = std::sync::Arc::clone(&server);
        let (body, sums) = words(1 + at % 3, 2 + at % 2, at);
        tokio::spawn(async move {
            for _ in 0..10 {
                let (status, answer) = server.post("words", body.clone()).await;
                assert!(status == 200 && close(&answer["outputs"][0]["data"], &sums), "{at}: {answer}");
                assert_eq!(answer["outputs"][1]["data"], json!(vec![2 + at % 2; 1 + at % 3]));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let (_, counts) = server.get("/v2/models/words/stats").await;
    let counts = &counts["model_stats"][0];
    assert_eq!(
        (&counts["inference_count"], &counts["inference_stats"]["success"]["count"]),
        (&json!(480), &json!(240))
    );
    assert!(counts["execution_count"].as_u64().unwrap() < 240, "nothing was batched: {counts}");
    // an id that the model does not have fails alone, whatever it was batched with
    let bad = inputs(&[input("mask", "BOOL", &[1, 2], json!([1, 1])), input("ids", "INT64", &[1, 2], json!([1, 99]))]);
    let (good, _) = words(1, 2, 0);
    let asked = (0..16).map(|at| {
        let (server, body) = (std::sync::Arc::clone(&server), if at % 4 == 0 { bad.clone() } else { good.clone() });
        tokio::spawn(async move { (at, server.post("words", body).await) })
    });
    for asked in asked.collect::<Vec<_>>() {
        let (at, (status, answer)) = asked.await.unwrap();
        assert_eq!(status, if at % 4 == 0 { 500 } else { 200 }, "{answer}");
        assert!(at % 4 != 0 || answer["error"].as_str().unwrap().contains("index out of range"), "{answer}");
    }
    // no batch: two rows, no more and no fewer
    let (status, answer) =
        server.post("fixed", inputs(&[input("x", "FP32", &[2, 3], json!([1, 2, 3, 4, 5, 6]))])).await;
    assert!(status == 200 && answer["outputs"][0] == input("y", "FP32", &[], json!([21.0])), "{answer}");
    let (status, answer) = server.post("fixed", inputs(&[input("x", "FP32", &[1, 3], json!([1, 2, 3]))])).await;
    assert!(status == 400 && answer["error"] == "the shape is [1, 3]; expected [2, 3]", "{answer}");
}

#[tokio::test]
async fn requests_that_are_not_what_the_model_takes_are_refused() {
    let (_registry, server) = serving(&["wine", "words"], &[]).await;
    let row = |shape: &[usize], data: Value| inputs(&[input("row", "FP32", shape, data)]);
    let cases = [
        (
            "wine",
            inputs(&[input("row", "FP64", &[1, 3], json!([1, 2, 3]))]),
            400,
            "the datatype is `FP64`; expected FP32",
        ),
        ("wine", inputs(&[input("column", "FP32", &[1, 3], json!([1, 2, 3]))]), 400, "named `column`; expected row"),
        ("wine", row(&[1, 4], json!([1, 2, 3, 4])), 400, "the shape is [1, 4]; expected [n, 3]"),
        ("wine", row(&[1, 3], json!([1, 2, 3, 4])), 400, "data has 4 numbers; the shape needs 3"),
        ("wine", row(&[2, 3], json!([[1, 2, 3], [4, 5]])), 400, "data is ragged: a list has 2 elements"),
        ("wine", row(&[1, 3], json!(["a", "b", "c"])), 400, "expected a list of numbers"),
        ("wine", row(&[1025, 3], json!(vec![0; 3075])), 413, "1025 rows; at most 1024 in one request"),
        ("words", inputs(&[input("ids", "INT64", &[1, 1], json!([1]))]), 400, "1 inputs; expected 2: ids and mask"),
        (
            "words",
            inputs(&[input("ids", "INT64", &[1, 1], json!([1.5])), input("mask", "BOOL", &[1, 1], json!([1]))]),
            400,
            "data[0] is 1.5; INT64 holds whole numbers",
        ),
        (
            "words",
            inputs(&[input("ids", "BYTES", &[1, 1], json!(["a"])), input("mask", "BOOL", &[1, 1], json!([1]))]),
            400,
            "list of numbers",
        ),
    ];
    for (model, body, status, says) in cases {
        let (found, answer) = server.post(model, body).await;
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{says}: {answer}"));
        assert!(found == status && error.contains(says), "{says}: {found} {error}");
    }
    assert_eq!(server.post("wine", row(&[1, 3], json!([1, 2, 3]))).await.0, 200);
}

#[tokio::test]
async fn numbers_that_are_not_finite_are_binary_or_an_error() {
    let registry = Registry::start().await;
    registry.register_folder("log", "1", &made().join("log"));
    let server = Server::start(&registry.address(), "models: []", &[]);
    let body = |binary: bool| {
        let wanted = json!([{"name": "y", "parameters": {"binary_data": binary}}]);
        json!({"inputs": [input("x", "FP32", &[1, 2], json!([0, 1]))], "outputs": wanted}).to_string()
    };
    let (status, answer) = server.post_inside("log/versions/1", body(false)).await;
    let error = answer["error"].as_str().unwrap();
    assert!(status == 500 && error.contains("output `y` has numbers that are not finite") && error.contains("binary"));
    let url = format!("{}/v2/models/log/versions/1/infer", server.internal);
    let response = server.http.post(url).body(body(true)).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let bytes = response.bytes().await.unwrap();
    assert_eq!(bytes[bytes.len() - 8..], [f32::NEG_INFINITY, 0.0].map(f32::to_le_bytes).concat());
}

#[tokio::test]
async fn a_model_that_is_not_what_it_says_is_refused_with_the_reason() {
    let registry = Registry::start().await;
    let folder = tempfile::tempdir().unwrap();
    // A copy of a model with one file changed.
    let changed = |from: &str, name: &str, file: &str, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let copy = folder.path().join(name);
        std::fs::create_dir_all(copy.join("slipway")).unwrap();
        for entry in std::fs::read_dir(made().join(from).join("slipway")).unwrap() {
            let entry = entry.unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            let bytes = if entry.file_name() == file { change(bytes) } else { bytes };
            std::fs::write(copy.join("slipway").join(entry.file_name()), bytes).unwrap();
        }
        copy
    };
    let half = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let edited = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(from, to).into_bytes()
    };
    let at = |name: &str| made().join(name);
    let cases = [
        (at("another-width"), "mat1 and mat2 shapes cannot be multiplied"),
        (at("another-type"), "its output `probabilities` is FP32 [2, 2], but its signature says FP64 [-1, 2]"),
        (at("another-number"), "it returns 2 tensors; its signature has 1"),
        (at("wine-compiled-another-width"), "unmatched dim value at 1, expected: 3, but got: 4"),
        (changed("wine", "half", "model.ts", &half), "slipway/model.ts does not load as torchscript"),
        (
            changed("wine-compiled", "half-compiled", "model.pt2", &half),
            "slipway/model.pt2 does not load as aotinductor",
        ),
        (changed("wine", "engine", "model.json", &edited("torchscript", "onnx")), "unknown variant `onnx`"),
        (
            changed("wine", "bytes", "model.json", &edited("FP32", "BYTES")),
            "the datatype BYTES has no tensor in libtorch",
        ),
        (
            changed("wine", "file", "model.json", &edited("model.ts", "other.ts")),
            "file is `other.ts`, which is not there",
        ),
        (
            changed("wine", "swapped", "model.json", &edited("torchscript", "aotinductor")),
            "does not load as aotinductor",
        ),
    ];
    let server = Server::start(&registry.address(), "models: []", &[]);
    for (folder, says) in cases {
        let name = folder.file_name().unwrap().to_str().unwrap();
        registry.register_folder(name, "1", &folder);
        let (status, answer) = server.post_inside(&format!("{name}/versions/1"), "{}").await;
        let error = answer["error"].as_str().unwrap();
        assert!(status == 503 && error.contains(says), "{name}: {status} {error}");
        assert!(error.starts_with(&format!("version 1 of {name}: ")), "{error}");
    }
    // the server itself is as before
    assert_eq!(server.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn models_share_their_memory() {
    let registry = Registry::start().await;
    for version in ["1", "2", "3"] {
        registry.register_folder("wine", version, &made().join("wine"));
    }
    let server = Server::start(&registry.address(), "models: []", &[("SLIPWAY_MODEL_MEMORY_MIB", "1")]);
    let (status, answer) = server.post_inside("wine/versions/1", "{}").await;
    let error = answer["error"].as_str().unwrap();
    assert!(status == 503 && error.contains("it needs ") && error.contains("of the 1 MiB for models only"), "{error}");
    assert!(error.contains("SLIPWAY_MODEL_MEMORY_MIB"), "{error}");

    let row = inputs(&[input("row", "FP32", &[1, 3], json!([1, 0, 0]))]);
    let server = Server::start(&registry.address(), "models: []", &[]);
    assert_eq!(server.post_inside("wine/versions/1", row.clone()).await.0, 200);
    let one = server.figure("slipway_server_model_memory_bytes{model=\"wine\",version=\"1\"}").await;
    // room for one, but not for two: the one that was used last stays
    let room = ((one * 1.6) as u64 >> 20).max(1).to_string();
    let server = Server::start(&registry.address(), "models: []", &[("SLIPWAY_MODEL_MEMORY_MIB", &room)]);
    for version in ["1", "2", "3"] {
        assert_eq!(server.post_inside(&format!("wine/versions/{version}"), row.clone()).await.0, 200, "{version}");
    }
    let (_, index) =
        read(server.http.post(format!("{}/v2/repository/index", server.internal)).send().await.unwrap()).await;
    let states: Vec<&Value> = index.as_array().unwrap().iter().map(|entry| &entry["state"]).collect();
    assert_eq!(states.iter().filter(|state| **state == "READY").count(), 1, "{index}");
    let ready = server.http.post(format!("{}/v2/repository/index", server.internal)).body(r#"{"ready": true}"#);
    assert_eq!(read(ready.send().await.unwrap()).await.1.as_array().unwrap().len(), 1);
}
