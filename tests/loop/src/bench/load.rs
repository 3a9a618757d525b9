//! A load generator that costs little, because it runs on the cores of the server that it measures: one thread, one request at a time on
//! each connection, the same bytes again and again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{cores, grpc};

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Answers a second, without refusals.
    pub rate: f64,
    /// The share of the requests that were refused.
    pub refused: f64,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// All but one in a hundred answers came within this time.
    pub p99: Duration,
}

/// What is asked, again and again.
#[derive(Clone, Debug)]
pub enum Call {
    /// An HTTP/1.1 request, such as of [`post`].
    Http(Bytes),
    /// A message of [`grpc::infer`].
    Grpc(Bytes),
}

/// When a client asks again.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// As soon as its last request is answered.
    Answered,
    /// Whenever its turn comes, so that all clients together ask so often a second. One whose turn comes while it waits for an answer asks
    /// when it has that, and then makes up for the turns that it missed.
    Rate(f64),
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Who is asked.
    pub address: SocketAddr,
    /// What is asked.
    pub call: &'a Call,
    /// Connections, each with one request at a time.
    pub clients: usize,
    /// After this time no further request is sent.
    pub time: Duration,
    /// When a client asks again.
    pub pace: Pace,
    /// The only core that the generator uses; `None` for any.
    pub core: Option<usize>,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// When it had come.
    pub ended: Instant,
    /// How long it took.
    pub took: Duration,
    /// Whether it says that the server is busy.
    pub refused: bool,
}

/// The bytes of an HTTP/1.1 request with a body and these headers.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Call {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}\r\n\r\n", body.len());
    Call::Http([head.as_bytes(), body].concat().into())
}

/// Sends a request by so many clients at once for some time, each as soon as its last one is answered.
///
/// # Errors
/// When an answer is an error, all are refusals, or a connection fails.
pub fn load(address: SocketAddr, call: &Call, clients: usize, time: Duration) -> Result<Report> {
    report(&Load { address, call, clients, time, pace: Pace::Answered, core: None })
}

/// Runs a load.
///
/// # Errors
/// When an answer is an error, all are refusals, or a connection fails.
pub fn report(load: &Load<'_>) -> Result<Report> {
    let (answers, took) = answers(load)?;
    let times: Vec<Duration> = answers.iter().filter(|answer| !answer.refused).map(|answer| answer.took).collect();
    ensure!(!times.is_empty(), "no answer within {:?}, and {} refusals", load.time, answers.len());
    let rate = times.len() as f64 / took.as_secs_f64();
    let refused = 1.0 - times.len() as f64 / answers.len() as f64;
    let [p50, p99] = [50, 99].map(|percent| percentile(&times, percent));
    Ok(Report { rate, refused, p50, p99 })
}

/// The same, with each answer, in no order, and how long all of it took.
///
/// # Errors
/// When an answer is an error, or a connection fails.
pub fn answers(load: &Load<'_>) -> Result<(Vec<Answer>, Duration)> {
    let begun = Instant::now();
    // a thread of its own, because the caller may have a runtime already
    let measured = std::thread::scope(|scope| scope.spawn(|| ask(load, begun)).join());
    let answers = measured.map_err(|_| anyhow!("the load generator panicked"))??;
    Ok((answers, begun.elapsed()))
}

/// The time within which so many of a hundred came; zero if there are none.
pub fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// The answers to all clients.
fn ask(load: &Load<'_>, begun: Instant) -> Result<Vec<Answer>> {
    if let Some(core) = load.core {
        cores::stay_on(core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asking = JoinSet::new();
        for number in 0..load.clients {
            let (address, call, end) = (load.address, load.call.clone(), begun + load.time);
            let turns = match load.pace {
                Pace::Answered => Turns { next: begun, every: Duration::ZERO },
                Pace::Rate(rate) => Turns {
                    next: begun + Duration::from_secs_f64(number as f64 / rate),
                    every: Duration::from_secs_f64(load.clients as f64 / rate),
                },
            };
            asking.spawn(async move { client(address, &call, turns, end).await });
        }
        let mut answers = Vec::new();
        while let Some(client) = asking.join_next().await {
            answers.append(&mut client??);
        }
        Ok(answers)
    })
}

/// When a client asks; it is always its turn if there is no time in between.
struct Turns {
    next: Instant,
    every: Duration,
}

/// The answers to one client.
async fn client(address: SocketAddr, call: &Call, mut turns: Turns, end: Instant) -> Result<Vec<Answer>> {
    let mut connection = Connection::open(address, call).await?;
    let mut answers = Vec::new();
    loop {
        if turns.every > Duration::ZERO {
            tokio::time::sleep_until(turns.next.min(end).into()).await;
            turns.next += turns.every;
        }
        let begun = Instant::now();
        if begun >= end {
            return Ok(answers);
        }
        let refused = connection.ask().await?;
        let ended = Instant::now();
        answers.push(Answer { ended, took: ended - begun, refused });
    }
}

/// A client's connection.
enum Connection {
    Http(Http),
    Grpc(Box<grpc::Connection>),
}

impl Connection {
    async fn open(address: SocketAddr, call: &Call) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(match call {
            Call::Http(request) => {
                Self::Http(Http { stream, request: request.clone(), buffer: Vec::with_capacity(16 << 10) })
            }
            Call::Grpc(message) => Self::Grpc(Box::new(grpc::Connection::open(stream, message).await?)),
        })
    }

    /// Asks once. Returns whether that was refused.
    async fn ask(&mut self) -> Result<bool> {
        match self {
            Self::Http(http) => http.ask().await,
            Self::Grpc(grpc) => grpc.ask().await,
        }
    }
}

/// HTTP/1.1.
struct Http {
    stream: TcpStream,
    request: Bytes,
    buffer: Vec<u8>,
}

impl Http {
    async fn ask(&mut self) -> Result<bool> {
        self.stream.write_all(&self.request).await?;
        self.buffer.clear();
        let Head { refused, length } = loop {
            self.read().await?;
            if let Some(head) = Head::of(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < length {
            self.read().await?;
        }
        Ok(refused)
    }

    async fn read(&mut self) -> Result<()> {
        ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the server closed the connection");
        Ok(())
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    refused: bool,
    /// Of the whole answer.
    length: usize,
}

impl Head {
    /// `None` until the whole head is there.
    fn of(answer: &[u8]) -> Result<Option<Self>> {
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&answer[..end])?;
        let refused = match head.get(..12) {
            Some("HTTP/1.1 200") => false,
            Some("HTTP/1.1 503") => true,
            _ => bail!("{}", String::from_utf8_lossy(answer)),
        };
        let mut lengths = head.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let length = lengths.next_back().context("an answer without Content-Length")??;
        Ok(Some(Self { refused, length: end + 4 + length }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        assert_eq!(Head::of(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n").unwrap(), None);
        let answered = Head { refused: false, length: 41 };
        assert_eq!(Head::of(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na").unwrap(), Some(answered));
        let refused = Head { refused: true, length: 41 };
        assert_eq!(Head::of(b"HTTP/1.1 503 No\r\ncontent-length: 3\r\n\r\nabc").unwrap(), Some(refused));
        assert!(Head::of(b"HTTP/1.1 500 No\r\n\r\n").is_err() && Head::of(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_of_few_and_of_none() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(101));
        assert_eq!(percentile(&times, 99), Duration::from_millis(199));
        assert_eq!(percentile(&times[..1], 99), Duration::from_millis(200));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
