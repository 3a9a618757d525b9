//! Training, beside the same network in PyTorch: throughput, and the time from launch to the first step. Workers are processes with the
//! environment of a job's, and torchrun starts PyTorch's.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::measurement::Measurements;
use crate::programs::{given, program};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    steady_images_per_second: f64,
    first_step_seconds: f64,
}

/// Processes, and threads of each. Two cores are busy in each case but the first.
const LAYOUTS: [(usize, usize); 3] = [(1, 1), (1, 2), (2, 1)];
/// Images in one step over all workers.
const BATCHES: [usize; 2] = [64, 256];
const STEPS: usize = 250;

/// One round: the `cnn` on each layout with each batch, in PyTorch and here; two workers exchange gradients in each way.
pub fn round(figures: &mut Measurements) -> Result<()> {
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
                let report = train(workers, threads, batch, *way)?;
                figures.add(&name, "images/s", report.steady_images_per_second);
                figures.add(&format!("{name}: share of PyTorch's"), "×", report.steady_images_per_second / peer);
                if batch == BATCHES[0] && threads == 1 && matches!(way, None | Some("memory")) {
                    let s = if workers == 1 { "" } else { "s" };
                    figures.add(&format!("launch to first step, {workers} worker{s}"), "s", report.first_step_seconds);
                }
            }
        }
    }
    Ok(())
}

fn train(workers: usize, threads: usize, batch: usize, way: Option<&str>) -> Result<Report> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let children = (0..workers).map(|rank| launch(rank, workers, port, threads, batch, way));
    let children = children.collect::<Result<Vec<_>>>()?;
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

fn launch(rank: usize, workers: usize, port: u16, threads: usize, batch: usize, way: Option<&str>) -> Result<Child> {
    Command::new(program("slipway-trainer")?)
        .args(["bench", "--batch-size", &batch.to_string(), "--steps", &STEPS.to_string()])
        .env("PET_NNODES", workers.to_string())
        .env("PET_NPROC_PER_NODE", "1")
        .env("PET_NODE_RANK", rank.to_string())
        .env("PET_MASTER_ADDR", "127.0.0.1")
        .env("PET_MASTER_PORT", port.to_string())
        .env("OMP_NUM_THREADS", threads.to_string())
        .envs(way.map(|way| ("SLIPWAY_EXCHANGE", way)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the trainer")
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
