//! octocrab over the project's own HTTP client, which knows proxies and time limits.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{OctoBody, Octocrab, OctocrabBuilder};
use reqwest::redirect::{Attempt, Policy};
use slipway_http::{Client, Url};
use tower::{BoxError, Service};

use super::authentication::Credentials;
use super::signing::Signing;
use crate::{Error, Result};

/// For one request and its answer.
const LIMIT: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 5;

/// The HTTP client for the API at a URL. It signs nothing.
///
/// # Errors
/// [`Error::Unreachable`] if the URL is not one, or TLS cannot be set up.
pub(crate) fn http(api: &str) -> Result<Client> {
    let url = Url::parse(api).map_err(|error| unreachable(api, error.to_string()))?;
    let client = slipway_http::client_of(&url).timeout(LIMIT).redirect(Policy::custom(same_host)).build();
    client.map_err(|error| unreachable(api, slipway_causes::chain(&error)))
}

/// A client of the API at a URL that signs in.
///
/// # Errors
/// [`Error::Unreachable`] if the URL is not one.
pub(crate) fn connect(http: Client, api: &str, credentials: &Credentials) -> Result<Octocrab> {
    let uri = api.parse::<Uri>().map_err(|error| unreachable(api, error.to_string()))?;
    Ok(over(ReqwestConnector::new(http), uri, credentials))
}

fn unreachable(api: &str, reason: String) -> Error {
    Error::Unreachable { url: api.to_owned(), reason }
}

/// A client over any transport.
pub(crate) fn over<S, B>(transport: S, api: Uri, credentials: &Credentials) -> Octocrab
where
    S: Service<Request<OctoBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    let transport = Signing::new(transport, credentials);
    let builder = OctocrabBuilder::new_empty().with_service(transport).with_layer(&BaseUriLayer::new(api));
    let Ok(client) = builder.with_auth(credentials.state()).build();
    client
}

/// A repository that was renamed is followed within its server. Another server's answer would not be GitHub's, so none is asked.
fn same_host(attempt: Attempt) -> reqwest::redirect::Action {
    let from = attempt.previous().last();
    let same = from.is_some_and(|from| from.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}
