//! Stands between a worker and MLflow: everything goes through, and one call is told of before it is passed on.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Told when the call came; the call is passed on once the answer is sent.
pub(crate) type Came = oneshot::Receiver<oneshot::Sender<()>>;

#[derive(Clone)]
struct Between {
    to: String,
    /// The end of the path that is waited for.
    path: &'static str,
    told: Arc<Mutex<Option<oneshot::Sender<oneshot::Sender<()>>>>>,
    http: reqwest::Client,
}

/// Gives the address to be used in place of `to`.
pub(crate) async fn start(to: &str, path: &'static str) -> (String, Came) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, came) = oneshot::channel();
    let told = Arc::new(Mutex::new(Some(tell)));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let app = Router::new().fallback(pass).with_state(Between { to: to.to_owned(), path, told, http });
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, came)
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    if request.uri().path().ends_with(between.path) {
        let tell = between.told.lock().unwrap().take();
        if let Some(tell) = tell {
            let (go_on, may_go_on) = oneshot::channel();
            tell.send(go_on).unwrap();
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
