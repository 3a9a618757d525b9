//! HTTP clients that do not hang: each has time limits, and none uses a proxy for this machine's loopback.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

pub use reqwest::{Client, ClientBuilder, Url};

/// The time limit for connecting.
const CONNECT: Duration = Duration::from_secs(3);
/// The time limit for the next byte of an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// Whether a host is this machine: an address of the loopback range, or a name that RFC 6761 reserves for it.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Sends the requests of a builder, for clients of `$server`, past any proxy if the server is this machine. A macro, since reqwest's two
/// kinds of builder have no type in common.
macro_rules! direct_on_loopback {
    ($builder:expr, $server:expr) => {{
        let builder = $builder.connect_timeout(CONNECT).user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")));
        let host = $server.host_str().unwrap_or_default();
        if !is_loopback(host) {
            builder
        } else if host.ends_with(".localhost") {
            // not every system's resolver knows these names
            builder.no_proxy().resolve(host, (Ipv4Addr::LOCALHOST, 0).into())
        } else {
            builder.no_proxy()
        }
    }};
}

/// A builder for clients of one server. Connecting takes at most 3 s, and an answer that stalls for 30 s fails; callers limit the
/// whole request. Requests to a loopback server bypass any proxy (`HTTP_PROXY`), since no proxy could reach it.
pub fn client_of(server: &Url) -> ClientBuilder {
    direct_on_loopback!(Client::builder().read_timeout(SILENCE), server)
}

/// Like [`client_of`], for programs without an async runtime. Here the 30 s limit each wait for an answer to start or to continue.
#[cfg(feature = "blocking")]
pub fn blocking_client_of(server: &Url) -> reqwest::blocking::ClientBuilder {
    direct_on_loopback!(reqwest::blocking::Client::builder().timeout(SILENCE), server)
}

/// A client for services on this machine's loopback. `limit` bounds each request.
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
    fn loopback_is_recognized_by_address_and_by_name() {
        for here in ["localhost", "s3.slipway.localhost", "127.0.0.1", "127.8.0.1", "::1", "[::1]"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in ["", "localhost.example.org", "10.0.0.1", "example.org", "notlocalhost"] {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
