//! An API server that keeps one Lease, with real compare-and-swap, and the lines over which it is asked.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::{Service as _, service_fn};

use crate::Cluster;
use crate::lease::Election;

/// The server.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    lease: Option<Value>,
    version: u64,
    /// A status to answer every request with, if it is not 200 nor 0.
    refuses: u16,
}

/// What happens between a candidate and the server.
#[derive(Clone, Default)]
pub(super) struct Line(Arc<Mutex<Weather>>);

/// How long requests and answers travel, and how likely they are lost, in percent.
#[derive(Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) travels: u64,
    pub(super) loses: u32,
    /// Whether what is lost is known to be lost at once.
    pub(super) says_so: bool,
    pub(super) seed: u64,
}

impl Line {
    /// Nothing arrives any more.
    pub(super) fn cut(&self) {
        self.set(Weather { loses: 100, ..Weather::default() });
    }

    /// Everything arrives.
    pub(super) fn mend(&self) {
        self.set(Weather::default());
    }

    pub(super) fn set(&self, weather: Weather) {
        *self.0.lock().unwrap() = weather;
    }

    /// One way over the line.
    async fn travel(&self) -> Result<(), &'static str> {
        let (travels, is_lost, says_so) = {
            let mut weather = self.0.lock().unwrap();
            weather.seed = weather.seed.wrapping_add(1);
            let mut random = fastrand::Rng::with_seed(weather.seed);
            (random.u64(0..=weather.travels), random.u32(0..100) < weather.loses, weather.says_so)
        };
        sleep(Duration::from_millis(travels)).await;
        match (is_lost, says_so) {
            (false, _) => Ok(()),
            (true, true) => Err("the connection broke"),
            (true, false) => std::future::pending().await,
        }
    }
}

impl Server {
    /// A candidate that asks over a line.
    pub(super) fn candidate(&self, identity: &str, line: &Line) -> Election {
        let app = Router::new().fallback(answer).with_state(self.clone());
        let line = line.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (mut app, line) = (app.clone(), line.clone());
            async move {
                line.travel().await.map_err(std::io::Error::other)?;
                // what has arrived is done, even if nobody waits for the answer any more
                let done = tokio::spawn(async move { app.call(request.map(axum::body::Body::new)).await }).await;
                let Ok(answer) = done.map_err(std::io::Error::other)?;
                line.travel().await.map_err(std::io::Error::other)?;
                Ok::<Response<axum::body::Body>, std::io::Error>(answer)
            }
        });
        let cluster = Cluster::over(Client::new(service, "default"));
        Election::new(&cluster, "training-manager", "manager", identity).unwrap()
    }

    pub(super) fn lease(&self) -> Value {
        self.kept().lease.clone().unwrap_or_default()
    }

    pub(super) fn remove(&self) {
        self.kept().lease = None;
    }

    /// Answers every request with this status; 200 ends that.
    pub(super) fn refuse(&self, status: u16) {
        self.kept().refuses = status;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }
}

async fn answer(State(server): State<Server>, method: Method, body: Bytes) -> Response<axum::body::Body> {
    let mut kept = server.kept();
    let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !matches!(kept.refuses, 0 | 200) {
        return refused(kept.refuses, "Refused");
    }
    let held = kept.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
    match (method, held) {
        (Method::GET, Some(_)) => return Json(kept.lease.clone()).into_response(),
        (Method::GET | Method::PUT, None) => return refused(404, "NotFound"),
        (Method::POST, Some(_)) => return refused(409, "AlreadyExists"),
        (Method::PUT, Some(held)) => {
            let given = &body["metadata"]["resourceVersion"];
            assert!(given.is_string(), "never without a version");
            if *given != held {
                return refused(409, "Conflict");
            }
        }
        _ => {}
    }
    // as the real one: what changes nothing makes no new version
    if kept.lease.as_ref() != Some(&body) {
        kept.version += 1;
        body["metadata"]["resourceVersion"] = json!(kept.version.to_string());
        kept.lease = Some(body);
    }
    Json(kept.lease.clone()).into_response()
}

fn refused(code: u16, reason: &str) -> Response<axum::body::Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
