//! The one connection pool to an MLflow server, and the one way a request is sent: bounded in time and in attempts.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff};
use bytes::Bytes;
use reqwest::header::AUTHORIZATION;
use reqwest::{ClientBuilder, Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use slipway_names::env::{
    MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME,
};
use tokio::io::AsyncWriteExt;

use crate::login::Login;
use crate::retry::{Repeat, Retry};
use crate::{Error, Result, address, tls};

/// The time limit of a health check.
const HEALTH: Duration = Duration::from_secs(3);
/// The time limit of an API call, which carries at most 1 MB.
const CALL: Duration = Duration::from_secs(30);
/// The time limit of one artifact's transfer, whatever its size.
const TRANSFER: Duration = Duration::from_secs(600);
/// A transfer that stalls for this long fails.
const SILENCE: Duration = Duration::from_secs(60);
/// uvicorn closes idle connections after 5 s. Closing them earlier here avoids sending on a connection that is being closed.
const IDLE: Duration = Duration::from_secs(4);

/// A client of one MLflow server. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    login: Option<Login>,
    retry: Retry,
    limit: Option<Duration>,
}

impl fmt::Debug for Client {
    // without the HTTP client, which would show the proxies and so their passwords
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).field("login", &self.login).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `tracking_uri`, such as `http://127.0.0.1:5000`. A path in it is kept as a prefix; a user and password
    /// in it are percent-decoded and sent as basic authentication. The environment is not read, and nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Address`] when it is not an http or https address.
    pub fn new(tracking_uri: &str) -> Result<Self> {
        let (base, login) = address::read(tracking_uri)?;
        Self::with(base, login, Ok)
    }

    /// A client of the server at `tracking_uri`, with the login and the TLS settings of MLflow's own variables. The login is, as for
    /// MLflow's Python client, the first of: user and password in the address; `MLFLOW_TRACKING_USERNAME` and
    /// `MLFLOW_TRACKING_PASSWORD`, or what `~/.mlflow/credentials` has in their place; `MLFLOW_TRACKING_TOKEN`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Address`] when it is not an http or https address; [`Error::Settings`] when the variables contradict each other;
    /// [`Error::File`] when a file that they name cannot be read.
    pub fn at(tracking_uri: &str) -> Result<Self> {
        let (base, login) = address::read(tracking_uri)?;
        let login = match login {
            Some(login) => Some(login),
            None => Login::of_environment(&variable)?,
        };
        Self::with(base, login, |builder| tls::configure(builder, &variable))
    }

    /// [`Client::at`] an address that somebody else names, such as a cluster's route: nothing that tells the server who asks is sent, neither
    /// a login of the environment nor a client's certificate.
    ///
    /// # Errors
    /// As [`Client::at`].
    pub fn without_login(tracking_uri: &str) -> Result<Self> {
        let (base, _) = address::read(tracking_uri)?;
        let server_only = |name: &str| variable(name).filter(|_| name != tls::CLIENT_CERTIFICATE);
        Self::with(base, None, |builder| tls::configure(builder, &server_only))
    }

    /// [`Client::at`] the address in `MLFLOW_TRACKING_URI`.
    ///
    /// # Errors
    /// As [`Client::at`], and [`Error::Settings`] when the variable is not set.
    pub fn from_env() -> Result<Self> {
        let uri = variable(MLFLOW_TRACKING_URI).ok_or_else(|| {
            Error::Settings(format!(
                "{MLFLOW_TRACKING_URI} is not set; set it to MLflow's address, such as http://127.0.0.1:5000"
            ))
        })?;
        Self::at(&uri)
    }

    fn with(
        base: Url,
        login: Option<Login>,
        configure: impl FnOnce(ClientBuilder) -> Result<ClientBuilder>,
    ) -> Result<Self> {
        let builder = slipway_http::client_of(&base).read_timeout(SILENCE).pool_idle_timeout(IDLE);
        let http = configure(builder)?
            .build()
            .map_err(|error| Error::Address { uri: base.to_string(), reason: cause(&error) })?;
        Ok(Self { http, base, login, retry: Retry::INTERACTIVE, limit: None })
    }

    /// This client with another retry policy than [`Retry::INTERACTIVE`].
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// This client with a limit for each API call, its attempts and the pauses between them included. Transfers of artifacts have limits of their own.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The server's address, without credentials and without a slash at the end.
    #[must_use]
    pub fn tracking_uri(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends `GET /health` once.
    ///
    /// # Errors
    /// When the server does not answer, or answers with an error.
    pub async fn health(&self) -> Result<()> {
        self.send(Method::GET, self.url(&["health"]), Repeat::Harmless, Retry::at_most(1), |request| {
            request.timeout(HEALTH)
        })
        .await?;
        Ok(())
    }

    /// Polls [`Client::health`] until it succeeds.
    ///
    /// # Errors
    /// The last failure, when the server is not healthy within `bound`.
    pub async fn wait_until_healthy(&self, bound: Duration) -> Result<()> {
        let end = Instant::now() + bound;
        loop {
            match self.health().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        let url = self.api(path);
        let sent = self
            .send(Method::GET, url.clone(), Repeat::Harmless, self.retry, |request| request.query(query).timeout(CALL));
        let body = self.within_limit(&url, sent).await?;
        decode(&url, &body)
    }

    /// Sends an idempotent request.
    pub(crate) async fn set<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(method, path, body, Repeat::Harmless).await
    }

    /// Sends a request that creates something new each time.
    pub(crate) async fn create<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.call(Method::POST, path, body, Repeat::MakesAnother).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        repeat: Repeat,
    ) -> Result<T> {
        let url = self.api(path);
        let json = serde_json::to_vec(body)
            .map(Bytes::from)
            .map_err(|error| Error::Invalid { what: path.to_owned(), reason: error.to_string() })?;
        let sent = self.send(method, url.clone(), repeat, self.retry, |request| {
            request.header("content-type", "application/json").body(json.clone()).timeout(CALL)
        });
        let answer = self.within_limit(&url, sent).await?;
        decode(&url, &answer)
    }

    async fn within_limit(&self, url: &Url, sent: impl Future<Output = Result<Bytes>>) -> Result<Bytes> {
        let Some(limit) = self.limit else { return sent.await };
        tokio::time::timeout(limit, sent).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", limit.as_secs_f64());
            Err(Error::Unreachable { url: shown(url), attempts: 1, reason })
        })
    }

    pub(crate) async fn upload(&self, url: Url, bytes: Bytes) -> Result<()> {
        self.send(Method::PUT, url, Repeat::Harmless, self.retry, |request| {
            request.header("content-type", "application/octet-stream").body(bytes.clone()).timeout(TRANSFER)
        })
        .await?;
        Ok(())
    }

    /// Downloads `url`, which has `size` bytes, into `file` as it arrives. If the connection breaks, the next attempt starts again with
    /// an empty file. Of a file with another size, no more than `size` bytes are written.
    pub(crate) async fn download(&self, url: Url, file: &Path, size: u64) -> Result<()> {
        let other_size = |url: &Url, found: String| Err(Error::Size { url: shown(url), expected: size, found });
        let failed = |error: std::io::Error| Error::File { path: file.to_owned(), reason: error.to_string() };
        let mut attempts = Attempts::new(Method::GET, url, Repeat::Harmless, self.retry);
        'attempt: loop {
            let mut answer = match self.ask(&attempts, |request| request.timeout(TRANSFER)).await {
                Ok(answer) => answer,
                Err(failure) => {
                    attempts.pause_after(failure).await?;
                    continue;
                }
            };
            if let Some(announced) = answer.content_length().filter(|announced| *announced != size) {
                return other_size(&attempts.url, format!("{announced} bytes"));
            }
            let mut to = tokio::fs::File::create(file).await.map_err(failed)?;
            let mut written = 0;
            loop {
                match answer.chunk().await {
                    Ok(Some(bytes)) => {
                        written += bytes.len() as u64;
                        if written > size {
                            return other_size(&attempts.url, "more bytes".to_owned());
                        }
                        to.write_all(&bytes).await.map_err(failed)?;
                    }
                    Ok(None) if written < size => return other_size(&attempts.url, format!("{written} bytes")),
                    Ok(None) => return to.flush().await.map_err(failed),
                    Err(error) => {
                        attempts.pause_after(attempts.broken_off(&error)).await?;
                        continue 'attempt;
                    }
                }
            }
        }
    }

    /// Reads `url`, which has `size` bytes, into memory. If the connection breaks, the next attempt starts again.
    pub(crate) async fn fetch(&self, url: Url, size: u64) -> Result<Bytes> {
        let other_size = |url: &Url, found: String| Err(Error::Size { url: shown(url), expected: size, found });
        let mut attempts = Attempts::new(Method::GET, url, Repeat::Harmless, self.retry);
        'attempt: loop {
            let mut answer = match self.ask(&attempts, |request| request.timeout(CALL)).await {
                Ok(answer) => answer,
                Err(failure) => {
                    attempts.pause_after(failure).await?;
                    continue;
                }
            };
            let mut bytes = Vec::new();
            loop {
                match answer.chunk().await {
                    Ok(Some(chunk)) if (bytes.len() + chunk.len()) as u64 > size => {
                        return other_size(&attempts.url, "more bytes".to_owned());
                    }
                    Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                    Ok(None) if (bytes.len() as u64) < size => {
                        return other_size(&attempts.url, format!("{} bytes", bytes.len()));
                    }
                    Ok(None) => return Ok(bytes.into()),
                    Err(error) => {
                        attempts.pause_after(attempts.broken_off(&error)).await?;
                        continue 'attempt;
                    }
                }
            }
        }
    }

    pub(crate) async fn get_at<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let body =
            self.send(Method::GET, url.clone(), Repeat::Harmless, self.retry, |request| request.timeout(CALL)).await?;
        decode(&url, &body)
    }

    /// The server's address with these path segments after it, each escaped.
    pub(crate) fn url(&self, segments: &[&str]) -> Url {
        below(self.base.clone(), segments.iter().copied())
    }

    fn api(&self, path: &str) -> Url {
        below(self.base.clone(), ["api", "2.0", "mlflow"].into_iter().chain(path.split('/')))
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        repeat: Repeat,
        retry: Retry,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Bytes> {
        let mut attempts = Attempts::new(method, url, repeat, retry);
        loop {
            let failure = match self.ask(&attempts, &fill).await {
                Ok(answer) => match answer.bytes().await {
                    Ok(body) => return Ok(body),
                    Err(error) => attempts.broken_off(&error),
                },
                Err(failure) => failure,
            };
            attempts.pause_after(failure).await?;
        }
    }

    /// Makes one attempt. Returns a successful response, whose body is still to be read.
    async fn ask(
        &self,
        attempts: &Attempts,
        fill: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let request = fill(self.http.request(attempts.method.clone(), attempts.url.clone()));
        let login = self.login_for(&attempts.url);
        let request = match login {
            Some(login) => request.header(AUTHORIZATION, login.header()),
            None => request,
        };
        let answer = request.send().await.map_err(|error| attempts.broken_off(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::UNAUTHORIZED => {
                let error = Error::Login(match (login, &self.login) {
                    (Some(login), _) => {
                        format!("MLflow at {} does not accept the login of {}", shown(&attempts.url), login.source())
                    }
                    (None, None) => {
                        format!(
                            "MLflow at {} requires a login; set {MLFLOW_TRACKING_USERNAME} and {MLFLOW_TRACKING_PASSWORD}, or \
                             {MLFLOW_TRACKING_TOKEN}, and {MLFLOW_TRACKING_URI} to its address",
                            shown(&attempts.url)
                        )
                    }
                    (None, Some(_)) => format!(
                        "{} requires a login, and the one for {} is sent to no other server",
                        shown(&attempts.url),
                        self.tracking_uri()
                    ),
                });
                Err(Failure { error, again: false })
            }
            _ => Err(attempts.failed(answer).await),
        }
    }

    /// The login, if the request goes to the server that it is for. A run or a version may name another server for its artifacts, and
    /// whoever may create one could otherwise collect logins.
    fn login_for(&self, url: &Url) -> Option<&Login> {
        self.login.as_ref().filter(|_| url.origin() == self.base.origin())
    }
}

/// A variable of the environment; one that is empty counts as not set.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// Why an attempt failed, and whether another one is allowed.
struct Failure {
    error: Error,
    again: bool,
}

/// A request that may be sent several times.
struct Attempts {
    method: Method,
    url: Url,
    repeat: Repeat,
    /// Counted from 1.
    number: u32,
    pauses: ExponentialBackoff,
}

impl Attempts {
    fn new(method: Method, url: Url, repeat: Repeat, retry: Retry) -> Self {
        Self { method, url, repeat, number: 1, pauses: retry.backoff().build() }
    }

    /// Waits before the next attempt. Returns the error if there is no next attempt.
    async fn pause_after(&mut self, failure: Failure) -> Result<()> {
        let Failure { error, again } = failure;
        let Some(pause) = again.then(|| self.pauses.next()).flatten() else { return Err(error) };
        tracing::debug!(%error, ?pause, "trying again");
        tokio::time::sleep(pause).await;
        self.number += 1;
        Ok(())
    }

    /// The connection failed, or broke in the middle of the answer.
    fn broken_off(&self, error: &reqwest::Error) -> Failure {
        let url = shown(&self.url);
        if let Some(reason) = slipway_causes::tls(error) {
            return Failure { error: Error::Tls { url, reason }, again: false };
        }
        let again = self.repeat.after_broken_off(!error.is_connect());
        let reason = cause(error);
        Failure { error: Error::Unreachable { url, attempts: self.number, reason }, again }
    }

    /// MLflow answered with an error status.
    async fn failed(&self, answer: Response) -> Failure {
        let status = answer.status();
        let body = match answer.bytes().await {
            Ok(body) => body,
            Err(error) => return self.broken_off(&error),
        };
        let Problem { error_code, message } = Problem::read(&body);
        let (method, url, status) = (self.method.to_string(), shown(&self.url), status.as_u16());
        if status >= 500 || status == 429 {
            let error = Error::Failing { method, url, status, attempts: self.number, message };
            return Failure { error, again: self.repeat.after_status(status) };
        }
        Failure { error: Error::Refused { method, url, status, code: error_code, message }, again: false }
    }
}

/// MLflow's description of a failure.
#[derive(serde::Deserialize)]
struct Problem {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

impl Problem {
    fn read(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| {
            let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
            Self {
                error_code: String::new(),
                message: if text.trim().is_empty() { "no message".to_owned() } else { text },
            }
        })
    }
}

fn decode<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| Error::Answer { url: shown(url), reason: error.to_string() })
}

/// A URL for messages: without the query, which can be long. Credentials were already removed from `base`.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// Why a request failed.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within the time limit".to_owned();
    }
    // reqwest's own text repeats the address, which the message around it names
    if std::error::Error::source(error).is_none() {
        return "the request could not be sent".to_owned();
    }
    slipway_causes::root(error)
}

pub(crate) fn below<'a>(mut url: Url, segments: impl Iterator<Item = &'a str>) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_kept_and_nothing_secret_is_shown() {
        let client = Client::new("http://ann:secret@example.org:5000/mlflow/?x=1").unwrap();
        assert_eq!(client.tracking_uri(), "http://example.org:5000/mlflow");
        assert_eq!(client.api("runs/get").as_str(), "http://example.org:5000/mlflow/api/2.0/mlflow/runs/get");
        assert!(!format!("{client:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_limit_holds_for_all_attempts_at_a_server_that_hangs() {
        // it takes connections and says nothing
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let client = client.with_limit(Duration::from_millis(100));
        let begun = Instant::now();
        for error in [client.get_run("r").await.unwrap_err(), client.set_tag("r", "a", "b").await.unwrap_err()] {
            assert!(error.to_string().contains("no answer within 0.1 s"), "{error}");
        }
        assert!(begun.elapsed() < CALL);
    }

    #[test]
    fn segments_are_escaped() {
        let url = below(Url::parse("http://h/a").unwrap(), ["b c", "d/e", "f?"].into_iter());
        assert_eq!(url.as_str(), "http://h/a/b%20c/d%2Fe/f%3F");
    }
}
