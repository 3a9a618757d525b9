//! A stub of any HTTP service: it records what it is asked, and a function answers.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;

/// A request that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How many came before.
    pub(crate) before: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `(access key, region)` of its signature.
    pub(crate) fn signer(&self) -> (&str, &str) {
        let credential = self.header("authorization").split_once("Credential=").unwrap().1;
        let mut parts = credential.split('/');
        (parts.next().unwrap(), parts.nth(1).unwrap())
    }

    pub(crate) fn is(&self, method: Method, path: &str) -> bool {
        self.method == method && self.uri.path() == path
    }
}

/// A running stub.
#[derive(Debug, Clone)]
pub(crate) struct Stub {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    /// Answers on a loopback port until the test ends.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (record, answer) = (seen.clone(), Arc::new(answer));
        let handle = async move |request: Request| {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            let mut seen: std::sync::MutexGuard<'_, Vec<Seen>> = record.lock().unwrap();
            let (method, uri, headers, before) = (head.method, head.uri, head.headers, seen.len());
            seen.push(Seen { method, uri, headers, body, before });
            answer(&seen[before])
        };
        let app = axum::Router::new().fallback(handle);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

pub(crate) fn answer(status: u16, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// As S3 refuses.
pub(crate) fn refuse(status: u16, code: &str) -> Response {
    answer(status, format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no.</Message></Error>"))
}

/// A body that breaks off after its first bytes.
pub(crate) fn broken(first: Bytes) -> Body {
    let first = stream::iter([Ok(first)]);
    let end = stream::once(async {
        // the server sends what it has while a body is pending
        tokio::task::yield_now().await;
        Err(std::io::Error::other("broken off"))
    });
    Body::from_stream(first.chain(end))
}
