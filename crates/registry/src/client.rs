//! Requests to a registry, with credentials, time limits and retries.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use crate::{Error, Result};

/// How requests to a registry are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a request is made before it fails for good; at least 1.
    pub attempts: u32,
    /// How long the registry may be silent before an attempt is given up.
    pub silence: Duration,
    /// Whether to connect without TLS. A registry on this machine's loopback is always reached without TLS.
    pub plain_http: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { attempts: 5, silence: Duration::from_secs(60), plain_http: false }
    }
}

/// The pause before the second attempt; it doubles with each further one, and varies by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// A registry, and the credentials for it.
pub(crate) struct Registry {
    pub(crate) client: Client,
    pub(crate) host: String,
    pub(crate) auth: RegistryAuth,
    attempts: u32,
}

/// Reads a reference.
pub(crate) fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|error: oci_client::ParseError| Error::Reference {
        reference: text.to_owned(),
        reason: error.to_string(),
    })
}

impl Registry {
    /// The registry of a reference, with the credentials that `~/.docker/config.json` (or `DOCKER_CONFIG`) has for it.
    pub(crate) async fn of(image: &Reference, options: &Options) -> Result<Self> {
        let host = image.resolve_registry().to_owned();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        let is_loopback = slipway_http::is_loopback(name);
        // oci-client cannot be told to use no proxy. A client with a proxy of its own does not read HTTP_PROXY, and for this one every
        // name and every address is an exception from the proxy
        let unused_proxy = is_loopback.then(|| "http://127.0.0.1:1".to_owned());
        let config = ClientConfig {
            protocol: if is_loopback || options.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            http_proxy: unused_proxy,
            no_proxy: is_loopback.then(|| "*,0.0.0.0/0,::/0".to_owned()),
            connect_timeout: Some(options.silence.min(Duration::from_secs(10))),
            read_timeout: Some(options.silence),
            user_agent: concat!("slipway/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| Error::Refused {
            registry: host.clone(),
            what: "a connection".to_owned(),
            reason: error.to_string(),
        })?;
        let auth = credentials(&host)?;
        client.store_auth_if_needed(&host, &auth).await;
        Ok(Self { client, host, auth, attempts: options.attempts.max(1) })
    }

    /// Makes a request until it succeeds, fails for good, or has failed too often.
    pub(crate) async fn retry<T>(
        &self,
        what: &str,
        request: impl AsyncFn() -> std::result::Result<T, OciDistributionError>,
    ) -> Result<T> {
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_jitter();
        let pauses = pauses.with_max_times(usize::try_from(self.attempts - 1).unwrap_or(usize::MAX));
        let attempts = Cell::new(1);
        let request = &request;
        let done = (|| request())
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(is_transient)
            .notify(|error, pause| {
                tracing::debug!("{what}, attempt {}: {error}; the next one in {pause:?}", attempts.get());
                attempts.set(attempts.get() + 1);
            })
            .await;
        done.map_err(|error| self.failed(what, attempts.get(), error))
    }

    fn failed(&self, what: &str, attempts: u32, error: OciDistributionError) -> Error {
        let (registry, what, reason) = (self.host.clone(), what.to_owned(), slipway_causes::chain(&error));
        match error {
            error if denied(&error) => Error::Denied { registry, reason },
            error if is_transient(&error) => Error::Unreachable { registry, what, attempts, reason },
            OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                match expected.parse() {
                    Ok(expected) => Error::OtherDigest { registry, what, expected, found: actual },
                    Err(_) => Error::Refused { registry, what, reason },
                }
            }
            // errors of the network have other types
            OciDistributionError::IoError(source) => Error::Local { what, source },
            _ => Error::Refused { registry, what, reason },
        }
    }
}

/// Whether the registry requires other credentials.
fn denied(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::AuthenticationFailure(_) | OciDistributionError::UnauthorizedError { .. } => true,
        OciDistributionError::ServerError { code, .. } => matches!(code, 401 | 403),
        OciDistributionError::RequestError(error) => {
            error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 403))
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|error| matches!(error.code, OciErrorCode::Unauthorized | OciErrorCode::Denied))
        }
        _ => false,
    }
}

/// Whether the next attempt may succeed.
fn is_transient(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code >= 500 || *code == 429,
        OciDistributionError::RequestError(error) => {
            error.status().is_none_or(|status| status.is_server_error() || status.as_u16() == 429)
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            // after a torn upload the registry may have forgotten it, or hold other bytes than the next attempt expects
            envelope.errors.iter().any(|error| {
                matches!(
                    error.code,
                    OciErrorCode::Toomanyrequests | OciErrorCode::BlobUploadUnknown | OciErrorCode::BlobUploadInvalid
                )
            })
        }
        _ => false,
    }
}

/// The file that docker keeps its credentials in.
fn configuration() -> Option<PathBuf> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    Some(folder?.join("config.json"))
}

fn credentials(host: &str) -> Result<RegistryAuth> {
    match get_credential(host) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(token)) => Ok(RegistryAuth::Bearer(token)),
        // no entry for this registry, or no folder in which a file could be
        Err(CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound) => {
            Ok(RegistryAuth::Anonymous)
        }
        // a file that does not exist, or one that cannot be read; many registries can be read without credentials
        Err(CredentialRetrievalError::ConfigReadError) => {
            if let Some(file) = configuration().filter(|file| file.exists()) {
                tracing::warn!("{} cannot be read: {host} is asked without credentials", file.display());
            }
            Ok(RegistryAuth::Anonymous)
        }
        Err(error) => {
            Err(Error::Denied { registry: host.to_owned(), reason: format!("its credentials cannot be read: {error}") })
        }
    }
}
