//! A stand-in for Kubernetes' API: the logs of pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::StreamExt as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What the API has for a pod.
pub(crate) enum Log {
    /// All of it.
    Text(Vec<u8>),
    /// What a test writes.
    Followed(mpsc::Receiver<Bytes>),
    /// A refusal: status and message.
    Refused(u16, &'static str),
}

/// The API on loopback.
pub(crate) struct Cluster {
    pub(crate) url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    logs: Mutex<BTreeMap<String, Log>>,
    asked: Mutex<Vec<String>>,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::<Shared>::default();
        let router =
            Router::new().route("/api/v1/namespaces/training/pods/{pod}/log", get(log)).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    pub(crate) fn has(&self, pod: &str, log: Log) {
        self.shared.logs.lock().unwrap().insert(pod.to_owned(), log);
    }

    /// The pods whose logs were asked for, each with the query.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn log(State(shared): State<Arc<Shared>>, Path(pod): Path<String>, RawQuery(query): RawQuery) -> Response {
    shared.asked.lock().unwrap().push(format!("{pod}?{}", query.unwrap_or_default().trim_start_matches('&')));
    let mut logs = shared.logs.lock().unwrap();
    match logs.get(&pod) {
        None => refused(404, &format!("pods \"{pod}\" not found")),
        Some(Log::Refused(status, message)) => refused(*status, message),
        Some(Log::Text(text)) => text.clone().into_response(),
        Some(Log::Followed(_)) => {
            let Some(Log::Followed(lines)) = logs.remove(&pod) else { unreachable!() };
            let lines = futures::stream::unfold(lines, async |mut lines| Some((lines.recv().await?, lines)));
            Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>)).into_response()
        }
    }
}

fn refused(code: u16, message: &str) -> Response {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code });
    (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
}
