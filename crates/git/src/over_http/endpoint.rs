//! Where a remote is, and how it is asked.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use slipway_causes::{holds_secret, without_password};
use slipway_http::{Url, client_of, is_loopback};

use super::answer::Answer;
use super::token::Token;
use crate::{Error, Result};

/// The name of a token's user, as GitHub takes it; other servers take any.
const USER: &str = "x-access-token";
/// Requests that are longer than this are compressed, as git does it.
const COMPRESSED: usize = 1024;
/// The most bytes of an answer that holds no pack.
pub(crate) const SMALL: u64 = 16 << 20;
/// The most characters of a remote's own words in a message.
const WORDS: usize = 300;
const REDIRECTS: usize = 5;

/// Gives the token for the next request, or says why there is none.
pub(crate) type TokenSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = std::result::Result<Token, String>> + Send>> + Send + Sync>;

/// What a fetch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a pack: 2 GiB.
    pub pack: u64,
    /// The longest that nothing comes: 30 s. Servers send a sign of life every few seconds.
    pub silence: Duration,
    /// The longest that a fetch takes: 15 minutes.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pack: 2 << 30, silence: Duration::from_secs(30), total: Duration::from_secs(15 * 60) }
    }
}

/// A remote's address, and who asks it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Without a slash at its end.
    url: Url,
    client: Client,
    token: Option<TokenSource>,
    limits: Limits,
}

impl Endpoint {
    /// # Errors
    /// [`Error::Address`].
    pub(crate) fn new(address: &str) -> Result<Self> {
        let refused = |reason: &str| Error::Address { address: without_password(address), reason: reason.to_owned() };
        let mut url = Url::parse(address).map_err(|error| refused(&error.to_string()))?;
        let host = url.host_str().ok_or_else(|| refused("it names no host"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(host) => {}
            "http" => return Err(refused("a token would go over the network as plain text: use https")),
            _ => return Err(refused("without the program git, only https is spoken")),
        }
        if holds_secret(address) || !url.username().is_empty() {
            return Err(refused("it holds a login: give the token apart from it"));
        }
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let limits = Limits::default();
        Ok(Self { client: client(&url, limits)?, url, token: None, limits })
    }

    pub(crate) fn with_token(self, token: TokenSource) -> Self {
        Self { token: Some(token), ..self }
    }

    /// # Errors
    /// [`Error::Address`] if TLS cannot be set up.
    pub(crate) fn with_limits(self, limits: Limits) -> Result<Self> {
        Ok(Self { client: client(&self.url, limits)?, limits, ..self })
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The address for a message.
    pub(crate) fn shown(&self) -> String {
        self.url.to_string()
    }

    /// Asks what the remote can do. Returns also where it answered: a repository that was renamed sends there.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn advertisement(&self) -> Result<(Url, Answer<'_>)> {
        let mut at = self.below(&self.url, "info/refs");
        at.set_query(Some("service=git-upload-pack"));
        let response = self.send(self.client.get(at), "application/x-git-upload-pack-advertisement").await?;
        let mut base = response.url().clone();
        base.set_query(None);
        let path = base.path().strip_suffix("/info/refs").map(str::to_owned);
        base.set_path(&path.ok_or_else(|| self.unreadable("it leads to another kind of address"))?);
        Ok((base, Answer::new(self, response, SMALL)?))
    }

    /// Sends a command to where the remote answered.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn command(&self, base: &Url, body: Vec<u8>, most: u64) -> Result<Answer<'_>> {
        let at = self.below(base, "git-upload-pack");
        let request = self.client.post(at).header(CONTENT_TYPE, "application/x-git-upload-pack-request");
        let request = if body.len() > COMPRESSED {
            request.header(CONTENT_ENCODING, "gzip").body(compressed(&body)?)
        } else {
            request.body(body)
        };
        let response = self.send(request, "application/x-git-upload-pack-result").await?;
        Answer::new(self, response, most)
    }

    fn below(&self, base: &Url, path: &str) -> Url {
        let mut url = base.clone();
        url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
        url
    }

    /// # Errors
    /// [`Error::NoToken`], [`Error::Refused`]; [`Error::Unreachable`], [`Error::Silent`]; [`Error::Unreadable`] if a web page answers.
    async fn send(&self, request: RequestBuilder, kind: &str) -> Result<Response> {
        let mut request =
            request.header("git-protocol", "version=2").header(ACCEPT, kind).header(ACCEPT_ENCODING, "gzip");
        if let Some(token) = &self.token {
            let token = token().await.map_err(|reason| Error::NoToken { remote: self.shown(), reason })?;
            // reqwest never shows it, and sends it to this host alone
            request = request.basic_auth(USER, Some(token.expose()));
        }
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(Error::Refused { remote: self.shown(), status: status.as_u16(), advice: advice(status) });
        }
        let is_kind = response.headers().get(CONTENT_TYPE).is_some_and(|found| found.as_bytes() == kind.as_bytes());
        if !is_kind {
            return Err(self.unreadable("another kind of page is there, such as one to sign in"));
        }
        Ok(response)
    }

    /// Why nothing more comes.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Error {
        let remote = self.shown();
        if error.is_timeout() && !error.is_connect() {
            return Error::Silent { remote, seconds: self.limits.silence.as_secs() };
        }
        let reason = slipway_causes::tls(error).unwrap_or_else(|| slipway_causes::root(error));
        Error::Unreachable { remote, reason }
    }

    /// The answer ends too early.
    pub(crate) fn cut(&self) -> Error {
        Error::Unreachable { remote: self.shown(), reason: "the answer broke off".to_owned() }
    }

    pub(crate) fn unreadable(&self, reason: &str) -> Error {
        Error::Unreadable { remote: self.shown(), reason: reason.to_owned() }
    }

    /// What the remote itself says about a failure. It may repeat what it was sent, so the token is taken out.
    pub(crate) async fn failure(&self, said: &[u8]) -> Error {
        let said = String::from_utf8_lossy(said);
        let mut said: String =
            said.trim().chars().take(10 * WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Some(source) = &self.token {
            match source().await {
                Ok(token) if !token.expose().is_empty() => {
                    let sent = BASE64_STANDARD.encode(format!("{USER}:{}", token.expose()));
                    said = said.replace(token.expose(), "***").replace(&sent, "***");
                }
                // without the token nothing tells whether it is in there
                _ => said = "it does not say why".to_owned(),
            }
        }
        self.unreadable(&said.chars().take(WORDS).collect::<String>())
    }
}

/// A client for one server. A repository that was renamed is followed within it.
fn client(url: &Url, limits: Limits) -> Result<Client> {
    let client = client_of(url).read_timeout(limits.silence).redirect(Policy::custom(same_host)).build();
    client.map_err(|error| Error::Address { address: url.to_string(), reason: slipway_causes::root(&error) })
}

fn same_host(attempt: Attempt) -> Action {
    let from = attempt.previous().last();
    let same = from.is_some_and(|from| from.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

fn compressed(body: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).and_then(|()| encoder.finish()).map_err(Error::io("compressing a request"))
}

/// What to do about a refusal.
fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "the token is missing or invalid, or has expired: set another",
        StatusCode::FORBIDDEN => "the token needs `contents: read` on this repository",
        StatusCode::NOT_FOUND => "the repository does not exist, or the token may not see it",
        StatusCode::TOO_MANY_REQUESTS => "it was asked too often: try again later",
        status if status.is_redirection() => "it has moved: use its new address",
        status if status.is_server_error() => "it is out of order: try again later",
        _ => "check the address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_encrypted_connections_and_loopback_alone() {
        for address in
            ["https://github.com/o/r", "https://github.com/o/r/", "http://127.0.0.1:80/o/r.git", "http://a.localhost/x"]
        {
            assert!(Endpoint::new(address).is_ok(), "{address}");
        }
        for (address, reason) in [
            ("http://github.com/o/r", "plain text"),
            ("ssh://git@github.com/o/r", "only https"),
            ("git@github.com:o/r", "URL"),
            ("/srv/forge.git", "URL"),
            ("file:///srv/forge.git", "names no host"),
            ("https://ann:hunter2@github.com/o/r", "holds a login"),
            ("https://ann@github.com/o/r", "holds a login"),
        ] {
            let Err(error) = Endpoint::new(address) else { panic!("{address}") };
            let error = error.to_string();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{error}");
        }
    }
}
