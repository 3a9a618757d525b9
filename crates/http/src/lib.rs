//! HTTP clients that do not hang: every one has time limits, and none asks a proxy for this machine's own loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

pub use reqwest::{Client, ClientBuilder, Url};

/// Until a connection is made.
const CONNECT: Duration = Duration::from_secs(3);
/// Until the next byte of an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// Whether a host is this machine: an address of the loopback range, or a name that RFC 6761 reserves for it.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A builder for clients of one server. Connecting takes at most 3 s, and an answer that goes silent for 30 s is given up; callers
/// bound the whole request. A loopback server is asked directly, whatever `HTTP_PROXY` says, since no proxy could reach it.
pub fn client_of(server: &Url) -> ClientBuilder {
    let builder = Client::builder()
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
    let host = server.host_str().unwrap_or_default();
    if !is_loopback(host) {
        return builder;
    }
    let builder = builder.no_proxy();
    // not every system's resolver knows these names
    if host.ends_with(".localhost") { builder.resolve(host, (Ipv4Addr::LOCALHOST, 0).into()) } else { builder }
}

/// As [`client_of`], for programs without a runtime. There the 30 s bound each wait for an answer to begin or to go on.
#[cfg(feature = "blocking")]
pub fn blocking_client_of(server: &Url) -> reqwest::blocking::ClientBuilder {
    let builder = reqwest::blocking::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(SILENCE)
        .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
    let host = server.host_str().unwrap_or_default();
    if !is_loopback(host) {
        return builder;
    }
    let builder = builder.no_proxy();
    if host.ends_with(".localhost") { builder.resolve(host, (Ipv4Addr::LOCALHOST, 0).into()) } else { builder }
}

/// A client for services on this machine's loopback, each request bounded by `limit`.
///
/// # Errors
/// When the TLS library cannot be set up.
pub fn loopback(limit: Duration) -> reqwest::Result<Client> {
    Client::builder().no_proxy().connect_timeout(CONNECT.min(limit)).timeout(limit).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known_by_address_and_by_name() {
        for here in ["localhost", "s3.slipway.localhost", "127.0.0.1", "127.8.0.1", "::1", "[::1]"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["", "localhost.example.org", "10.0.0.1", "example.org", "notlocalhost"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
