//! A proxy between a worker and MLflow. It passes calls on, except for those that a test has a fault for.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Resolves when the call arrives. The call is passed on once the received sender is used, and is lost if it is dropped.
pub(crate) type Arrival = oneshot::Receiver<oneshot::Sender<()>>;

/// What happens to one call.
pub(crate) enum Fault {
    /// It waits until the test lets it go on.
    Hold(oneshot::Sender<oneshot::Sender<()>>),
    /// MLflow carries it out, and its answer is lost.
    AnswerLost,
    /// MLflow is away.
    Away,
}

#[derive(Clone)]
struct Between {
    to: String,
    /// The end of a call's path, and what happens to the next call there.
    faults: Arc<Mutex<Vec<(&'static str, Fault)>>>,
    http: reqwest::Client,
}

/// Starts the proxy, and returns the address to use instead of `to`.
pub(crate) async fn start(to: &str, faults: Vec<(&'static str, Fault)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let faults = Arc::new(Mutex::new(faults));
    let app = Router::new().fallback(pass).with_state(Between { to: to.to_owned(), faults, http });
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A proxy that holds the first call to a path.
pub(crate) async fn hold(to: &str, path: &'static str) -> (String, Arrival) {
    let (sender, arrival) = oneshot::channel();
    (start(to, vec![(path, Fault::Hold(sender))]).await, arrival)
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    let fault = {
        let mut faults = between.faults.lock().unwrap();
        let found = faults.iter().position(|(path, _)| request.uri().path().ends_with(path));
        found.map(|at| faults.remove(at).1)
    };
    let answer_is_lost = matches!(fault, Some(Fault::AnswerLost));
    match fault {
        Some(Fault::Away) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Fault::Hold(sender)) => {
            let (go_on, may_go_on) = oneshot::channel();
            sender.send(go_on).unwrap();
            if may_go_on.await.is_err() {
                return StatusCode::BAD_GATEWAY.into_response();
            }
        }
        Some(Fault::AnswerLost) | None => {}
    }
    let (head, body) = request.into_parts();
    let url = format!("{}{}", between.to, head.uri);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = head.headers;
    headers.remove("host");
    let answer = between.http.request(head.method, url).headers(headers).body(body).send().await.unwrap();
    if answer_is_lost {
        assert!(answer.status().is_success(), "{answer:?}");
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response = response.header("content-type", kind);
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}
