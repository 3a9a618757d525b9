//! The HTTP client of the AWS SDK: what is near is asked directly, everything else through the proxy that the environment names.

use std::net::{IpAddr, Ipv4Addr};

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, ConnectorBuilder, tls};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use slipway_http::{Url, is_loopback};

const TLS: tls::Provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);

/// The client for S3 and for the services that give credentials.
pub(crate) fn client() -> SharedHttpClient {
    let direct = Builder::new().tls_provider(TLS).build_with_resolver(Resolver);
    // as the SDK makes its own default client
    let proxied = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(TLS).proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    });
    SharedHttpClient::new(Routes { direct, proxied })
}

#[derive(Debug, Clone)]
struct Routes {
    direct: SharedHttpClient,
    proxied: SharedHttpClient,
}

impl HttpClient for Routes {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Route {
            routes: self.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

/// Makes the connectors when they are first needed: each reads the system's certificates.
#[derive(Debug)]
struct Route {
    routes: Routes,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Route {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = if is_near(request.uri()) { &self.routes.direct } else { &self.routes.proxied };
        let answer = client.http_connector(&self.settings, &self.components).call(request);
        HttpConnectorFuture::new(async { answer.await.map_err(hopeless_if_tls) })
    }
}

/// A certificate does not change from one call to the next. The SDK, which takes such an error for one of the network, would call again: for the
/// store, and for each service that gives credentials.
fn hopeless_if_tls(error: ConnectorError) -> ConnectorError {
    if slipway_causes::tls(&error).is_some() { ConnectorError::other(error.into(), None) } else { error }
}

/// Whether no proxy can reach it: this machine's loopback, and the link that instance metadata and Pod Identity answer on.
fn is_near(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    is_loopback(host)
        || match host.trim_matches(['[', ']']).parse() {
            Ok(IpAddr::V4(address)) => address.is_link_local(),
            // fd00:ec2::/32: the same services over IPv6
            Ok(IpAddr::V6(address)) => address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0xec2],
            Err(_) => false,
        }
}

/// Not every system's resolver knows that `*.localhost` is this machine (RFC 6761).
#[derive(Debug, Clone)]
struct Resolver;

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            if name.ends_with(".localhost") {
                return Ok(vec![Ipv4Addr::LOCALHOST.into()]);
            }
            let addresses = tokio::net::lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_asked_for_what_is_near() {
        for near in [
            "http://127.0.0.1:9000/x",
            "http://datasets.s3.slipway.localhost/x",
            "http://[::1]:9000/",
            "http://169.254.169.254/latest/api/token",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::254]/latest/api/token",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in ["https://s3.eu-central-1.amazonaws.com/x", "http://10.0.0.1:9000/", "http://[fd00:ec3::254]/", "x"]
        {
            assert!(!is_near(far), "{far}");
        }
    }

    #[tokio::test]
    async fn localhost_names_are_this_machine() {
        assert_eq!(Resolver.resolve_dns("s3.slipway.localhost").await.unwrap(), [Ipv4Addr::LOCALHOST]);
        assert!(!Resolver.resolve_dns("127.0.0.1").await.unwrap().is_empty());
    }
}
