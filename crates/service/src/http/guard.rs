//! What holds for every request and every answer, whatever the path: who may ask from where, and what a browser may do with it.

use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::header::{CONTENT_SECURITY_POLICY, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use slipway_http::is_loopback;

use super::problem::{Problem, with_reason};

/// The longest path with its query.
const ADDRESS: usize = 8192;
/// Answers are data: no browser runs, frames or guesses anything of them, nor shows them to another site.
const SECURITY: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("x-frame-options"), "DENY"),
];

/// The address at which a request arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived(pub SocketAddr);

/// Refuses what may not ask, and completes every answer.
pub async fn guard(request: Request, next: Next) -> Response {
    let mut response = match check(&request) {
        Ok(()) => with_reason(next.run(request).await),
        Err(problem) => problem.into_response(),
    };
    for (name, value) in SECURITY {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn check(request: &Request) -> Result<(), Problem> {
    if request.uri().path_and_query().is_some_and(|address| address.as_str().len() > ADDRESS) {
        return Err(Problem::of_status(StatusCode::URI_TOO_LONG));
    }
    let host = host(request)?;
    let arrived = request.extensions().get::<Arrived>();
    if let (Some(Arrived(here)), Some(host)) = (arrived, &host) {
        // a page of anybody can give its own name the address of this machine
        if here.ip().to_canonical().is_loopback() && !is_loopback(&host.host().to_lowercase()) {
            let detail = format!("this service is on loopback, and {} is not: ask localhost or 127.0.0.1", host.host());
            return Err(Problem::new(StatusCode::FORBIDDEN, ("foreign-host", "The host is not this one"), detail));
        }
    }
    check_site(request.method(), request.headers(), host.as_ref())
}

/// The host that is asked. HTTP/1.0 need not say it.
fn host(request: &Request) -> Result<Option<Authority>, Problem> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.clone()));
    }
    let malformed = |detail: &str| Err(Problem::malformed("host", detail));
    let mut all = request.headers().get_all(HOST).into_iter();
    match (all.next(), all.next()) {
        (None, _) if request.version() == Version::HTTP_10 => Ok(None),
        (None, _) => malformed("the request has no `Host`"),
        (Some(_), Some(_)) => malformed("the request has several `Host`s: send one"),
        (Some(host), None) => match Authority::try_from(host.as_bytes()) {
            Ok(host) if !host.as_str().contains('@') => Ok(Some(host)),
            _ => malformed("`Host` is not a name or an address with a port"),
        },
    }
}

/// Refuses what a browser does for a page of somebody else. Following a link is no such thing.
fn check_site(method: &Method, headers: &HeaderMap, host: Option<&Authority>) -> Result<(), Problem> {
    let foreign = |detail: String| {
        let kind = ("foreign-origin", "The request comes from a page of another site");
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            kind,
            format!("{detail}: only pages of this very origin may ask by a browser"),
        ))
    };
    let value = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let follows_link =
        matches!(*method, Method::GET | Method::HEAD) && value("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    match value("sec-fetch-site").as_deref() {
        None | Some("same-origin" | "none") => {}
        Some(_) if follows_link => {}
        Some(site) => return foreign(format!("`Sec-Fetch-Site` is {site}")),
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = String::from_utf8_lossy(origin.as_bytes());
        if !host.is_some_and(|host| is_origin(&origin, host)) {
            return foreign(format!("`Origin` is {origin}"));
        }
    }
    Ok(())
}

/// Whether an origin is this host. A gateway may have taken TLS off, so the scheme says no more than which port is meant.
fn is_origin(origin: &str, host: &Authority) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Ok(authority) = Authority::try_from(authority) else { return false };
    let port = |of: &Authority| of.port_u16().unwrap_or(usual);
    authority.host().eq_ignore_ascii_case(host.host())
        && port(&authority) == port(host)
        && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(method: &str, headers: &[(&str, &str)], arrived: &str) -> Request {
        let mut request = axum::http::Request::builder().method(method).uri("/api/v1/trials");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Arrived(arrived.parse().unwrap()));
        request
    }

    fn kind(request: &Request) -> String {
        check(request).map_or_else(|problem| problem.kind.replace("urn:slipway:problem:", ""), |()| "fine".to_owned())
    }

    #[test]
    fn on_loopback_only_names_of_loopback_are_answered() {
        for (host, arrived, expected) in [
            ("localhost:8080", "127.0.0.1:8080", "fine"),
            ("LocalHost", "127.0.0.1:8080", "fine"),
            ("127.0.0.1:1", "127.0.0.1:8080", "fine"),
            ("[::1]:8080", "[::1]:8080", "fine"),
            ("127.0.0.1", "[::ffff:127.0.0.1]:8080", "fine"),
            ("evil.example", "127.0.0.1:8080", "foreign-host"),
            ("localhost.evil.example", "[::1]:8080", "foreign-host"),
            ("evil.example", "[::ffff:127.0.0.1]:8080", "foreign-host"),
            ("manager.example", "10.0.0.7:8080", "fine"),
            ("localhost@evil.example", "127.0.0.1:8080", "malformed-host"),
            ("a b", "10.0.0.7:8080", "malformed-host"),
            ("", "10.0.0.7:8080", "malformed-host"),
        ] {
            assert_eq!(kind(&request("GET", &[("host", host)], arrived)), expected, "{host} at {arrived}");
        }
        assert_eq!(kind(&request("GET", &[], "10.0.0.7:1")), "malformed-host");
        assert_eq!(kind(&request("GET", &[("host", "a"), ("host", "b")], "10.0.0.7:1")), "malformed-host");
    }

    #[test]
    fn pages_of_other_sites_may_link_here_and_do_nothing_else() {
        for (method, headers, expected) in [
            ("POST", &[("origin", "https://manager.example")][..], "fine"),
            ("POST", &[("origin", "http://manager.example:80")], "foreign-origin"),
            ("POST", &[("origin", "https://manager.example:443")], "fine"),
            ("POST", &[("origin", "https://evil.example")], "foreign-origin"),
            ("POST", &[("origin", "https://manager.example.evil.example")], "foreign-origin"),
            ("POST", &[("origin", "null")], "foreign-origin"),
            ("GET", &[("origin", "null")], "foreign-origin"),
            ("POST", &[("sec-fetch-site", "cross-site")], "foreign-origin"),
            ("POST", &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "navigate")], "foreign-origin"),
            ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], "foreign-origin"),
            ("GET", &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], "fine"),
            ("GET", &[("sec-fetch-site", "same-origin")], "fine"),
            ("GET", &[("sec-fetch-site", "none")], "fine"),
            ("GET", &[], "fine"),
        ] {
            let all: Vec<_> = [("host", "manager.example:443")].iter().chain(headers).copied().collect();
            assert_eq!(kind(&request(method, &all, "10.0.0.7:8080")), expected, "{method} {headers:?}");
        }
    }
}
