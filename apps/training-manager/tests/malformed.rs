//! Bad input: thousands of requests that nobody sane sends, from a seed. None is a panic, each HTTP answer says what is wrong, memory stays
//! bounded, and the service answers afterwards as before.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "rest/manager.rs"]
mod manager;
#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "rest/project.rs"]
mod project;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use manager::{LONG, Manager, Setup, trainings};
use project::{EXPERIMENT, Project, TOKEN};

/// Another seed is another test: `SLIPWAY_SEED=7 cargo test …`.
const SEED: u64 = 17;
const REQUESTS: usize = 4000;
/// How many connections there are at once.
const AT_ONCE: usize = 16;
/// The most that memory may grow, with all of the test's own in it.
const GROWTH: u64 = 64 << 20;

static PANICS: AtomicUsize = AtomicUsize::new(0);

const METHODS: [&str; 14] = [
    "GET", "GET", "GET", "POST", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get",
];
const PATHS: [&str; 23] = [
    "/",
    "*",
    "",
    "//",
    "/api",
    "/api/v1/trials",
    "/api/v1/trials/digits-00000001",
    "/api/v1/trials/letters-00000004/metrics",
    "/api/v1/trials/letters-00000004/confusion",
    "/api/v1/trials/digits-00000001/workers/9/log",
    "/api/v1/trials/digits-00000001/cancel",
    "/api/v1/events",
    "/api/v1/experiments",
    "/api/v1/experiments/digits",
    "/api/v1/experiments/digits/cancel",
    "/api/v1/history",
    "/api/v1/summary",
    "/openapi.json",
    "/healthz",
    "/readyz",
    "/metrics",
    "http://evil.example/api/v1/trials",
    "localhost:80",
];
const PIECES: [&str; 24] = [
    "%",
    "%zz",
    "%00",
    "%ff%fe",
    "%2e%2e%2f",
    "/..",
    "/./",
    "//",
    "?",
    "?limit=",
    "?limit=-1",
    "?limit=99999999999999999999",
    "?after=",
    "?after=.",
    "&&&",
    "?state=%F0%9F%92%A9",
    "#fragment",
    ";x=y",
    "'",
    "\"<>",
    "{name}",
    "+",
    "=",
    "?a[]=1&a[]=2",
];
const HEADERS: [&str; 30] = [
    "host: localhost",
    "host: evil.example",
    "host:",
    "host: a b",
    "host: localhost:99999",
    "origin: null",
    "origin: https://evil.example",
    "sec-fetch-site: cross-site",
    "cookie: session=1",
    "authorization: Bearer x",
    "authorization: Bearer",
    "authorization: Basic eDp5",
    "content-type: application/json",
    "content-type: text/plain",
    "content-type: application/json;;;",
    "content-length: 5",
    "content-length: -1",
    "content-length: 99999999999999999999999",
    "content-length: 300000",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip, chunked",
    "expect: 100-continue",
    "upgrade: websocket",
    "connection: upgrade, close",
    "if-none-match: *",
    "if-none-match: \"",
    "accept: text/html",
    "range: bytes=0-1",
    "x-forwarded-host: evil.example",
    "content-encoding: gzip",
];
const BODIES: [&str; 16] = [
    "",
    "{}",
    "[]",
    "null",
    "\"",
    "{\"name\":",
    "{\"name\": \"a\", \"source\": \"\"}",
    "{\"name\": \"../a\", \"source\": \"x\"}",
    "{\"draft\": true}",
    "{\"name\": \"a\", \"name\": \"b\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "0\r\n\r\n",
    "5\r\nhello\r\n0\r\n\r\n",
    "zz\r\n",
    "\u{0}\u{1}",
    "{\"name\": \"\\ud800\"}",
];

/// The most bytes of a request that is surely read to its end: of a larger one the rest may still come when the answer has gone.
const SMALL: usize = 8 << 10;
/// What these begin with says how long the body is, or that something else follows: then it is often less than that.
const LENGTHS: [&str; 4] = ["content-length", "transfer-encoding", "expect", "upgrade"];

/// A request, and whether it is HTTP that came as a whole: then it is answered, however wrong it is.
fn request(random: &mut Rng) -> (Vec<u8>, bool) {
    match random.u8(..10) {
        0 => return (raw(random), false),
        1 => return (write(random), true),
        _ => {}
    }
    let mut is_whole = true;
    let mut path = random.choice(PATHS).unwrap().to_owned();
    for _ in 0..random.usize(..3) {
        path.push_str(random.choice(PIECES).unwrap());
    }
    if random.u8(..20) == 0 {
        path.push_str(&"a".repeat(random.usize(..70_000)));
    }
    let version =
        *random.choice(["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9", ""].iter()).unwrap();
    is_whole &= version.starts_with("HTTP/1.");
    let mut text = format!("{} {path} {version}\r\n", random.choice(METHODS).unwrap()).into_bytes();
    if random.u8(..4) > 0 {
        text.extend(b"host: localhost\r\n");
    }
    if random.u8(..3) == 0 {
        text.extend(format!("authorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n").bytes());
    }
    for _ in 0..random.usize(..5) {
        let header = random.choice(HEADERS).unwrap();
        is_whole &= !LENGTHS.iter().any(|name| header.starts_with(name));
        text.extend(header.bytes());
        text.extend(b"\r\n");
    }
    if random.u8(..25) == 0 {
        let (count, length) = (random.usize(..120), random.usize(..600));
        text.extend((0..count).flat_map(|index| format!("x-{index}: {}\r\n", "a".repeat(length)).into_bytes()));
    }
    if random.u8(..20) == 0 {
        text.extend(noise(random, 40));
        is_whole = false;
    }
    let body = random.choice(BODIES).unwrap();
    if random.bool() {
        text.extend(format!("content-length: {}\r\n", body.len()).bytes());
    } else {
        is_whole &= body.is_empty();
    }
    text.extend(b"connection: close\r\n\r\n");
    text.extend(body.bytes());
    // cut, or with a bit that has turned over
    match random.u8(..12) {
        0 => {
            text.truncate(random.usize(..=text.len()));
            is_whole = false;
        }
        1 => {
            let at = random.usize(..text.len());
            text[at] ^= 1 << random.u8(..8);
            is_whole = false;
        }
        _ => {}
    }
    is_whole &= text.len() <= SMALL;
    (text, is_whole)
}

/// What somebody asks to be written who may write, with a body that is rarely what it should be.
fn write(random: &mut Rng) -> Vec<u8> {
    let paths = ["experiments", "experiments/digits/cancel", "trials/digits-00000001/cancel"];
    let (path, body) = (random.choice(paths).unwrap(), random.choice(BODIES).unwrap());
    let length = body.len();
    format!(
        "POST /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

fn raw(random: &mut Rng) -> Vec<u8> {
    match random.u8(..4) {
        // TLS, HTTP/2, and what others begin with
        0 => random
            .choice(
                [
                    &b"\x16\x03\x01\x00\xa5\x01"[..],
                    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                    b"SSH-2.0-x\r\n",
                    b"\r\n\r\n\r\n",
                ]
                .iter(),
            )
            .unwrap()
            .to_vec(),
        _ => noise(random, 4096),
    }
}

fn noise(random: &mut Rng, most: usize) -> Vec<u8> {
    let length = random.usize(..most);
    (0..length).map(|_| random.u8(..)).collect()
}

/// Sends bytes and reads what comes. Whoever sends no complete request closes its side, as there is nothing to wait for.
async fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.split();
    let sending = async {
        // the service may have answered and closed already
        let _ = to.write_all(bytes).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let _ = to.shutdown().await;
    };
    let mut answer = Vec::new();
    let reading = async {
        // who reads events is told for ever
        while !(has(&answer, b"content-type: text/event-stream") && has(&answer, b"\r\n\r\n")) {
            if !matches!(from.read_buf(&mut answer).await, Ok(1..)) {
                break;
            }
        }
    };
    tokio::time::timeout(LONG, async { tokio::join!(sending, reading) })
        .await
        .unwrap_or_else(|_| panic!("the connection stays open: {:?}", String::from_utf8_lossy(bytes)));
    answer
}

fn has(answer: &[u8], part: &[u8]) -> bool {
    answer.windows(part.len()).any(|one| one == part)
}

/// Checks one answer, and returns its status.
fn check(request: &[u8], answer: &[u8]) -> u16 {
    let shown = || format!("{:?} → {:?}", String::from_utf8_lossy(request), String::from_utf8_lossy(answer));
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {}", shown()));
    let head = std::str::from_utf8(&answer[..end]).unwrap().to_lowercase();
    let status: u16 =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{}", shown()));
    if status == 100 {
        return check(request, &answer[end + 4..]);
    }
    assert!(head.contains("x-content-type-options: nosniff"), "{}", shown());
    if status < 400 {
        return status;
    }
    assert!(status != 500, "{}", shown());
    assert!(head.contains("content-type: application/problem+json"), "{}", shown());
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    // an answer to HEAD has none; where the head could not be read, nobody knows that it is one, and nothing comes after it
    let is_read = head.contains("\r\ndate: ");
    let is_empty = is_read && request.starts_with(b"HEAD ");
    let length: usize = if is_empty { 0 } else { length.unwrap_or_else(|| panic!("{}", shown())) };
    assert!(is_empty || length > 0, "it does not say what is wrong: {}", shown());
    let (body, rest) = answer[end + 4..].split_at(length.min(answer.len() - end - 4));
    if length > 0 {
        let problem: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {}", shown()));
        assert_eq!(problem["status"], status, "{}", shown());
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 5), "{}", shown());
    }
    // what came after a request that kept the connection open was taken for the next one
    if !rest.is_empty() {
        check(rest, rest);
    }
    status
}

/// The memory of this process, in bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_answered_with_what_is_wrong() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
    let seed = std::env::var("SLIPWAY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let project = Project::new();
    let setup = Setup { trainings: trainings(), writers: project.writers("cache.git"), ..Setup::default() };
    let manager = Manager::start(setup).await;
    let mut random = Rng::with_seed(seed);
    let requests: Vec<(Vec<u8>, bool)> = (0..REQUESTS).map(|_| request(&mut random)).collect();
    let mut counts = std::collections::BTreeMap::<u16, usize>::new();
    let mut settled = 0;
    for (round, part) in requests.chunks(AT_ONCE).enumerate() {
        let exchanges = part.iter().map(|(request, _)| exchange(manager.address(), request));
        let answers = futures::future::join_all(exchanges).await;
        for ((request, is_whole), answer) in part.iter().zip(&answers) {
            // what was no HTTP request, or left before its end, need not get an answer
            if !answer.is_empty() {
                *counts.entry(check(request, answer)).or_default() += 1;
            } else {
                assert!(!is_whole, "seed {seed}: no answer to {:?}", String::from_utf8_lossy(request));
            }
        }
        if round == 20 {
            settled = memory();
        }
    }
    let whole = requests.iter().filter(|(_, is_whole)| *is_whole).count();
    assert!(whole > REQUESTS / 10, "only {whole} of the requests had to be answered");
    let answered: usize = counts.values().sum();
    assert!(answered > REQUESTS / 2, "only {answered} answers: {counts:?}");
    for status in [200, 400, 401, 403, 404, 405, 414, 415, 422, 431] {
        assert!(
            counts.contains_key(&status),
            "no answer was {status}, so the requests are not what they should be: {counts:?}"
        );
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {seed}");
    let grown = memory().saturating_sub(settled);
    assert!(grown < GROWTH, "memory has grown by {grown} bytes");
    assert_eq!(project.pull_requests(), 0, "nothing was written");

    // and everything is as before
    assert_eq!(manager.get("/api/v1/trials").await.fine()["trials"].as_array().unwrap().len(), 6);
    manager::until("everybody has left", async || {
        let metrics = manager.get("/metrics").await.text;
        let free = |kind: &str| metrics.contains(&format!("slipway_manager_streams{{kind=\"{kind}\"}} 0"));
        free("events") && free("logs")
    })
    .await;
    let opened = manager.post("/api/v1/experiments", TOKEN, &json!({ "name": "digits", "source": EXPERIMENT })).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    manager.stop().await;
}
