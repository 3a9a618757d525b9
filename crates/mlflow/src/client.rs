//! The one connection pool to an MLflow server, and the one way a request is sent: bounded in time and in attempts.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::retry::{Repeat, Retry};
use crate::{Error, Result};

const CONNECT: Duration = Duration::from_secs(3);
/// Of a call of the API, which carries at most 1 MB.
const CALL: Duration = Duration::from_secs(30);
/// Of one artifact, whatever its size.
const TRANSFER: Duration = Duration::from_secs(600);
/// An artifact that stops moving for this long is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// uvicorn closes idle connections after 5 s; leaving first means never writing into one that is being closed.
const IDLE: Duration = Duration::from_secs(4);

/// A client of one MLflow server. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    login: Option<Login>,
    retry: Retry,
}

#[derive(Clone)]
enum Login {
    Basic { user: String, password: String },
    Token(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(…)")
    }
}

impl Client {
    /// A client of the server at `tracking_uri`, such as `http://127.0.0.1:5000`; a path in it is kept as a prefix, a user
    /// and password in it are sent as basic authentication. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Address`] when it is not an http or https address.
    pub fn new(tracking_uri: &str) -> Result<Self> {
        let refuse = |shown: &str, reason: String| Error::Address { uri: shown.to_owned(), reason };
        let mut base = Url::parse(tracking_uri.trim()).map_err(|error| refuse(tracking_uri, error.to_string()))?;
        let login = (!base.username().is_empty() || base.password().is_some()).then(|| Login::Basic {
            user: base.username().to_owned(),
            password: base.password().unwrap_or_default().to_owned(),
        });
        // from here on the address can be shown: messages must not carry a password
        if login.is_some() && (base.set_username("").is_err() || base.set_password(None).is_err()) {
            return Err(refuse("(hidden)", "it has a user but no host".to_owned()));
        }
        base.set_query(None);
        base.set_fragment(None);
        if !matches!(base.scheme(), "http" | "https") {
            return Err(refuse(base.as_str(), format!("its scheme is `{}`", base.scheme())));
        }
        let mut builder =
            reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).pool_idle_timeout(IDLE);
        let host = base.host_str().unwrap_or_default();
        if is_loopback(host) {
            // a proxy cannot reach this machine's own loopback
            builder = builder.no_proxy();
        }
        if host.ends_with(".localhost") {
            // not every system's resolver knows these names
            builder = builder.resolve(host, (Ipv4Addr::LOCALHOST, 0).into());
        }
        let http = builder.build().map_err(|error| refuse(base.as_str(), cause(&error)))?;
        Ok(Self { http, base, login, retry: Retry::default() })
    }

    /// A client as MLflow's own environment says: `MLFLOW_TRACKING_URI`, and optionally `MLFLOW_TRACKING_TOKEN`, or
    /// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.
    ///
    /// # Errors
    /// [`Error::Address`] when the address is missing or none.
    pub fn from_env() -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let uri = variable("MLFLOW_TRACKING_URI").ok_or_else(|| Error::Address {
            uri: String::new(),
            reason: "MLFLOW_TRACKING_URI is not set".to_owned(),
        })?;
        let mut client = Self::new(&uri)?;
        if let Some(token) = variable("MLFLOW_TRACKING_TOKEN") {
            client.login = Some(Login::Token(token));
        } else if let Some(user) = variable("MLFLOW_TRACKING_USERNAME") {
            let password = variable("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
            client.login = Some(Login::Basic { user, password });
        }
        Ok(client)
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The server's address, without credentials and without a slash at the end.
    #[must_use]
    pub fn tracking_uri(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Asks `GET /health` once.
    ///
    /// # Errors
    /// When nobody answers, or the answer is not a success.
    pub async fn health(&self) -> Result<()> {
        let once = Retry { attempts: 1, ..self.retry };
        self.send(Method::GET, self.at(&["health"]), Repeat::Harmless, once, |request| request.timeout(CONNECT))
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
        let body = self
            .send(Method::GET, url.clone(), Repeat::Harmless, self.retry, |request| request.query(query).timeout(CALL))
            .await?;
        decode(&url, &body)
    }

    /// Sends a request that does no more when it is repeated.
    pub(crate) async fn set<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        self.call(method, path, body, Repeat::Harmless).await
    }

    /// Sends a request that makes something new each time.
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
        let answer = self
            .send(method, url.clone(), repeat, self.retry, |request| {
                request.header("content-type", "application/json").body(json.clone()).timeout(CALL)
            })
            .await?;
        decode(&url, &answer)
    }

    pub(crate) async fn upload(&self, url: Url, bytes: Bytes) -> Result<()> {
        self.send(Method::PUT, url, Repeat::Harmless, self.retry, |request| {
            request.header("content-type", "application/octet-stream").body(bytes.clone()).timeout(TRANSFER)
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn download(&self, url: Url) -> Result<Bytes> {
        self.send(Method::GET, url, Repeat::Harmless, self.retry, |request| request.timeout(TRANSFER)).await
    }

    pub(crate) async fn get_at<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        let body =
            self.send(Method::GET, url.clone(), Repeat::Harmless, self.retry, |request| request.timeout(CALL)).await?;
        decode(&url, &body)
    }

    /// The server's address with these path segments after it, each escaped.
    pub(crate) fn at(&self, segments: &[&str]) -> Url {
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
        let mut attempt = 1;
        loop {
            let request = fill(self.http.request(method.clone(), url.clone()));
            let request = match &self.login {
                Some(Login::Basic { user, password }) => request.basic_auth(user, Some(password)),
                Some(Login::Token(token)) => request.bearer_auth(token),
                None => request,
            };
            let (error, again) = match self.once(request, &method, &url, attempt, repeat).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            if !again || attempt >= retry.attempts {
                return Err(error);
            }
            let pause = retry.pause(attempt);
            tracing::debug!(%error, attempt, ?pause, "trying again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// One attempt; on failure also whether another may be made.
    async fn once(
        &self,
        request: RequestBuilder,
        method: &Method,
        url: &Url,
        attempt: u32,
        repeat: Repeat,
    ) -> Result<Bytes, (Error, bool)> {
        let broken_off = |error: reqwest::Error| {
            let again = repeat.after_broken_off(!error.is_connect());
            (Error::Unreachable { url: shown(url), attempts: attempt, reason: cause(&error) }, again)
        };
        let answer = request.send().await.map_err(broken_off)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(broken_off)?;
        if status.is_success() {
            return Ok(body);
        }
        let Problem { error_code, message } = Problem::read(&body);
        let (method, url, status) = (method.to_string(), shown(url), status.as_u16());
        if status >= 500 || status == 429 {
            return Err((
                Error::Failing { method, url, status, attempts: attempt, message },
                repeat.after_status(status),
            ));
        }
        Err((Error::Refused { method, url, status, code: error_code, message }, false))
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

/// Without the query, which can be long, and without credentials, which `base` has lost already.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// The innermost cause, which is the one that says something ("Connection refused").
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    // reqwest's own text repeats the address
    if error.source().is_none() { "the request could not be sent".to_owned() } else { innermost.to_string() }
}

pub(crate) fn below<'a>(mut url: Url, segments: impl Iterator<Item = &'a str>) -> Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// By address, or by a name that is this machine by definition (RFC 6761).
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_prefix_and_lose_their_password() {
        let client = Client::new("http://ann:secret@example.org:5000/mlflow/?x=1").unwrap();
        assert_eq!(client.tracking_uri(), "http://example.org:5000/mlflow");
        assert_eq!(client.api("runs/get").as_str(), "http://example.org:5000/mlflow/api/2.0/mlflow/runs/get");
        assert!(!format!("{client:?}").contains("secret"));
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        for uri in ["", "sqlite:///x.db", "127.0.0.1:5000", "file:///tmp"] {
            let error = Client::new(uri).unwrap_err().to_string();
            assert!(error.contains("MLFLOW_TRACKING_URI"), "{error}");
        }
    }

    #[test]
    fn segments_are_escaped() {
        let url = below(Url::parse("http://h/a").unwrap(), ["b c", "d/e", "f?"].into_iter());
        assert_eq!(url.as_str(), "http://h/a/b%20c/d%2Fe/f%3F");
    }
}
