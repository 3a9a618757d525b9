//! Connections: how many there may be, and how long each may make the server wait.
//!
//! hyper has one time limit for the head of an HTTP/1 request, which also counts while a connection is idle between two requests, and
//! none for HTTP/2. But a head takes milliseconds, while proxies keep idle connections for a minute and a half and lose a request when
//! such a connection is closed under their hands. So the limits are kept here, with the same rules for both versions of HTTP.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustix::process::{Resource, getrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tower::Service;

use crate::streams::Streams;

/// How long the first byte of a connection may take, and then the head of each request from its first byte to its end.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may be idle between two requests: longer than the 90 s of Go's proxies, Traefik among them.
const IDLE: Duration = Duration::from_secs(120);
/// How long a request and its answer may take together: the time limit of a request, and as long again for a slow reader.
const ANSWER: Duration = Duration::from_secs(60);
/// How often the times above are looked at, and how long a connection has to close by itself before it is dropped.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after a failure to accept, such as a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(500);
/// The most bytes of a connection that wait to be read, and so the longest head.
const BUFFER: usize = 64 << 10;
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 64;
/// File descriptors that are left for files and for connections to the registry.
const OTHER_FILES: u64 = 64;

/// The connections of one listener.
#[derive(Clone)]
pub struct Connections {
    places: Arc<Semaphore>,
    most: u32,
    /// Set while every place is taken: connections without a request then make room.
    crowded: Arc<AtomicBool>,
    ended: watch::Receiver<bool>,
}

impl Connections {
    /// At most `most` connections at once, until `ended` is true.
    pub fn new(most: u32, ended: watch::Receiver<bool>) -> Self {
        let places = Arc::new(Semaphore::new(most as usize));
        Self { places, most, crowded: Arc::default(), ended }
    }

    /// Answers on this listener until the end, then finishes the requests in flight. Connections without a request are not waited for.
    pub async fn serve(self, listener: TcpListener, router: Router) {
        let mut ended = self.ended.clone();
        loop {
            let (stream, place) = tokio::select! {
                _ = ended.wait_for(|ended| *ended) => break,
                accepted = self.accept(&listener) => accepted,
            };
            // Answers are small, so each is sent at once.
            let _ = stream.set_nodelay(true);
            let (connections, router) = (self.clone(), router.clone());
            tokio::spawn(async move {
                connections.answer(stream, router).await;
                drop(place);
            });
        }
        drop(listener);
        let _ = self.places.acquire_many(self.most).await;
    }

    /// The next connection, once there is a place for it.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, OwnedSemaphorePermit) {
        self.crowded.store(self.places.available_permits() == 0, Ordering::Relaxed);
        let place = loop {
            // It is never closed.
            if let Ok(place) = Arc::clone(&self.places).acquire_owned().await {
                break place;
            }
        };
        self.crowded.store(false, Ordering::Relaxed);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(event = "not_accepted", "a connection cannot be accepted: {error}");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Answers the requests of one connection until it ends or has to be ended.
    async fn answer(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router) {
        let activity = Arc::new(Activity::new());
        let io = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
        let service = {
            let activity = Arc::clone(&activity);
            service_fn(move |request: Request<Incoming>| {
                let answering = Activity::begin(&activity);
                let answer = router.clone().call(request.map(Body::new));
                async move {
                    let response: Response<Body> = answer.await?;
                    Ok::<_, Infallible>(response.map(|body| Body::new(Answer { body, _answering: answering })))
                }
            })
        };
        let streams = Streams::default();
        let http = http(streams.clone());
        let mut connection = pin!(http.serve_connection(io, service));
        let _end = streams.end();
        let mut ended = self.ended.clone();
        let mut look = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        let (mut ending, mut closing) = (false, false);
        loop {
            let looked = tokio::select! {
                done = poll_fn(|cx| streams.poll_with(connection.as_mut(), cx)) => {
                    if let Err(error) = done {
                        tracing::debug!(event = "connection_failed", "{error}");
                    }
                    return;
                }
                _ = ended.wait_for(|ended| *ended), if !ending => {
                    ending = true;
                    look.reset();
                    false
                }
                _ = look.tick() => true,
            };
            let late = activity.is_late(self.crowded.load(Ordering::Relaxed), ending);
            if closing && late && looked {
                return;
            }
            if (ending || late) && !closing {
                closing = true;
                // Closes what is idle, and lets a request that is in flight be the last.
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// How a connection speaks HTTP, and where its requests run.
fn http(streams: Streams) -> Builder<Streams> {
    let mut http = Builder::new(streams);
    // Without a limit for heads of hyper's own: see above.
    http.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_connection_window_size(4 * BUFFER as u32)
        .initial_stream_window_size(BUFFER as u32);
    http
}

/// How many connections there may be at each of two addresses, if this many are wanted: no more than the limit of open files allows.
pub fn limit(wanted: u32) -> u32 {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let allowed = files.saturating_sub(OTHER_FILES).max(2) / 2;
    let allowed = u32::try_from(allowed).unwrap_or(u32::MAX);
    if allowed < wanted {
        tracing::warn!(
            event = "few_files",
            "at most {allowed} connections at each address, not {wanted}: the limit of open files is {files} (`ulimit -n`)"
        );
    }
    wanted.min(allowed)
}

/// Whether only the connection that was to be accepted is at fault, and the next one can be accepted at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What a connection is doing, and since when.
struct Activity(Mutex<Now>);

#[derive(Clone, Copy)]
struct Now {
    does: Does,
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// Its first byte, or the rest of a request's head, is awaited.
    Head,
    /// Nothing has come since the last answer.
    Idle,
    /// This many requests are being answered.
    Answers(usize),
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(Now { does: Does::Head, since: Instant::now() }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self) {
        let mut now = self.now();
        if now.does == Does::Idle {
            *now = Now { does: Does::Head, since: Instant::now() };
        }
    }

    /// Counts a request as being answered until the value is dropped.
    fn begin(activity: &Arc<Self>) -> Answering {
        let mut now = activity.now();
        let others = if let Does::Answers(others) = now.does { others } else { 0 };
        *now = Now { does: Does::Answers(others + 1), since: Instant::now() };
        Answering(Arc::clone(activity))
    }

    /// Whether the connection should not be waited for any longer.
    fn is_late(&self, crowded: bool, ending: bool) -> bool {
        let Now { does, since } = *self.now();
        let limit = match does {
            Does::Answers(_) => ANSWER,
            Does::Head | Does::Idle if ending => return true,
            Does::Idle if crowded => return true,
            Does::Idle => IDLE,
            Does::Head if crowded => LOOK,
            Does::Head => HEAD,
        };
        since.elapsed() >= limit
    }
}

struct Answering(Arc<Activity>);

impl Drop for Answering {
    fn drop(&mut self) {
        let mut now = self.0.now();
        match now.does {
            Does::Answers(requests) if requests > 1 => now.does = Does::Answers(requests - 1),
            _ => *now = Now { does: Does::Idle, since: Instant::now() },
        }
    }
}

/// The body of an answer, which is being given until the body is sent or dropped.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose reads are noticed.
struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use axum::routing::{get, post};
    use futures::future::join;
    use futures::poll;
    use http_body_util::{BodyExt as _, Empty};
    use hyper::StatusCode;
    use hyper::client::conn::http2::{SendRequest, handshake};
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::task::JoinHandle;

    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    struct Server {
        connections: Connections,
        ending: watch::Sender<bool>,
        /// Requests for `/slow` are answered once this has permits.
        slow: Arc<Semaphore>,
    }

    impl Server {
        fn new() -> Self {
            let (ending, ended) = watch::channel(false);
            Self { connections: Connections::new(8, ended), ending, slow: Arc::new(Semaphore::new(0)) }
        }

        /// A connection, and the task that answers it.
        fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
            let slow = Arc::clone(&self.slow);
            let router = Router::new()
                .route("/", get(async || "here"))
                .route("/panic", get(async || -> &'static str { panic!("a test wants it") }))
                .route(
                    "/slow",
                    get(async move || slow.acquire().await.map(|_| "late").map_err(|error| error.to_string())),
                )
                .route("/read", post(async |body: String| body));
            let (client, server) = tokio::io::duplex(64 << 10);
            let connections = self.connections.clone();
            (client, tokio::spawn(async move { connections.answer(server, router).await }))
        }
    }

    /// Sends a request and reads its answer.
    async fn ask(client: &mut DuplexStream) {
        client.write_all(GET).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"here") {
            assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0, "the connection is closed");
        }
    }

    /// How long the server kept the connection.
    async fn kept(mut client: DuplexStream, server: JoinHandle<()>) -> Duration {
        let begun = Instant::now();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        server.await.unwrap();
        begun.elapsed()
    }

    /// Whether a connection was kept for the limit, give or take the two looks that it takes to end.
    fn about(limit: Duration, kept: Duration) -> bool {
        (limit..=limit + 3 * LOOK).contains(&kept)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_ends_the_connection() {
        let server = Server::new();
        for head in [&b""[..], b"GET / HTTP/1.1\r\nhost:", b"PRI * HTTP/2.0\r\n"] {
            let (mut client, answering) = server.connect();
            client.write_all(head).await.unwrap();
            let kept = kept(client, answering).await;
            assert!(about(HEAD, kept), "{kept:?}");
        }
        // A byte now and then does not help, nor does a request before.
        let (mut client, answering) = server.connect();
        ask(&mut client).await;
        client.write_all(&GET[..5]).await.unwrap();
        let begun = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(LOOK).await;
        }
        answering.await.unwrap();
        assert!(about(HEAD, begun.elapsed()), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_longer_than_proxies_keep_theirs() {
        let server = Server::new();
        let (mut client, answering) = server.connect();
        for _ in 0..3 {
            ask(&mut client).await;
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        ask(&mut client).await;
        let kept = kept(client, answering).await;
        assert!(about(IDLE, kept), "{kept:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_or_an_answer_that_does_not_end_ends_the_connection() {
        let server = Server::new();
        let slow = b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
        let body = b"POST /read HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf".to_vec();
        for request in [slow, body] {
            let (mut client, answering) = server.connect();
            client.write_all(&request).await.unwrap();
            let kept = kept(client, answering).await;
            assert!(about(ANSWER, kept), "{kept:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_there_is_no_place_left_idle_connections_make_room() {
        let server = Server::new();
        let (mut client, answering) = server.connect();
        ask(&mut client).await;
        server.connections.crowded.store(true, Ordering::Relaxed);
        let kept_idle = kept(client, answering).await;
        let (client, answering) = server.connect();
        let kept_silent = kept(client, answering).await;
        assert!(about(Duration::ZERO, kept_idle) && about(LOOK, kept_silent), "{kept_idle:?} {kept_silent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_requests_and_for_nothing_else() {
        let server = Server::new();
        let (mut idle, first) = server.connect();
        ask(&mut idle).await;
        let (mut half, second) = server.connect();
        half.write_all(&GET[..5]).await.unwrap();
        let (mut busy, third) = server.connect();
        busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        tokio::time::sleep(LOOK).await;
        let begun = Instant::now();
        server.ending.send_replace(true);
        first.await.unwrap();
        second.await.unwrap();
        assert!(begun.elapsed() <= 2 * LOOK, "{:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert!(!third.is_finished());
        server.slow.add_permits(1);
        let mut answer = String::new();
        busy.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("late"), "{answer}");
        third.await.unwrap();
    }

    #[tokio::test]
    async fn there_are_never_more_than_were_allowed() {
        let (ending, ended) = watch::channel(false);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // Each request is answered when it gets a permit.
        let answers = Arc::new(Semaphore::new(0));
        let (begun, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let router = {
            let (answers, begun, done) = (Arc::clone(&answers), Arc::clone(&begun), Arc::clone(&done));
            Router::new().route(
                "/",
                get(async move || {
                    begun.fetch_add(1, Ordering::Relaxed);
                    let answered = answers.acquire().await.map(tokio::sync::SemaphorePermit::forget);
                    done.fetch_add(1, Ordering::Relaxed);
                    answered.map(|()| "here").map_err(|error| error.to_string())
                }),
            )
        };
        let serving = tokio::spawn(Connections::new(2, ended).serve(listener, router));
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
            clients.push(client);
        }
        for answered in 0..2 {
            while (begun.load(Ordering::Relaxed), done.load(Ordering::Relaxed)) != (answered + 2, answered) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The others would have begun by now.
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(begun.load(Ordering::Relaxed), answered + 2);
            answers.add_permits(1);
        }
        answers.add_permits(2);
        for mut client in clients {
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            assert!(answer.ends_with("here"), "{answer}");
        }
        ending.send_replace(true);
        serving.await.unwrap();
    }

    type Requests = SendRequest<Empty<Bytes>>;

    /// A client that speaks HTTP/2, and the task that is its connection.
    async fn http2(client: DuplexStream) -> (Requests, JoinHandle<hyper::Result<()>>) {
        let (requests, connection) = handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
        (requests, tokio::spawn(connection))
    }

    /// Sends a request and reads its answer.
    async fn ask2(mut requests: Requests, path: &str) -> Bytes {
        let request = Request::get(format!("http://a{path}")).body(Empty::<Bytes>::new()).unwrap();
        let answer = requests.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn http2_is_answered_without_an_upgrade() {
        let server = Server::new();
        let (client, answering) = server.connect();
        let (requests, driving) = http2(client).await;
        for _ in 0..3 {
            assert_eq!(ask2(requests.clone(), "/").await, "here");
        }
        drop(requests);
        // Ends by itself when nothing more comes.
        answering.await.unwrap();
        driving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn no_request_of_http2_waits_for_another_one() {
        let server = Server::new();
        let (client, answering) = server.connect();
        let (requests, driving) = http2(client).await;
        let mut slow = Box::pin(join(ask2(requests.clone(), "/slow"), ask2(requests.clone(), "/slow")));
        // both are sent
        assert!(poll!(&mut slow).is_pending());
        assert_eq!(ask2(requests.clone(), "/").await, "here");
        server.slow.add_permits(1);
        assert_eq!(slow.await, (Bytes::from("late"), Bytes::from("late")));
        assert_eq!(ask2(requests.clone(), "/").await, "here");
        drop(requests);
        answering.await.unwrap();
        driving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_of_http2_that_panics_ends_without_its_connection() {
        let server = Server::new();
        let (client, answering) = server.connect();
        let (mut requests, driving) = http2(client).await;
        for _ in 0..2 {
            let request = Request::get("http://a/panic").body(Empty::<Bytes>::new()).unwrap();
            requests.send_request(request).await.unwrap_err();
            assert_eq!(ask2(requests.clone(), "/").await, "here");
        }
        // nor do the others that run in tasks of their own
        let mut slow = Box::pin(ask2(requests.clone(), "/slow"));
        assert!(poll!(&mut slow).is_pending());
        let request = Request::get("http://a/panic").body(Empty::<Bytes>::new()).unwrap();
        requests.send_request(request).await.unwrap_err();
        server.slow.add_permits(1);
        assert_eq!(slow.await, "late");
        drop(requests);
        answering.await.unwrap();
        driving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_of_http2_ends_with_its_connection() {
        let server = Server::new();
        let (client, answering) = server.connect();
        let (requests, driving) = http2(client).await;
        let mut slow = Box::pin(ask2(requests.clone(), "/slow"));
        assert!(poll!(&mut slow).is_pending());
        // sent after it, so it has begun
        assert_eq!(ask2(requests.clone(), "/").await, "here");
        driving.abort();
        assert!(driving.await.unwrap_err().is_cancelled());
        answering.await.unwrap();
        // nothing of the router is left, and so nothing of the request
        assert_eq!(Arc::strong_count(&server.slow), 1);
    }
}
