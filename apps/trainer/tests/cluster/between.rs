//! A proxy between a worker and MLflow: it passes everything on, but holds one call until the test lets it go on.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Resolves when the call arrives. The call is passed on once the received sender is used.
pub(crate) type Arrival = oneshot::Receiver<oneshot::Sender<()>>;

#[derive(Clone)]
struct Between {
    to: String,
    /// The end of the path of the call that is held.
    path: &'static str,
    arrived: Arc<Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>>,
    http: reqwest::Client,
}

/// Starts the proxy, and returns the address to use instead of `to`.
pub(crate) async fn start(to: &str, path: &'static str) -> (String, Arrival) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, arrival) = oneshot::channel();
    let arrived = Arc::new(Mutex::new(Some(sender)));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let app = Router::new().fallback(pass).with_state(Between { to: to.to_owned(), path, arrived, http });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, arrival)
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    if request.uri().path().ends_with(between.path) {
        let sender = between.arrived.lock().unwrap().take();
        if let Some(sender) = sender {
            let (go_on, may_go_on) = oneshot::channel();
            sender.send(go_on).unwrap();
            may_go_on.await.unwrap();
        }
    }
    let (head, body) = request.into_parts();
    let url = format!("{}{}", between.to, head.uri);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = head.headers;
    headers.remove("host");
    let answer = between.http.request(head.method, url).headers(headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
