//! One bucket of an S3 store: signed requests, bounded in time and in attempts.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, StatusCode, Url};
use rusty_s3::{S3Action, UrlStyle};

use crate::{Credentials, Error, Result};

const ATTEMPTS: u32 = 3;
/// Doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const CONNECT: Duration = Duration::from_secs(3);
/// Until the next byte of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Of one attempt, its body included; its signature is good for as long.
const ATTEMPT: Duration = Duration::from_secs(300);

/// A bucket with the keys to it.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    http: reqwest::Client,
    bucket: rusty_s3::Bucket,
    credentials: rusty_s3::Credentials,
    endpoint: String,
}

/// What the store says: a status that is no server error, with the whole body.
struct Answer {
    status: StatusCode,
    /// As its header says: of a HEAD, the length of what was not sent.
    length: u64,
    body: Bytes,
}

impl Bucket {
    pub(crate) fn new(endpoint: &str, name: &str, credentials: Credentials, region: &str) -> Result<Self> {
        let refuse = |reason: &dyn std::fmt::Display| {
            Error::Configuration(format!(
                "its address `{endpoint}` is not one ({reason}); give http:// or https:// and a host"
            ))
        };
        let url: Url = endpoint.parse().map_err(|error| refuse(&error))?;
        let mut http = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).timeout(ATTEMPT);
        let host = url.host_str().unwrap_or_default();
        if is_loopback(host) {
            // a proxy cannot reach this machine's own loopback
            http = http.no_proxy();
        }
        if host.ends_with(".localhost") {
            // not every system's resolver knows these names
            http = http.resolve(host, (Ipv4Addr::LOCALHOST, 0).into());
        }
        let http = http.build().map_err(|error| refuse(&error))?;
        // the style that every S3-alike understands
        let bucket = rusty_s3::Bucket::new(url, UrlStyle::Path, name.to_owned(), region.to_owned());
        let bucket = bucket.map_err(|error| refuse(&error))?;
        let Credentials { access_key, secret_key, session_token } = credentials;
        let credentials = match session_token {
            Some(token) => rusty_s3::Credentials::new_with_token(access_key, secret_key, token),
            None => rusty_s3::Credentials::new(access_key, secret_key),
        };
        Ok(Self { http, bucket, credentials, endpoint: endpoint.to_owned() })
    }

    pub(crate) fn name(&self) -> &str {
        self.bucket.name()
    }

    /// Where an object lies, for messages.
    pub(crate) fn location(&self, key: &str) -> String {
        format!("s3://{}/{key} at {}", self.name(), self.endpoint)
    }

    /// Makes the bucket if it is not there.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let uri = format!("s3://{}", self.name());
        let head = self.send(&self.bucket.head_bucket(Some(&self.credentials)), None).await?;
        match head.status {
            status if status.is_success() => return Ok(()),
            StatusCode::NOT_FOUND => {}
            _ => return Err(self.refused("look for", uri, &head)),
        }
        let made = self.send(&self.bucket.create_bucket(&self.credentials), None).await?;
        match made.status {
            // somebody else made it meanwhile
            StatusCode::CONFLICT => Ok(()),
            status if status.is_success() => Ok(()),
            _ => Err(self.refused("create", uri, &made)),
        }
    }

    /// An object's content; none when it is not there.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let answer = self.send(&self.bucket.get_object(Some(&self.credentials), key), None).await?;
        match answer.status {
            status if status.is_success() => Ok(Some(answer.body)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused("read", self.location(key), &answer)),
        }
    }

    /// An object's length; none when it is not there.
    pub(crate) async fn size(&self, key: &str) -> Result<Option<u64>> {
        let answer = self.send(&self.bucket.head_object(Some(&self.credentials), key), None).await?;
        match answer.status {
            status if status.is_success() => Ok(Some(answer.length)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.refused("look for", self.location(key), &answer)),
        }
    }

    /// Writes an object.
    pub(crate) async fn put(&self, key: &str, bytes: &[u8], content_type: &'static str) -> Result<()> {
        let body = (Bytes::copy_from_slice(bytes), content_type);
        let answer = self.send(&self.bucket.put_object(Some(&self.credentials), key), Some(body)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(self.refused("write", self.location(key), &answer)) }
    }

    /// Sends a request until the store answers with something else than a trouble of its own, or attempts are spent. Every
    /// request of this crate is the same when it is sent twice.
    async fn send<'a, A: S3Action<'a>>(&self, action: &A, body: Option<(Bytes, &'static str)>) -> Result<Answer> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let reason = match self.once(action, body.clone()).await {
                Ok(answer) if !is_trouble(answer.status) => return Ok(answer),
                Ok(answer) => {
                    format!("HTTP {} after {ATTEMPTS} attempts{}", answer.status.as_u16(), said(&answer.body))
                }
                Err(error) => innermost(&error),
            };
            if attempt == ATTEMPTS {
                return Err(Error::Unreachable { endpoint: self.endpoint.clone(), reason });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    async fn once<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        body: Option<(Bytes, &'static str)>,
    ) -> reqwest::Result<Answer> {
        let method = match A::METHOD {
            rusty_s3::Method::Head => Method::HEAD,
            rusty_s3::Method::Get => Method::GET,
            rusty_s3::Method::Post => Method::POST,
            rusty_s3::Method::Put => Method::PUT,
            rusty_s3::Method::Delete => Method::DELETE,
        };
        let mut request = self.http.request(method, action.sign(ATTEMPT));
        if let Some((bytes, content_type)) = body {
            request = request.header(CONTENT_TYPE, content_type).body(bytes);
        }
        let response = request.send().await?;
        let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let (status, length) = (response.status(), length.unwrap_or_default());
        // read here, so that a body that breaks off is tried again like all else
        Ok(Answer { status, length, body: response.bytes().await? })
    }

    fn refused(&self, action: &'static str, location: String, answer: &Answer) -> Error {
        let reason = format!("HTTP {}{}", answer.status.as_u16(), said(&answer.body));
        Error::Refused { endpoint: self.endpoint.clone(), action, location, reason }
    }
}

/// By address, or by a name that is this machine by definition (RFC 6761).
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED || status == StatusCode::TOO_MANY_REQUESTS
}

/// The code and message of S3's error document, `<Error><Code>…</Code><Message>…</Message>…`.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(content, _)| format!(", {content}"))
    };
    ["Code", "Message"].into_iter().filter_map(element).collect()
}

/// The innermost cause, which is the one that says something ("Connection refused").
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_says_what_and_why() {
        let body = br#"<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>not there</Message></Error>"#;
        assert_eq!(said(body), ", NoSuchKey, not there");
        assert_eq!(said(b"Bad Gateway"), "");
    }

    #[test]
    fn keys_are_never_shown_and_addresses_are_checked() {
        let credentials = || Credentials {
            access_key: "ann".to_owned(),
            secret_key: "very-secret".to_owned(),
            session_token: Some("token-secret".to_owned()),
        };
        let bucket = Bucket::new("http://s3.slipway.localhost:80", "datasets", credentials(), "us-east-1").unwrap();
        assert!(!format!("{bucket:?}").contains("secret"), "{bucket:?}");
        for bad in ["minio:9000", "ftp://minio", "http://", "nonsense"] {
            let error = Bucket::new(bad, "datasets", credentials(), "us-east-1").unwrap_err();
            assert!(matches!(error, Error::Configuration(_)) && error.to_string().contains(bad), "{error}");
        }
    }
}
