//! One connection, seen from below HTTP: what does not move ends, and hyper's own refusals say what is wrong.
//!
//! hyper answers a head that it cannot read by itself, with a status and nothing else, before anything of ours is asked. Such an answer is
//! replaced here by one that says what is wrong.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::problem::{MEDIA_TYPE, Problem};

/// How long a reader may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(60);
/// How long, and how much, is still read of a connection that is closed: otherwise whoever still sends would not get the last answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1 << 20;

/// A stream below HTTP.
pub(crate) struct Connection<S> {
    stream: S,
    /// Since when it waits for the reader, and until when it does.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What is sent in place of an answer of hyper's, and how much of it was.
    replacing: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, stalled: None, replacing: None }
    }

    /// Says that nothing more comes, and waits a little for the other side to see that.
    pub(crate) async fn close(mut self) {
        let closing = async {
            self.stream.shutdown().await?;
            tokio::io::copy(&mut (&mut self.stream).take(LINGER_BYTES), &mut tokio::io::sink()).await
        };
        // whatever it says, the connection is gone afterwards
        drop(tokio::time::timeout(LINGER, closing).await);
    }

    /// Fails what the reader has kept waiting for too long.
    fn in_time<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + STALLED)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.in_time(cx, polled)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.replacing.is_none() {
            self.replacing = refusal(bytes).map(|status| (with_reason(status), 0));
        }
        let Some((answer, mut sent)) = self.replacing.take() else { return self.poll_send(cx, bytes) };
        while sent < answer.len() {
            match self.poll_send(cx, &answer[sent..]) {
                Poll::Ready(Ok(more)) if more > 0 => sent += more,
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.replacing = Some((answer, sent));
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The status of an answer that hyper gives by itself. It is a head with these headers and no others, and no answer of ours is like that:
/// they all have `nosniff`.
fn refusal(bytes: &[u8]) -> Option<StatusCode> {
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?;
    let bare =
        lines.all(|line| line == "connection: close" || line == "content-length: 0" || line.starts_with("date: "));
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    (bare && status.is_client_error()).then_some(status)
}

/// The answer in its place.
fn with_reason(status: StatusCode) -> Vec<u8> {
    let body = Problem::of_status(status).json();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_replaced() {
        let date = "date: Tue, 01 Jan 2030 00:00:00 GMT";
        let refused = format!(
            "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n"
        );
        assert_eq!(refusal(refused.as_bytes()).unwrap().as_u16(), 431);
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
            "HTTP/1.1 404 Not Found\r\nx-content-type-options: nosniff\r\ncontent-length: 0\r\n\r\n".to_owned(),
            // a log that holds one, as a chunk
            format!("{refused}\r\n0\r\n\r\n"),
            format!("{refused}more"),
            "HTTP/1.1 4".to_owned(),
            String::new(),
        ] {
            assert_eq!(refusal(other.as_bytes()), None, "{other}");
        }
        let text = String::from_utf8(with_reason(StatusCode::BAD_REQUEST)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())) && body.contains("METHOD /path"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_not_waited_for() {
        let (reader, writer) = tokio::io::duplex(16);
        let mut connection = Connection::new(writer);
        let begun = Instant::now();
        let error = connection.write_all(&[b'a'; 64]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed()), (io::ErrorKind::TimedOut, STALLED));
        drop(reader);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_little_now_and_then_is_waited_for() {
        let (mut reader, writer) = tokio::io::duplex(1);
        let mut connection = Connection::new(writer);
        let reading = tokio::spawn(async move {
            for _ in 0..8 {
                tokio::time::sleep(STALLED / 2).await;
                reader.read_u8().await.unwrap();
            }
        });
        connection.write_all(&[b'a'; 8]).await.unwrap();
        reading.await.unwrap();
    }
}
