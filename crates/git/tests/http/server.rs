//! A server on loopback: git's own `git http-backend` over CGI, and what is between it and a client.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::response::Parts;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

/// What is done to the answers.
#[derive(Clone, Debug, Default)]
pub(crate) enum Way {
    #[default]
    AsItIs,
    /// Packs end after so many bytes.
    Cut(usize),
    /// Packs stop after so many bytes, and the connection stays.
    Stall(usize),
    /// A byte comes every so many milliseconds.
    Trickle(u64),
    Gzip,
    /// Requests lead to this path instead of `/forge.git`.
    Moved(String),
    /// Every answer to a command has this body.
    Says(Vec<u8>),
    /// These answers to the two commands.
    Answers {
        references: Vec<u8>,
        pack: Vec<u8>,
    },
    /// So many zeros, compressed.
    Bomb(usize),
    /// As before version 2 of the protocol.
    Old,
    /// The bytes of a pack's answer are wrong at these places.
    Damaged(Vec<usize>),
    /// Every answer has this status.
    Status(u16),
    /// A web page.
    Page,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The bytes of the answer.
    pub(crate) answered: usize,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) way: Way,
    pub(crate) asked: Vec<Asked>,
    /// The token that is asked for; everybody is served without one.
    pub(crate) token: Option<String>,
}

/// Answers by what was asked: the path, and the body.
type Kept = HashMap<(String, Bytes), (Parts, Bytes)>;

#[derive(Clone)]
pub(crate) struct Shared {
    root: PathBuf,
    inner: Arc<Mutex<Inner>>,
    /// Answers to the same requests, for tests that ask hundreds of times.
    kept: Arc<Mutex<Kept>>,
}

/// A running server; it ends with the value.
pub(crate) struct Server {
    pub(crate) url: String,
    shared: Shared,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves the repositories of a folder.
    pub(crate) async fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared { root: root.to_owned(), inner: Arc::default(), kept: Arc::default() };
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shared, task }
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap()
    }

    pub(crate) fn set(&self, way: Way) {
        self.inner().way = way;
    }

    /// What was asked since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inner().asked)
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let (method, uri, headers) = (parts.method, parts.uri, parts.headers);
    let (way, token) = {
        let inner = shared.inner.lock().unwrap();
        (inner.way.clone(), inner.token.clone())
    };
    let mut seen = headers.clone();
    if matches!(way, Way::Old) {
        seen.remove("git-protocol");
    }
    let line = format!("{method} {uri}");
    let key = (line.clone(), body.clone());
    let keeps = matches!(way, Way::Says(_) | Way::Damaged(_));
    let kept = shared.kept.lock().unwrap().get(&key).filter(|_| keeps).cloned();
    let (mut parts, content) = match (refusal(&way, &method, &uri, &headers, token), kept) {
        (Some(refusal), _) => whole(refusal).await,
        (None, Some(kept)) => kept,
        (None, None) => {
            let answer = whole(backend(&shared.root, &method, &uri, &seen, &body).await).await;
            shared.kept.lock().unwrap().insert(key, answer.clone());
            answer
        }
    };
    shared.inner.lock().unwrap().asked.push(Asked { line, headers, body: body.clone(), answered: content.len() });
    let is_pack = content.starts_with(b"000dpackfile\n");
    let body = match way {
        Way::Cut(after) if is_pack => broken(content, after),
        Way::Stall(after) if is_pack => {
            let first = content.slice(..after.min(content.len()));
            Body::from_stream(stream::iter([Ok::<_, std::io::Error>(first)]).chain(stream::pending()))
        }
        Way::Trickle(pause) if is_pack => {
            let bytes = stream::iter(0..content.len()).then(move |at| {
                let byte = content.slice(at..=at);
                async move {
                    tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
                    Ok::<_, std::io::Error>(byte)
                }
            });
            Body::from_stream(bytes)
        }
        Way::Gzip => {
            parts.headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            std::io::Write::write_all(&mut encoder, &content).unwrap();
            Body::from(encoder.finish().unwrap())
        }
        Way::Damaged(places) if is_pack => {
            let mut damaged = content.to_vec();
            for place in places {
                let place = place % damaged.len();
                damaged[place] ^= 0x55;
            }
            Body::from(damaged)
        }
        Way::Says(said) if method == Method::POST => Body::from(said),
        Way::Answers { pack, .. } if find(&body, b"command=fetch") => Body::from(pack),
        Way::Answers { references, .. } if method == Method::POST => Body::from(references),
        Way::Bomb(size) if method == Method::POST => {
            parts.headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            // lines of zeros: packets that go on and on
            let line = [b"0fff", vec![0; 0xfff - 4].as_slice()].concat();
            (0..size / line.len()).for_each(|_| std::io::Write::write_all(&mut encoder, &line).unwrap());
            Body::from(encoder.finish().unwrap())
        }
        _ => Body::from(content),
    };
    Response::from_parts(parts, body)
}

async fn whole(answer: Response<Body>) -> (Parts, Bytes) {
    let (parts, content) = answer.into_parts();
    (parts, to_bytes(content, usize::MAX).await.unwrap())
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A body that breaks off.
fn broken(content: Bytes, after: usize) -> Body {
    let first = content.slice(..after.min(content.len()));
    let end = std::io::Error::other("cut");
    // the first part is on its way before the connection breaks
    let pause = stream::once(async {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        Err(end)
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(pause))
}

/// An answer that is not git's.
fn refusal(
    way: &Way,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    token: Option<String>,
) -> Option<Response<Body>> {
    let status = |status| Response::builder().status(status);
    let given = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    if token.is_some_and(|token| given != Some(format!("Basic {}", basic(&token)))) {
        let challenge = status(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, "Basic realm=\"x\"");
        return Some(challenge.body(Body::empty()).unwrap());
    }
    match way {
        Way::Status(code) => Some(status(StatusCode::from_u16(*code).unwrap()).body(Body::empty()).unwrap()),
        Way::Page => {
            let page = status(StatusCode::OK).header(header::CONTENT_TYPE, "text/html");
            Some(page.body(Body::from("<html>sign in</html>")).unwrap())
        }
        Way::Moved(to) if uri.path().starts_with("/forge.git") => {
            let at = uri.path_and_query().unwrap().as_str().replace("/forge.git", to);
            Some(status(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, at).body(Body::empty()).unwrap())
        }
        Way::Says(_) | Way::Answers { .. } | Way::Bomb(_) if *method == Method::POST => {
            let kind = "application/x-git-upload-pack-result";
            Some(status(StatusCode::OK).header(header::CONTENT_TYPE, kind).body(Body::empty()).unwrap())
        }
        _ => None,
    }
}

/// What a client sends for a token.
pub(crate) fn basic(token: &str) -> String {
    use base64::Engine as _;

    base64::prelude::BASE64_STANDARD.encode(format!("x-access-token:{token}"))
}

async fn backend(root: &Path, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response<Body> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    command
        .arg("http-backend")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let body = body.clone();
    let write = async move {
        // git closes it early when it has read enough
        let _ = input.write_all(&body).await;
    };
    let (done, ()) = tokio::join!(child.wait_with_output(), write);
    let output = Bytes::from(done.unwrap().stdout);
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut answer = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        answer = match name {
            "Status" => answer.status(value.split(' ').next().unwrap()),
            name => answer.header(name, value),
        };
    }
    answer.body(Body::from(output.slice(end + 4..))).unwrap()
}
