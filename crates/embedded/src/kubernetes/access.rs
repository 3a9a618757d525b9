//! What is asked of every request before it is answered: that it was meant for this address, and who sends it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::refusal::{Answer, Refusal};
use super::resource::Resource;
use super::tokens::{Caller, Tokens};

/// Lets a request through, or refuses it.
pub(super) async fn check(State(tokens): State<Tokens>, mut request: Request, next: Next) -> Answer<Response> {
    // A page in a browser can make its own name lead to this address. It does not know the token either.
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| slipway_http::is_loopback(without_port(host))) {
        return Err(Refusal::forbidden("this API is for this machine alone: ask for 127.0.0.1"));
    }
    let caller = bearer(request.headers()).and_then(|token| tokens.caller(token)).ok_or_else(Refusal::unauthorized)?;
    if let Caller::Worker(job) = &caller
        && !is_report(request.method(), request.uri().path(), job)
    {
        return Err(Refusal::forbidden(format!("the token of {job} is for reports of its progress alone")));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The path where the workers of a job report their progress.
pub(super) fn report_path(namespace: &str, job: &str) -> String {
    let resource = Resource::TrainJobs;
    format!("{}/namespaces/{namespace}/{}/{job}/status", resource.path(), resource.plural())
}

fn is_report(method: &Method, path: &str, job: &str) -> bool {
    // a job is only in one namespace, and what the handler looks up is there
    let namespace = path.split('/').nth(5).unwrap_or_default();
    method == Method::POST && path == report_path(namespace, job)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_with_and_without_its_port() {
        for (host, name) in
            [("127.0.0.1:80", "127.0.0.1"), ("localhost", "localhost"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            assert_eq!(without_port(host), name);
        }
    }

    #[test]
    fn a_report_is_about_the_workers_own_job() {
        let path = report_path("training", "a");
        assert!(is_report(&Method::POST, &path, "a"));
        assert!(!is_report(&Method::POST, &path, "b"));
        assert!(!is_report(&Method::GET, &path, "a"));
        assert!(!is_report(&Method::POST, "/api/v1/pods", "a"));
    }
}
