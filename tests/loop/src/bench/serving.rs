//! The server under load, compared with another server that people use, with the same model in process, and with itself doing nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::load::{Report, load, post};
use super::measurement::Measurements;
use crate::process::Process;
use crate::programs::{given, program};

/// Numbers of concurrent clients.
const CLIENTS: [usize; 4] = [1, 8, 32, 256];
/// How long each case lasts.
const TIME: Duration = Duration::from_secs(3);
const JSON: (&str, &str) = ("content-type", "application/json");

/// mosec with the same network, ended when this is dropped.
#[derive(Debug)]
pub struct Peer {
    _process: Process,
    address: SocketAddr,
}

impl Peer {
    /// Starts it with a model as TorchScript, and waits until it answers. `SLIPWAY_PYTHON_MOSEC` names its Python. Its log is in `folder`.
    pub fn start(model: &Path, folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(given("SLIPWAY_PYTHON_MOSEC")?);
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/digits_mosec.py")).env("MODEL", model);
        command.args(["--address", "127.0.0.1", "--port", &address.port().to_string(), "--log-level", "error"]);
        command.env("CUDA_VISIBLE_DEVICES", "");
        let peer = Self { _process: Process::start(&command, &folder.join("mosec.log"))?, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(begun.elapsed() < Duration::from_secs(60), "mosec does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }
}

/// One round: one digit a request as JSON, to the peer too, and as bytes, by each number of clients; then the same server reading the same JSON without a
/// model, and the model in process at batch 1 and 32.
///
/// The limit is what is left if a request costs what those two cost together, on all cores: 1 / (1 / answers without a model + 1 / images
/// in process).
pub fn round(server: &str, peer: &Peer, bundle: &Path, figures: &mut Measurements) -> Result<()> {
    let address: SocketAddr = server.trim_start_matches("http://").parse().context("the server's address")?;
    let digit = digit();
    let json = serde_json::to_vec(
        &json!({"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": digit}]}),
    )?;
    let bytes: Vec<u8> = digit.iter().flat_map(|number| number.to_le_bytes()).collect();
    let infer = "/v2/models/mnist/infer";
    let binary = [("content-type", "application/octet-stream"), ("inference-header-content-length", "0")];
    let mut rates = Vec::new();
    for clients in CLIENTS {
        for (name, address, request) in [
            ("server", address, post(infer, &[JSON], &json)),
            ("mosec", peer.address, post("/inference", &[JSON], &json)),
            ("server binary", address, post(infer, &binary, &bytes)),
        ] {
            let s = if clients == 1 { "" } else { "s" };
            let report =
                load(address, &request, clients, TIME).with_context(|| format!("{name}, {clients} clients"))?;
            let Report { rate, p50, p99 } = report;
            figures.add(&format!("{name}, {clients} client{s}"), "requests/s", rate);
            figures.add(&format!("{name} p50, {clients} client{s}"), "ms", p50.as_secs_f64() * 1e3);
            figures.add(&format!("{name} p99, {clients} client{s}"), "ms", p99.as_secs_f64() * 1e3);
            rates.push((name, clients, rate));
        }
    }
    // The same bytes are read and parsed, but nothing in them is asked for.
    let nothing = load(address, &post("/v2/repository/index", &[JSON], &json), 32, TIME)?.rate;
    figures.add("server without a model, 32 clients", "requests/s", nothing);
    let raw = in_process(bundle)?;
    for batch in [1, 32] {
        let rate = raw[format!("batch{batch}")].as_f64().context("slipway-server bench")?;
        figures.add(&format!("model in process, batch {batch}"), "images/s", rate);
        if batch == 32 {
            let cores = std::thread::available_parallelism()?.get() as f64;
            let limit = 1.0 / (1.0 / nothing + 1.0 / (rate * cores));
            let reached = rates.iter().find(|(name, clients, _)| *name == "server" && *clients == 32);
            let share = reached.map_or(0.0, |(_, _, rate)| rate / limit);
            figures.add("limit, 32 clients", "requests/s", limit);
            figures.add("share of the limit, 32 clients", "", share);
        }
    }
    Ok(())
}

/// A diagonal stroke whose edges are grey, as a pen's are: the numbers that a client sends have as many digits as pixels of 8 bits need.
fn digit() -> Vec<f32> {
    let ink = |at: u32| match (at % 28).abs_diff(at / 28) {
        0 => 1.0,
        1 => 200.0 / 255.0,
        2 => (at % 97) as f32 / 255.0,
        _ => 0.0,
    };
    (0..784).map(ink).collect()
}

fn in_process(bundle: &Path) -> Result<Value> {
    let output = Command::new(program("slipway-server")?).arg("bench").arg(bundle).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "slipway-server bench: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("slipway-server bench's report")
}
