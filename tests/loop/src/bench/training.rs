//! Training, beside the same network in PyTorch: throughput, and the time from launch to the first step. Workers are processes with the
//! environment of a job's, and torchrun starts PyTorch's.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use slipway_object_store::{KEYS, serve};

use super::measurement::{Goal, Measurements};
use crate::programs::{given, program};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    steady_images_per_second: f64,
    first_step_seconds: f64,
    /// The parts of a step.
    step_microseconds: BTreeMap<String, f64>,
}

/// Processes, and threads of each. Two cores are busy in each case but the first.
const LAYOUTS: [(usize, usize); 3] = [(1, 1), (1, 2), (2, 1)];
/// Images in one step over all workers.
const BATCHES: [usize; 2] = [64, 256];
const STEPS: usize = 250;
/// Long enough for some checkpoints, one each second.
const STEPS_WITH_CHECKPOINTS: usize = 1_500;

/// What two workers, or one, should reach of PyTorch's images a second.
fn goal(workers: usize, batch: usize, way: Option<&str>) -> Option<Goal> {
    let least = match (workers, batch, way) {
        (1, 64, _) => 1.0,
        (1, _, _) => 1.05,
        (_, 64, Some("memory")) => 2.0,
        (_, 64, Some("tcp")) => 1.6,
        (_, _, Some("memory" | "tcp")) => 1.25,
        _ => return None,
    };
    Some(Goal::AtLeast(least))
}

/// One round: the `cnn` on each layout with each batch, in PyTorch and here; two workers exchange gradients in each way; and what checkpoints cost.
pub async fn round(figures: &mut Measurements) -> Result<()> {
    for (workers, threads) in LAYOUTS {
        for batch in BATCHES {
            let name = match (workers, threads) {
                (1, 1) => format!("training, 1 thread, batch {batch}"),
                (1, _) => format!("training, {threads} threads, batch {batch}"),
                _ => format!("training, {workers} workers, batch {batch}"),
            };
            let peer = pytorch(workers, threads, batch)?;
            figures.add(&format!("{name}: PyTorch"), "images/s", peer);
            let ways: &[_] = if workers == 1 { &[None] } else { &[Some("memory"), Some("tcp"), Some("gloo")] };
            for way in ways {
                let name = way.map_or_else(|| name.clone(), |way| format!("{name}, {way}"));
                let case = Case { workers, threads, batch, way: *way, steps: STEPS, store: None };
                let report = case.train()?;
                figures.add(&name, "images/s", report.steady_images_per_second);
                let share = report.steady_images_per_second / peer;
                figures.add_to(&format!("{name}: share of PyTorch's"), "×", goal(workers, batch, *way), share);
                if batch == BATCHES[0] && threads == 1 && matches!(way, None | Some("memory")) {
                    let s = if workers == 1 { "" } else { "s" };
                    figures.add(&format!("launch to first step, {workers} worker{s}"), "s", report.first_step_seconds);
                }
            }
        }
    }
    checkpoints(figures).await
}

/// Two workers that store a checkpoint each second, thirty times as often as they do by default, and the same two without.
async fn checkpoints(figures: &mut Measurements) -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("checkpoints"))?;
    let store = serve(folder.path()).await;
    let without = Case {
        workers: 2,
        threads: 1,
        batch: BATCHES[0],
        way: Some("memory"),
        steps: STEPS_WITH_CHECKPOINTS,
        store: None,
    };
    let with = Case { store: Some((store.as_str(), folder.path())), ..without };
    let (without, with) = (without.train()?, with.train()?);
    let spent: f64 = with.step_microseconds.values().sum();
    let stalled = with.step_microseconds.get("checkpoint").context("the checkpoint's part of a step")?;
    let name = "training, 2 workers, a checkpoint a second";
    figures.add_for(&format!("{name}: share of a step's time"), "", Goal::AtMost(0.01), stalled / spent);
    let share = with.steady_images_per_second / without.steady_images_per_second;
    figures.add(&format!("{name}: images/s, share of those without"), "×", share);
    Ok(())
}

/// Workers of one training.
#[derive(Clone, Copy)]
struct Case<'a> {
    workers: usize,
    threads: usize,
    batch: usize,
    way: Option<&'a str>,
    steps: usize,
    /// The S3 endpoint in which they store checkpoints, and a folder for what they download.
    store: Option<(&'a str, &'a Path)>,
}

impl Case<'_> {
    fn train(&self) -> Result<Report> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let children = (0..self.workers).map(|rank| self.launch(rank, port)).collect::<Result<Vec<_>>>()?;
        let mut report = None;
        for (rank, child) in children.into_iter().enumerate() {
            let output = child.wait_with_output()?;
            ensure!(output.status.success(), "worker {rank}: {}", String::from_utf8_lossy(&output.stderr));
            if rank == 0 {
                report = Some(serde_json::from_slice(&output.stdout).context("the trainer's report")?);
            }
        }
        report.context("there is a rank 0")
    }

    fn launch(&self, rank: usize, port: u16) -> Result<Child> {
        let mut command = Command::new(program("slipway-trainer")?);
        command
            .args(["bench", "--batch-size", &self.batch.to_string(), "--steps", &self.steps.to_string()])
            .env("PET_NNODES", self.workers.to_string())
            .env("PET_NPROC_PER_NODE", "1")
            .env("PET_NODE_RANK", rank.to_string())
            .env("PET_MASTER_ADDR", "127.0.0.1")
            .env("PET_MASTER_PORT", port.to_string())
            .env("OMP_NUM_THREADS", self.threads.to_string())
            .envs(self.way.map(|way| ("SLIPWAY_EXCHANGE", way)));
        if let Some((store, folder)) = self.store {
            command
                .args(["--job", "stall"])
                .env("SLIPWAY_CACHE", folder.join("cache"))
                .env("SLIPWAY_CHECKPOINT_STORE", "s3://checkpoints")
                .env("SLIPWAY_CHECKPOINT_SECONDS", "1")
                .env("AWS_ENDPOINT_URL_S3", store)
                .env("AWS_ACCESS_KEY_ID", KEYS.0)
                .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
                .env("AWS_REGION", "us-east-1");
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().context("cannot start the trainer")
    }
}

/// Images per second of the same network in PyTorch.
fn pytorch(workers: usize, threads: usize, batch: usize) -> Result<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("torch_training.py");
    let mut command = Command::new(given("SLIPWAY_PYTHON_TORCH")?);
    if workers > 1 {
        command.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", &workers.to_string()]);
    }
    let output = command
        .arg(script)
        .args([batch.to_string(), STEPS.to_string()])
        .env("OMP_NUM_THREADS", threads.to_string())
        .env("GLOO_SOCKET_IFNAME", "lo")
        .stdin(Stdio::null())
        .output()
        .context("cannot start PyTorch")?;
    ensure!(output.status.success(), "PyTorch: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().context("PyTorch's images per second")
}
