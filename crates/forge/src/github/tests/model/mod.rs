//! A small model of GitHub in memory, with every fault that a network, a rate limit or other people can bring, and random schedules of them.

mod faults;
mod git;
mod routes;
mod schedules;
mod state;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use octocrab::OctoBody;
use serde_json::Value;
use tower::{BoxError, Service};

use super::super::{Credentials, GitHub, client};
use faults::Fault;
use state::State;

/// What GitHub answers: status, headers and body.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Value,
}

impl Answer {
    fn new(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn refusal(status: u16, message: &str) -> Self {
        Self::new(status, serde_json::json!({ "message": message }))
    }
}

/// The server, as a transport below octocrab.
#[derive(Clone)]
struct Model(Arc<Mutex<State>>);

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A client of its own, as each process has one.
    fn client(&self, credentials: Credentials) -> GitHub {
        let transport = client::over(self.clone(), "https://api.github.com".parse().unwrap(), &credentials);
        GitHub::over(transport, "octo", "cat", credentials)
    }

    async fn answer(self, request: Request<OctoBody>) -> Result<Response<Full<Bytes>>, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (fault, there, back) = {
            let mut state = self.state();
            state.requests += 1;
            let [there, back] = [state.random.u64(1..80), state.random.u64(1..80)].map(Duration::from_millis);
            (state.fault(), there, back)
        };
        tokio::time::sleep(there).await;
        let answer = {
            let mut state = self.state();
            state.happening();
            state.happened.extend(fault.map(Fault::kind));
            let line = format!("{} {}", parts.method, parts.uri.path_and_query().unwrap());
            let answer = match &fault {
                Some(fault) if !fault.is_after() => fault.answer(&mut state),
                _ => {
                    let answer = state.route(&parts, &body);
                    match &fault {
                        // what GitHub does in spite of the answer
                        Some(fault) => fault.answer(&mut state),
                        None => Ok(answer),
                    }
                }
            };
            let said = answer.as_ref().map_or_else(|cut| cut.to_string(), |answer| answer.status.to_string());
            state.log.push(format!("{line} → {said} {}", fault.map(|fault| format!("{fault:?}")).unwrap_or_default()));
            state.happening();
            answer
        };
        tokio::time::sleep(back).await;
        let answer = answer?;
        let mut response = Response::builder().status(answer.status);
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        let text = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
        Ok(response.body(Full::new(Bytes::from(text)))?)
    }
}

impl Service<Request<OctoBody>> for Model {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        Box::pin(self.clone().answer(request))
    }
}
