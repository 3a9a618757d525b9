//! One connection, seen from below HTTP: what does not move ends, and hyper's own refusals say what is wrong.
//!
//! hyper answers a head that it cannot read by itself, with a status and nothing else, before anything of ours is asked. Such an answer is
//! replaced here by one that says what is wrong.
//!
//! Somebody who sends nothing more may have gone, or may wait for the answer: TCP shows both as the same. hyper either breaks off at once,
//! so that `printf … | nc -N` gets no answer, or goes on for ever, and it does not look at all while bytes of the next request wait or after
//! a body that nobody read. So it is told to go on, and it is looked here: the answer that is under way has [`LEAVING`] to come to an end.
//! A stream of events, or a log that is followed, ends then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use futures::FutureExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::problem::{MEDIA_TYPE, Problem};

/// How long a reader may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(60);
/// How long an answer may still take for somebody who sends nothing more.
const LEAVING: Duration = Duration::from_secs(5);
/// When it is looked again whether somebody still sends whose bytes nobody has read yet.
const LOOK: Duration = Duration::from_secs(1);
/// How long, and how much, is still read of a connection that is closed: otherwise whoever still sends would not get the last answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1 << 20;

/// A stream that shows whether its other side still sends.
pub(crate) trait Peer {
    /// Whether the other side sends nothing more. Pending while it may still send; whoever asks is woken when that changes. `false` if it
    /// cannot be known yet, because bytes wait that nobody has read.
    fn poll_silent(&self, cx: &mut Context<'_>) -> Poll<bool>;
}

impl Peer for TcpStream {
    fn poll_silent(&self, cx: &mut Context<'_>) -> Poll<bool> {
        if ready!(self.poll_read_ready(cx)).is_err() {
            return Poll::Ready(true);
        }
        // the system tells of the end as soon as it is there, also behind bytes that are not read
        Poll::Ready(match self.ready(Interest::READABLE).now_or_never() {
            Some(Ok(ready)) => ready.is_read_closed(),
            Some(Err(_)) => true,
            None => false,
        })
    }
}

/// A stream below HTTP.
pub(crate) struct Connection<S> {
    stream: S,
    /// Until when somebody who sends nothing more gets an answer.
    leaving: Option<Pin<Box<Sleep>>>,
    /// When it is looked again whether somebody still sends.
    look: Option<Pin<Box<Sleep>>>,
    /// Since when it waits for the reader, and until when it does.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What is sent in place of an answer of hyper's, and how much of it was.
    replacing: Option<(Vec<u8>, usize)>,
}

impl<S: AsyncRead + AsyncWrite + Peer + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, leaving: None, look: None, stalled: None, replacing: None }
    }

    /// Ready once somebody counts as gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(leaving) = &mut self.leaving {
                return leaving.as_mut().poll(cx);
            }
            if let Some(look) = &mut self.look {
                ready!(look.as_mut().poll(cx));
                self.look = None;
            }
            if ready!(self.stream.poll_silent(cx)) {
                self.leaving = Some(Box::pin(tokio::time::sleep(LEAVING)));
            } else {
                self.look = Some(Box::pin(tokio::time::sleep(LOOK)));
            }
        }
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

impl<S: AsyncRead + AsyncWrite + Peer + Unpin> AsyncWrite for Connection<S> {
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

    /// hyper flushes each time that it has nothing else to do, so this is where it is looked whether somebody is still there.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
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
    use tokio::io::DuplexStream;
    use tokio::net::TcpListener;

    use super::*;

    /// One that never ends.
    impl Peer for DuplexStream {
        fn poll_silent(&self, _: &mut Context<'_>) -> Poll<bool> {
            Poll::Pending
        }
    }

    /// The two ends of a connection.
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn the_end_of_a_side_is_seen_behind_bytes_that_nobody_reads() {
        let silent = async |stream: &TcpStream| std::future::poll_fn(|cx| stream.poll_silent(cx)).await;
        let (mut client, server) = connected().await;
        // tokio may say too early that there is something to read, but never that there is nothing more
        assert_ne!(silent(&server).now_or_never(), Some(true));
        client.write_all(b"unread").await.unwrap();
        assert!(!silent(&server).await, "there are bytes, and no end");
        client.shutdown().await.unwrap();
        while !silent(&server).await {
            tokio::task::yield_now().await;
        }
        // also of somebody who has sent nothing at all
        let (client, server) = connected().await;
        drop(client);
        while !silent(&server).await {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn somebody_who_sends_nothing_more_is_served_for_a_while() {
        struct Silent(DuplexStream);
        impl Peer for Silent {
            fn poll_silent(&self, _: &mut Context<'_>) -> Poll<bool> {
                Poll::Ready(true)
            }
        }
        impl AsyncRead for Silent {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_read(cx, buffer)
            }
        }
        impl AsyncWrite for Silent {
            fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.0).poll_write(cx, bytes)
            }
            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_flush(cx)
            }
            fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.0).poll_shutdown(cx)
            }
        }
        let (_reader, writer) = tokio::io::duplex(64);
        let mut connection = Connection::new(Silent(writer));
        connection.flush().await.unwrap();
        connection.write_all(b"an answer").await.unwrap();
        tokio::time::sleep(LEAVING - Duration::from_millis(1)).await;
        connection.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(connection.flush().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }

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
