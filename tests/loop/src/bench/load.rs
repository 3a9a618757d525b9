//! A load generator that costs little, because it runs on the cores of the server that it measures: one thread, one request at a time on
//! each connection, the same bytes again and again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What was measured.
#[derive(Debug)]
pub struct Report {
    /// Answers a second.
    pub rate: f64,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// All but one in a hundred answers came within this time.
    pub p99: Duration,
}

/// The bytes of an HTTP/1.1 request with a body and these headers.
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Sends a request by so many clients at once for some time, each as soon as its last one is answered.
///
/// # Errors
/// When an answer is not 200, or a connection fails.
pub fn load(address: SocketAddr, request: &[u8], clients: usize, time: Duration) -> Result<Report> {
    let begun = Instant::now();
    // a thread of its own, because the caller may have a runtime already
    let measured = std::thread::scope(|scope| scope.spawn(|| ask(address, request, clients, begun + time)).join());
    let mut times = measured.map_err(|_| anyhow!("the load generator panicked"))??;
    let took = begun.elapsed();
    ensure!(!times.is_empty(), "no answer within {time:?}");
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    Ok(Report { rate: times.len() as f64 / took.as_secs_f64(), p50: percentile(50), p99: percentile(99) })
}

/// How long each answer to so many clients took.
fn ask(address: SocketAddr, request: &[u8], clients: usize, end: Instant) -> Result<Vec<Duration>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..clients {
            let request = request.to_vec();
            asking.spawn(async move { client(address, &request, end).await });
        }
        let mut times = Vec::new();
        while let Some(client) = asking.join_next().await {
            times.append(&mut client??);
        }
        Ok(times)
    })
}

/// How long each answer to one client took.
async fn client(address: SocketAddr, request: &[u8], end: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut times, mut buffer) = (Vec::new(), Vec::with_capacity(16 << 10));
    while Instant::now() < end {
        let begun = Instant::now();
        stream.write_all(request).await?;
        buffer.clear();
        let needed = loop {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
            if let Some(length) = length(&buffer)? {
                break length;
            }
        };
        while buffer.len() < needed {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "the server closed the connection");
        }
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// The length of an answer, once its head is there.
fn length(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(answer));
    let mut lengths = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = lengths.next_back().context("an answer without Content-Length")??;
    Ok(Some(end + 4 + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n").unwrap(), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na").unwrap(), Some(41));
        assert!(length(b"HTTP/1.1 503 No\r\n\r\n").is_err() && length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
