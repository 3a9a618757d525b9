//! Data parallelism as it runs in a job: real processes of the real program on loopback.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use slipway_model::Architecture;
use tch::Tensor;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts worker `rank` of `world_size` with these arguments. Gradients travel in the fastest way, or as `exchange` says.
fn worker(rank: usize, world_size: usize, port: u16, exchange: Option<&str>, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_slipway-trainer"))
        .args(arguments)
        .env("PET_NNODES", world_size.to_string())
        .env("PET_NPROC_PER_NODE", "1")
        .env("PET_NODE_RANK", rank.to_string())
        .env("PET_MASTER_ADDR", "127.0.0.1")
        .env("PET_MASTER_PORT", port.to_string())
        .env("OMP_NUM_THREADS", "1")
        .env_remove("SLIPWAY_TRIAL")
        .env_remove("SLIPWAY_EXCHANGE")
        .envs(exchange.map(|exchange| ("SLIPWAY_EXCHANGE", exchange)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs `bench` on that many workers, and returns rank 0's report and weights, which all others must have to the bit.
fn bench(world_size: usize, arguments: &[&str]) -> (serde_json::Value, HashMap<String, Tensor>) {
    bench_by(None, world_size, arguments)
}

fn bench_by(
    exchange: Option<&str>,
    world_size: usize,
    arguments: &[&str],
) -> (serde_json::Value, HashMap<String, Tensor>) {
    let dir = tempfile::tempdir().unwrap();
    let weights = dir.path().join("weights.safetensors");
    let port = free_port();
    let path = weights.to_str().unwrap();
    let workers: Vec<_> = (0..world_size)
        .map(|rank| worker(rank, world_size, port, exchange, &[&["bench", "--weights", path], arguments].concat()))
        .collect();
    let outputs: Vec<Output> = workers.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    for output in &outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let report = serde_json::from_slice(&outputs[0].stdout).unwrap();
    let weights_of_rank_0 = read(&weights);
    for rank in 1..world_size {
        let others = read(&weights.with_added_extension(rank.to_string()));
        assert_eq!(farthest(&weights_of_rank_0, &others), 0.0, "worker {rank} has other weights: {report}");
    }
    (report, weights_of_rank_0)
}

fn read(path: &Path) -> HashMap<String, Tensor> {
    Tensor::read_safetensors(path).unwrap().into_iter().collect()
}

fn farthest(a: &HashMap<String, Tensor>, b: &HashMap<String, Tensor>) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().map(|(name, tensor)| (tensor - &b[name]).abs().max().double_value(&[])).fold(0.0, f64::max)
}

#[test]
fn two_workers_learn_what_one_does() {
    // two steps of the plainest kind: what differs is rounding, which deep networks and Adam amplify from step to step
    let plain = ["--dropout", "0", "--optimizer", "sgd", "--learning-rate", "0.01"];
    for (architecture, _) in Architecture::WORDS {
        let plain = [&["--architecture", architecture], &plain[..]].concat();
        let weights = two_are_one(architecture, &[&plain[..], &["--steps", "2"]].concat());
        let (_, before) = bench(1, &[&plain[..], &["--steps", "1"]].concat());
        assert!(farthest(&before, &weights) > 1e-3, "{architecture}: nothing was learned");
    }
    for architecture in ["cnn", "mlp"] {
        two_are_one(architecture, &["--architecture", architecture, "--steps", "20", "--dropout", "0"]);
    }
}

#[test]
fn two_workers_augment_and_slow_down_as_one_does() {
    // two epochs, so that each image is changed twice
    let plain = ["--dropout", "0", "--steps", "20", "--images", "640", "--optimizer", "sgd", "--learning-rate", "0.01"];
    let cosine = [&plain[..], &["--cosine"]].concat();
    let augmented = [&cosine[..], &["--shift", "2", "--rotation", "10"]].concat();
    let all = [&plain[..], &cosine, &augmented].map(|arguments| two_are_one("cnn", arguments));
    assert!(farthest(&all[0], &all[1]) > 1e-3 && farthest(&all[1], &all[2]) > 1e-3, "an option has no effect");
}

/// Trains on one worker and on two, compares both, and returns the weights of the one.
fn two_are_one(name: &str, arguments: &[&str]) -> HashMap<String, Tensor> {
    let (one, weights_of_one) = bench(1, arguments);
    let (two, weights_of_two) = bench(2, arguments);
    assert_eq!((one["workers"].as_u64(), two["workers"].as_u64()), (Some(1), Some(2)));
    let difference = farthest(&weights_of_one, &weights_of_two);
    assert!(difference < 1e-5, "{name}: weights differ by {difference}");
    for (a, b) in one["losses"].as_array().unwrap().iter().zip(two["losses"].as_array().unwrap()) {
        assert!((a.as_f64().unwrap() - b.as_f64().unwrap()).abs() < 1e-5, "{name}: {a} {b}");
    }
    weights_of_one
}

#[test]
fn every_exchange_gives_the_same_weights() {
    // three workers, so that the order of adding matters
    let arguments = ["--batch-size", "48", "--steps", "25", "--dropout", "0.25"];
    let (memory, tcp) = (bench_by(Some("memory"), 3, &arguments), bench_by(Some("tcp"), 3, &arguments));
    let gloo = bench_by(Some("gloo"), 3, &[&arguments[..], &["--optimizer", "sgd"]].concat());
    let ours = bench_by(None, 3, &[&arguments[..], &["--optimizer", "sgd"]].concat());
    let said = [&memory, &tcp, &gloo, &ours].map(|(report, _)| report["exchange"].as_str().unwrap().to_owned());
    assert_eq!(said, ["memory", "tcp", "gloo", "memory"]);
    assert_eq!(farthest(&memory.1, &tcp.1), 0.0);
    assert_eq!(memory.0["losses"], tcp.0["losses"]);
    let rounding = farthest(&gloo.1, &ours.1);
    assert!(rounding < 1e-4, "{rounding}");
}

#[test]
fn a_setting_that_means_nothing_is_refused() {
    let output = worker(0, 2, free_port(), Some("carrier pigeon"), &["bench"]).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("SLIPWAY_EXCHANGE"));
}

#[test]
fn a_profile_says_where_a_step_goes() {
    let output = worker(0, 1, 1, None, &["bench", "--steps", "30", "--profile"]).wait_with_output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(
        names,
        ["data", "forward", "backward", "exchange", "optimizer", "telling", "checkpoint", "step"],
        "{table}"
    );
    let too_few = worker(0, 1, 1, None, &["bench", "--steps", "5", "--profile"]).wait_with_output().unwrap();
    assert_eq!(too_few.status.code(), Some(3));
}

#[test]
fn two_workers_stop_early_together() {
    // the mlp knows the synthetic images by heart after a few of these 60 epochs
    let arguments = ["--architecture", "mlp", "--images", "640", "--steps", "600", "--patience", "2"];
    let (report, _) = bench(2, &arguments);
    let (steps, kept) = (report["steps"].as_u64().unwrap(), report["keptEpoch"].as_u64().unwrap());
    assert_eq!(steps, (kept + 3) * 10, "two epochs follow the best one: {report}");
    assert!(steps < 600, "{report}");
}

#[test]
fn a_run_repeated_is_the_same_to_the_bit() {
    for (architecture, _) in Architecture::WORDS {
        let arguments = ["--architecture", architecture, "--steps", "25", "--dropout", "0.25", "--shift", "1"];
        let (first, weights) = bench(2, &arguments);
        let (second, weights_again) = bench(2, &arguments);
        assert_eq!(first["losses"], second["losses"], "{architecture}");
        assert_eq!(first["losses"].as_array().unwrap().len(), 25);
        assert_eq!(farthest(&weights, &weights_again), 0.0, "{architecture}");
    }
}

#[test]
fn a_dead_worker_ends_the_other() {
    for exchange in ["memory", "tcp", "gloo"] {
        let port = free_port();
        // far more steps than can be done while the test runs
        let arguments = ["bench", "--steps", "10000000"];
        let mut survivor = worker(0, 2, port, Some(exchange), &arguments);
        let mut victim = worker(1, 2, port, Some(exchange), &arguments);
        // both workers do the first step together
        let mut log = BufReader::new(survivor.stderr.take().unwrap()).lines();
        assert!(log.any(|line| line.unwrap().contains("first_step")));
        assert!(victim.try_wait().unwrap().is_none(), "ended before it was killed");
        victim.kill().unwrap();
        victim.wait().unwrap();
        let killed = Instant::now();
        let log: Vec<_> = log.map(|line| line.unwrap()).collect();
        let status = survivor.wait().unwrap();
        assert!(killed.elapsed() < Duration::from_secs(10), "{exchange} took {:?}", killed.elapsed());
        assert_eq!(status.code(), Some(8), "{exchange}");
        assert!(log.iter().any(|line| line.contains("another worker has ended")), "{log:?}");
    }
}

#[test]
fn a_worker_that_hangs_ends_the_other_over_shared_memory() {
    a_stopped_worker_is_noticed("memory");
}

#[test]
fn a_worker_that_hangs_ends_the_other_over_tcp() {
    a_stopped_worker_is_noticed("tcp");
}

/// Its process is there and its connections are open, but nothing comes from it.
fn a_stopped_worker_is_noticed(exchange: &str) {
    let port = free_port();
    // an epoch that does not end while the test runs
    let arguments = ["bench", "--steps", "10000000", "--images", "100000", "--batch-size", "2"];
    let mut survivor = worker(0, 2, port, Some(exchange), &arguments);
    let mut victim = worker(1, 2, port, Some(exchange), &arguments);
    let mut log = BufReader::new(survivor.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("first_step")));
    // two more steps, each of which takes a millisecond or so
    std::thread::sleep(Duration::from_secs(3));
    assert!(Command::new("kill").args(["-STOP", &victim.id().to_string()]).status().unwrap().success());
    let stopped = Instant::now();
    let log: Vec<_> = log.map(|line| line.unwrap()).collect();
    let status = survivor.wait().unwrap();
    let took = stopped.elapsed();
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(status.code(), Some(8), "{exchange}");
    assert!(log.iter().any(|line| line.contains("nothing has come from worker 1")), "{log:?}");
    // not the limit of an exchange before which others may evaluate
    assert!(took < Duration::from_secs(250), "{exchange} took {took:?}: {log:?}");
}

#[test]
fn a_worker_that_waits_in_vain_says_so() {
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_slipway-trainer"))
        .args(["bench"])
        .envs([
            ("PET_NNODES", "2"),
            ("PET_NPROC_PER_NODE", "1"),
            ("PET_NODE_RANK", "0"),
            ("PET_MASTER_ADDR", "127.0.0.1"),
        ])
        .env("PET_MASTER_PORT", free_port().to_string())
        .env("SLIPWAY_RENDEZVOUS_TIMEOUT", "2")
        .output()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(output.status.code(), Some(8));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("2 workers did not meet at 127.0.0.1"), "{log}");
}

#[test]
fn a_malformed_environment_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_slipway-trainer")).args(["bench"]).env("PET_NNODES", "2").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("PET_NODE_RANK"), "{log}");
}
