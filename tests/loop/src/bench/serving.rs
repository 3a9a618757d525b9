//! The server under load, compared with another server that people use, with the same model in process, and with itself doing nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::alone::{Alone, MODEL, Memory, Narrow, Place};
use super::load::{Call, Load, Pace, Report, answers, load, percentile, post, report};
use super::measurement::{Goal, Measurements};
use super::{cores, grpc, large};
use crate::process::Process;
use crate::programs::{given, program};

/// Numbers of concurrent clients.
const CLIENTS: [usize; 4] = [1, 8, MANY, 256];
/// As many as make good batches.
const MANY: usize = 32;
/// As many as ask for more than there can be answers.
const CROWD: usize = 512;
/// How many of their requests may wait. By default as many may as there are connections, so that none would be refused.
const QUEUE: usize = 128;
/// How long each case lasts.
const TIME: Duration = Duration::from_secs(3);
/// How long it runs before that, so that what is paid once is not measured.
const WARM_UP: Duration = Duration::from_millis(500);
/// How long the case lasts in which another version goes into service, and how long it lasts before that.
const SWAP: Duration = Duration::from_secs(6);
const BEFORE: Duration = Duration::from_secs(2);
const JSON: (&str, &str) = ("content-type", "application/json");

/// mosec with the same network, ended when this is dropped.
#[derive(Debug)]
pub struct Peer {
    _process: Process,
    address: SocketAddr,
    model: PathBuf,
}

impl Peer {
    /// Starts it with a model as TorchScript, and waits until it answers. `SLIPWAY_PYTHON_MOSEC` names its Python; what it prints goes to a file in `folder`.
    pub fn start(model: &Path, folder: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = mosec(model)?;
        command.args(["--address", "127.0.0.1", "--port", &address.port().to_string(), "--log-level", "error"]);
        let log = folder.join("mosec.log");
        let peer = Self { _process: Process::start(&command, &log)?, address, model: model.to_owned() };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            ensure!(begun.elapsed() < Duration::from_secs(60), "mosec does not listen. It has printed:\n{}", said());
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }
}

/// What the most usual form of a request is called in the table.
const JSON_NAME: &str = "server JSON";

/// One round: how fast the server is ready; one digit a request as JSON, to the peer too, as bytes and by gRPC, by each number of clients; its memory
/// before and after; another version under load; twice the load that it can answer; then the same server reading the same JSON without a model, and
/// the model in process at batch 1 and 32.
///
/// The limit is what is left if a request costs what those two cost together, on all cores: 1 / (1 / answers without a model + 1 / images
/// in process).
pub fn round(place: &mut Place, peer: &Peer, bundle: &Path, figures: &mut Measurements) -> Result<()> {
    let pixels = digit(28);
    let json = as_json(28, &pixels)?;
    let bytes: Vec<u8> = pixels.iter().flat_map(|number| number.to_le_bytes()).collect();
    let infer = format!("/v2/models/{MODEL}/infer");
    let binary = [("content-type", "application/octet-stream"), ("inference-header-content-length", "0")];
    let calls = Calls {
        json: post(&infer, &[JSON], &json),
        peer: post("/inference", &[JSON], &json),
        binary: post(&infer, &binary, &bytes),
        grpc: Call::Grpc(grpc::infer(MODEL, &[1, 1, 28, 28], &pixels)),
        // The same bytes are read and parsed, but nothing in them is asked for.
        nothing: post("/v2/repository/index", &[JSON], &json),
    };
    let server = Alone::start(place, None)?;
    figures.add_for("server ready after exec, model in the cache", "s", Goal::AtMost(0.3), server.ready.as_secs_f64());
    memory(&server, "at rest", figures)?;
    let reached = cases(&server, peer, &calls, figures)?;
    memory(&server, "after the load", figures)?;
    limit(&server, peer, &calls, bundle, reached, figures)?;
    swapped(&server, place, &calls.json, figures)?;
    drop(server);
    let image = as_json(large::SIDE, &digit(large::SIDE))?;
    overloaded(place, &post(&format!("/v2/models/{}/infer", large::NAME), &[JSON], &image), figures)
}

/// What is asked.
struct Calls {
    json: Call,
    peer: Call,
    binary: Call,
    grpc: Call,
    nothing: Call,
}

/// Each form of the request by each number of clients. Returns the rate of JSON by [`MANY`] clients.
fn cases(server: &Alone, peer: &Peer, calls: &Calls, figures: &mut Measurements) -> Result<f64> {
    let mut reached = 0.0;
    for clients in CLIENTS {
        let s = if clients == 1 { "" } else { "s" };
        let of = format!("{clients} client{s}");
        let mut json = 0.0;
        for (name, address, call) in [
            (JSON_NAME, server.address, &calls.json),
            ("mosec JSON", peer.address, &calls.peer),
            ("server binary", server.address, &calls.binary),
            ("server gRPC", server.address, &calls.grpc),
        ] {
            load(address, call, clients, WARM_UP).with_context(|| format!("{name}, {of}, the warm-up"))?;
            let report = load(address, call, clients, TIME).with_context(|| format!("{name}, {of}"))?;
            let Report { rate, refused, p50, p99 } = report;
            let own = |goal: Option<Goal>| goal.filter(|_| name == JSON_NAME);
            let least = match clients {
                1 => Some(4_500.0),
                8 => Some(15_000.0),
                MANY => Some(28_000.0),
                _ => None,
            };
            figures.add_to(&format!("{name}, {of}"), "requests/s", own(least.map(Goal::AtLeast)), rate);
            let most = (clients == 1).then_some(Goal::AtMost(0.2));
            figures.add_to(&format!("{name} p50, {of}"), "ms", own(most), p50.as_secs_f64() * 1e3);
            let most = (clients == MANY).then_some(Goal::AtMost(4.0));
            figures.add_to(&format!("{name} p99, {of}"), "ms", own(most), p99.as_secs_f64() * 1e3);
            if refused > 0.0 {
                figures.add(&format!("{name}, {of}: share of refusals"), "", refused);
            }
            match name {
                JSON_NAME => json = rate,
                "mosec JSON" => {
                    let goal = (clients == MANY).then_some(Goal::AtLeast(1.9));
                    figures.add_to(&format!("server / mosec, JSON, {of}"), "×", goal, json / rate);
                }
                _ => figures.add_for(&format!("{name} / JSON, {of}"), "×", Goal::AtLeast(1.0), rate / json),
            }
        }
        if clients == MANY {
            reached = json;
        }
    }
    Ok(reached)
}

/// What the server could reach, and how much of it it does.
fn limit(
    server: &Alone,
    peer: &Peer,
    calls: &Calls,
    bundle: &Path,
    reached: f64,
    figures: &mut Measurements,
) -> Result<()> {
    let nothing = load(server.address, &calls.nothing, MANY, TIME)?.rate;
    figures.add(&format!("server without a model, {MANY} clients"), "requests/s", nothing);
    let (own, torch) = (in_process(bundle)?, optimized_in_process(&peer.model)?);
    for batch in [1, 32] {
        let rate = |raw: &Value| raw[format!("batch{batch}")].as_f64().context("a rate");
        let images = rate(&own)?;
        figures.add(&format!("model in process, batch {batch}"), "images/s", images);
        let name = format!("optimize_for_inference in process, batch {batch}");
        figures.add(&name, "images/s", rate(&torch)?);
        if batch == 32 {
            let cores = std::thread::available_parallelism()?.get() as f64;
            let limit = 1.0 / (1.0 / nothing + 1.0 / (images * cores));
            figures.add(&format!("limit, {MANY} clients"), "requests/s", limit);
            let name = format!("share of the limit, {MANY} clients");
            figures.add_for(&name, "", Goal::AtLeast(0.7), reached / limit);
        }
    }
    Ok(())
}

fn memory(server: &Alone, when: &str, figures: &mut Measurements) -> Result<()> {
    let Memory { resident, without_libtorch, share } = server.memory()?;
    figures.add_for(&format!("server memory {when}, resident"), "MiB", Goal::AtMost(130.0), resident);
    figures.add(&format!("server memory {when}, without libtorch's files"), "MiB", without_libtorch);
    figures.add(&format!("server memory {when}, share (PSS)"), "MiB", share);
    Ok(())
}

/// Another version goes into service while many clients ask. A request that fails ends the benchmark.
fn swapped(server: &Alone, place: &mut Place, call: &Call, figures: &mut Measurements) -> Result<()> {
    let load = Load { address: server.address, call, clients: MANY, time: SWAP, pace: Pace::Answered, core: None };
    let (begun, second) = (Instant::now(), Duration::from_secs(1));
    let (answers, at) = std::thread::scope(|scope| -> Result<_> {
        let loading = scope.spawn(|| answers(&load));
        std::thread::sleep(BEFORE);
        place.swap()?;
        let at = Instant::now();
        server.has(place)?;
        let in_service = begun.elapsed();
        ensure!(in_service + second < SWAP, "the other version came after {in_service:?}, too late for the load");
        let (answers, _) = loading.join().map_err(|_| anyhow!("the load generator panicked"))??;
        Ok((answers, at))
    })?;
    let refused = answers.iter().filter(|answer| answer.refused).count();
    figures.add_for("hot swap, requests without an answer", "", Goal::AtMost(0.0), refused as f64);
    let p99 = |from: Instant, to: Instant| {
        let within = answers.iter().filter(|answer| from <= answer.ended && answer.ended < to);
        percentile(&within.map(|answer| answer.took).collect::<Vec<_>>(), 99).as_secs_f64() * 1e3
    };
    // connections are opened in the beginning
    let before = p99(begun + BEFORE / 4, at);
    let during: Vec<f64> = (0..)
        .map(|n| at + second * n)
        .take_while(|from| *from + second <= begun + SWAP)
        .map(|from| p99(from, from + second))
        .collect();
    figures.add("hot swap, p99 before", "ms", before);
    figures.add("hot swap, p99 of the slowest second after", "ms", during.iter().copied().fold(0.0, f64::max));
    let slow = during.iter().filter(|p99| **p99 > 2.0 * before).count();
    figures.add_for("hot swap, seconds with more than twice the p99", "s", Goal::AtMost(1.0), slow as f64);
    Ok(())
}

/// Twice as many requests as the server can answer, whether it answers or not. It has one core and the load generator another one, because
/// both together cannot send and refuse so many. It serves a network that takes longer than a request, because to read a request and to refuse it is
/// most of an answer's cost with one that does not. Nothing is measured where there is only one core.
fn overloaded(place: &Place, call: &Call, figures: &mut Measurements) -> Result<()> {
    let Some([own, other]) = cores::two()? else { return Ok(()) };
    let server = Alone::start(place, Some(Narrow { core: own, queue: QUEUE }))?;
    let of = |clients, pace| Load { address: server.address, call, clients, time: TIME, pace, core: Some(other) };
    report(&Load { time: WARM_UP, ..of(MANY, Pace::Answered) })?;
    let mut peak = 0.0_f64;
    for clients in [8, MANY, 2 * MANY] {
        peak = peak.max(report(&of(clients, Pace::Answered))?.rate);
    }
    let (answers, took) = answers(&of(CROWD, Pace::Rate(2.0 * peak)))?;
    let seconds = took.as_secs_f64();
    let times = |refused| -> Vec<Duration> {
        answers.iter().filter(|answer| answer.refused == refused).map(|answer| answer.took).collect()
    };
    let (good, refused) = (times(false), times(true));
    figures.add("overload, peak on one core", "requests/s", peak);
    // without twice the load there was no overload, whatever the other figures say
    figures.add_for("overload, asked / peak", "×", Goal::AtLeast(1.8), answers.len() as f64 / seconds / peak);
    figures.add_for("overload, answered / peak", "×", Goal::AtLeast(0.9), good.len() as f64 / seconds / peak);
    figures.add("overload, p99 of an answer", "ms", percentile(&good, 99).as_secs_f64() * 1e3);
    // of none, no time is a good one
    if !refused.is_empty() {
        let p99 = percentile(&refused, 99).as_secs_f64() * 1e3;
        figures.add_for("overload, p99 of a refusal", "ms", Goal::AtMost(10.0), p99);
    }
    Ok(())
}

/// A request for one image.
fn as_json(side: u32, pixels: &[f32]) -> Result<Vec<u8>> {
    let image = json!({"name": "image", "datatype": "FP32", "shape": [1, 1, side, side], "data": pixels});
    Ok(serde_json::to_vec(&json!({"inputs": [image]}))?)
}

/// A diagonal stroke whose edges are grey, as a pen's are: the numbers that a client sends have as many digits as pixels of 8 bits need.
fn digit(side: u32) -> Vec<f32> {
    let ink = |at: u32| match (at % side).abs_diff(at / side) {
        0 => 1.0,
        1 => 200.0 / 255.0,
        2 => (at % 97) as f32 / 255.0,
        _ => 0.0,
    };
    (0..side * side).map(ink).collect()
}

fn in_process(bundle: &Path) -> Result<Value> {
    let output = Command::new(program("slipway-server")?).arg("bench").arg(bundle).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "slipway-server bench: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("slipway-server bench's report")
}

/// The peer's network in process.
fn optimized_in_process(model: &Path) -> Result<Value> {
    let output = mosec(model)?.arg("--bench").stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "digits_mosec.py --bench: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("digits_mosec.py's report")
}

/// The peer's program with a model.
fn mosec(model: &Path) -> Result<Command> {
    let mut command = Command::new(given("SLIPWAY_PYTHON_MOSEC")?);
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/digits_mosec.py"))
        .env("MODEL", model)
        .env("CUDA_VISIBLE_DEVICES", "");
    Ok(command)
}
