//! Training throughput and the time from launch to the first step, in processes with the environment of a job's workers.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::measurement::Measurements;
use crate::programs::program;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    images_per_second: f64,
    first_step_seconds: f64,
}

/// One round: the `cnn` at a global batch of 64, by one worker and by two.
pub fn round(figures: &mut Measurements) -> Result<()> {
    for workers in [1, 2] {
        let report = train(workers)?;
        let s = if workers == 1 { "" } else { "s" };
        figures.add(&format!("training, {workers} worker{s}"), "images/s", report.images_per_second);
        figures.add(&format!("launch to first step, {workers} worker{s}"), "s", report.first_step_seconds);
    }
    Ok(())
}

fn train(workers: usize) -> Result<Report> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let children = (0..workers).map(|rank| launch(rank, workers, port)).collect::<Result<Vec<_>>>()?;
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

fn launch(rank: usize, workers: usize, port: u16) -> Result<Child> {
    Command::new(program("slipway-trainer")?)
        .args(["bench", "--batch-size", "64", "--steps", "250"])
        .env("PET_NNODES", workers.to_string())
        .env("PET_NPROC_PER_NODE", "1")
        .env("PET_NODE_RANK", rank.to_string())
        .env("PET_MASTER_ADDR", "127.0.0.1")
        .env("PET_MASTER_PORT", port.to_string())
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the trainer")
}
