//! The server under load, compared with the same model in process.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::measurement::Measurements;
use crate::programs::{given, program};

/// Numbers of concurrent clients.
const CLIENTS: [u32; 3] = [1, 8, 32];

/// One round: one image per request with 1, 8 and 32 clients, three seconds each; then the model in process at batch 1 and 32.
pub fn round(server: &str, bundle: &Path, scratch: &Path, figures: &mut Measurements) -> Result<()> {
    let body = scratch.join("digit.json");
    std::fs::write(&body, serde_json::to_vec(&digit())?)?;
    for clients in CLIENTS {
        let report = ask(server, &body, clients)?;
        let number = |path: &str| report.pointer(path).and_then(Value::as_f64).with_context(|| format!("oha: {path}"));
        let s = if clients == 1 { "" } else { "s" };
        figures.add(&format!("server, {clients} client{s}"), "requests/s", number("/summary/requestsPerSec")?);
        figures.add(&format!("server p50, {clients} client{s}"), "ms", number("/latencyPercentiles/p50")? * 1e3);
        figures.add(&format!("server p99, {clients} client{s}"), "ms", number("/latencyPercentiles/p99")? * 1e3);
        ensure!(number("/summary/successRate")? >= 1.0, "a request failed at {clients} clients: {report}");
    }
    let raw = in_process(bundle)?;
    for batch in [1, 32] {
        let rate = raw[format!("batch{batch}")].as_f64().context("slipway-server bench")?;
        figures.add(&format!("model in process, batch {batch}"), "images/s", rate);
    }
    Ok(())
}

fn digit() -> Value {
    // a diagonal stroke; the content does not affect the speed
    let data: Vec<f32> = (0..784u32).map(|i| if (i % 28).abs_diff(i / 28) < 2 { 1.0 } else { 0.0 }).collect();
    json!({"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": data}]})
}

fn ask(server: &str, body: &Path, clients: u32) -> Result<Value> {
    let output = Command::new(given("OHA")?)
        .args(["-z", "3s", "--no-tui", "--output-format", "json", "-m", "POST", "-T", "application/json"])
        .args(["-c", &clients.to_string()])
        .arg("-D")
        .arg(body)
        .arg(format!("{server}/v2/models/mnist/infer"))
        .stdin(Stdio::null())
        .output()
        .context("oha")?;
    ensure!(output.status.success(), "oha: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("oha's report")
}

fn in_process(bundle: &Path) -> Result<Value> {
    let output = Command::new(program("slipway-server")?).arg("bench").arg(bundle).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "slipway-server bench: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("slipway-server bench's report")
}
