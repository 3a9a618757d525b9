//! An app's signature, by GitHub's clock.
//!
//! GitHub takes a signature that was made a moment ago and ends within ten minutes, by its own clock. octocrab signs by this machine's, and so
//! is refused where that is wrong by more than a minute or a few. GitHub's refusal says what time it is there, so it is signed again by that.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::header::{AUTHORIZATION, DATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use octocrab::jsonwebtoken::{Algorithm, Header, encode};
use octocrab::{EncodingKey, OctoBody};
use serde::Serialize;
use tower::Service;

use super::authentication::Credentials;

/// A difference of the clocks that refuses nobody, in seconds.
const RIGHT: i64 = 30;
/// How long before and after it is made a signature is valid, in seconds: GitHub takes ten minutes together.
const BEFORE: i64 = 60;
const AFTER: i64 = 9 * 60;

/// What an app says of itself.
#[derive(Serialize)]
struct Claims {
    iss: u64,
    iat: i64,
    exp: i64,
}

/// A transport that signs again by GitHub's clock what GitHub refuses. Requests of others than an app pass as they are.
#[derive(Clone)]
pub(crate) struct Signing<S> {
    inner: S,
    app: Option<(u64, EncodingKey)>,
    /// By how many seconds GitHub's clock is ahead of this machine's, once it was found out.
    ahead: Arc<AtomicI64>,
}

impl<S> Signing<S> {
    pub(crate) fn new(inner: S, credentials: &Credentials) -> Self {
        let app = match credentials {
            Credentials::App { id, key } => Some((*id, key.clone())),
            _ => None,
        };
        Self { inner, app, ahead: Arc::default() }
    }
}

impl<S, B> Service<Request<OctoBody>> for Signing<S>
where
    S: Service<Request<OctoBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<OctoBody>) -> Self::Future {
        let Some(app) = self.app.clone().filter(|_| is_signed(request.headers())) else {
            return Box::pin(self.inner.call(request));
        };
        let ahead = Arc::clone(&self.ahead);
        // the one that is ready is called, and its clone is asked again later
        let other = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, other);
        Box::pin(async move {
            let known = ahead.load(Ordering::Relaxed);
            if known != 0 {
                sign(&mut request, &app, known);
            }
            let again = copy(&request);
            let answer = inner.call(request).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return Ok(answer);
            }
            let (Some(mut again), Some(found)) = (again, ahead_of_here(answer.headers())) else { return Ok(answer) };
            if (found - known).abs() <= RIGHT || !sign(&mut again, &app, found) {
                return Ok(answer);
            }
            drop(answer);
            poll_fn(|context| inner.poll_ready(context)).await?;
            let answer = inner.call(again).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                // it may have been put right
                let is_wrong = found.abs() > RIGHT;
                ahead.store(if is_wrong { found } else { 0 }, Ordering::Relaxed);
                if is_wrong {
                    let (by, is) = (found.abs(), if found > 0 { "behind" } else { "ahead of" });
                    tracing::warn!("this machine's clock is {by} s {is} GitHub's; requests are signed by GitHub's");
                }
            }
            Ok(answer)
        })
    }
}

/// Whether a request is one of an app itself, and not of its installation.
fn is_signed(headers: &HeaderMap) -> bool {
    headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"Bearer eyJ"))
}

/// Signs a request by a clock that is so many seconds ahead. Returns whether that could be done.
fn sign(request: &mut Request<OctoBody>, (id, key): &(u64, EncodingKey), ahead: i64) -> bool {
    let now = seconds(SystemTime::now()).saturating_add(ahead);
    let claims = Claims { iss: *id, iat: now.saturating_sub(BEFORE), exp: now.saturating_add(AFTER) };
    let Ok(token) = encode(&Header::new(Algorithm::RS256), &claims, key) else { return false };
    let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) else { return false };
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    true
}

/// The same request once more; `None` if its body is gone once it was sent.
fn copy(request: &Request<OctoBody>) -> Option<Request<OctoBody>> {
    let empty = || http_body::Body::is_end_stream(request.body()).then(OctoBody::empty);
    let mut copy = Request::new(request.body().try_clone().or_else(empty)?);
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    *copy.version_mut() = request.version();
    Some(copy)
}

/// By how many seconds the clock of whoever answers is ahead of this machine's.
fn ahead_of_here(headers: &HeaderMap) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(seconds(date).saturating_sub(seconds(SystemTime::now())))
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
