//! How a registry is reached: by which protocol, past which proxy, and with which trust.

use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol};
use slipway_http::{Client, Url, is_loopback};

use crate::Options;

/// How long a loopback registry may take to say that it speaks TLS.
const PROBE: Duration = Duration::from_secs(5);

/// A registry's address, `https://host/` or `http://host/`.
///
/// As for Docker, a registry on loopback may have TLS, with any certificate, or not have it: https is tried, then http.
pub(crate) async fn address(host: &str, options: &Options) -> Result<Url, String> {
    let address = |scheme: &str| format!("{scheme}://{host}/").parse::<Url>().map_err(|error| error.to_string());
    let (encrypted, plain) = (address("https")?, address("http")?);
    if options.plain_http {
        return Ok(plain);
    }
    if !is_local(&encrypted) {
        return Ok(encrypted);
    }
    let probe = client_of(&encrypted).map_err(|error| error.to_string())?;
    let limit = options.silence.min(PROBE);
    let spoken = probe.get(format!("{encrypted}v2/")).timeout(limit).send().await;
    Ok(if spoken.is_ok() { encrypted } else { plain })
}

/// The configuration of oci-client for the registry at this address.
pub(crate) fn configuration(address: &Url, options: &Options) -> ClientConfig {
    let local = is_local(address);
    // oci-client cannot be told to use no proxy. A client with a proxy of its own does not read HTTP_PROXY or HTTPS_PROXY, and for this one
    // every name and every address is an exception from the proxy
    let unused_proxy = local.then(|| "http://127.0.0.1:1".to_owned());
    ClientConfig {
        protocol: if address.scheme() == "http" { ClientProtocol::Http } else { ClientProtocol::Https },
        accept_invalid_certificates: local,
        http_proxy: unused_proxy,
        no_proxy: local.then(|| "*,0.0.0.0/0,::/0".to_owned()),
        connect_timeout: Some(options.silence.min(Duration::from_secs(10))),
        read_timeout: Some(options.silence),
        user_agent: concat!("slipway/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    }
}

/// A client for requests that oci-client cannot make, with the same rules.
pub(crate) fn client_of(address: &Url) -> reqwest::Result<Client> {
    slipway_http::client_of(address).tls_danger_accept_invalid_certs(is_local(address)).build()
}

fn is_local(address: &Url) -> bool {
    address.host_str().is_some_and(is_loopback)
}
