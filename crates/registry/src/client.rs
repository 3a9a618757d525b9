//! A registry, asked patiently.

use std::time::Duration;

use docker_credential::{CredentialRetrievalError, DockerCredential, get_credential};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};

use crate::{Error, Result};

/// How a registry is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often one thing is tried.
    pub attempts: u32,
    /// How long it may say nothing before an attempt is given up.
    pub silence: Duration,
    /// Without TLS; on this machine it is never used.
    pub plain_http: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { attempts: 5, silence: Duration::from_secs(60), plain_http: false }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A registry with who asks it.
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
        let here = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        let config = ClientConfig {
            protocol: if here || options.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
            connect_timeout: Some(options.silence.min(Duration::from_secs(10))),
            read_timeout: Some(options.silence),
            user_agent: concat!("slipway/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| Error::Refused {
            registry: host.clone(),
            what: "to be asked".to_owned(),
            reason: error.to_string(),
        })?;
        let auth = credentials(&host)?;
        client.store_auth_if_needed(&host, &auth).await;
        Ok(Self { client, host, auth, attempts: options.attempts.max(1) })
    }

    /// Tries something until it succeeds, is refused, or has failed too often.
    pub(crate) async fn patiently<T>(
        &self,
        what: &str,
        work: impl AsyncFn() -> std::result::Result<T, OciDistributionError>,
    ) -> Result<T> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            match work().await {
                Ok(done) => return Ok(done),
                Err(error) if passes(&error) && attempt < self.attempts => {
                    tracing::debug!("{what}, attempt {attempt}: {error}");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                Err(error) => return Err(self.failed(what, attempt, error)),
            }
        }
    }

    fn failed(&self, what: &str, attempts: u32, error: OciDistributionError) -> Error {
        let (registry, what, reason) = (self.host.clone(), what.to_owned(), chain(&error));
        match error {
            error if denied(&error) => Error::Denied { registry, reason },
            error if passes(&error) => Error::Unreachable { registry, what, attempts, reason },
            OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) => {
                Error::OtherDigest { registry, what, expected, found: actual }
            }
            // the network's errors have types of their own
            OciDistributionError::IoError(source) => Error::Local { what, source },
            _ => Error::Refused { registry, what, reason },
        }
    }
}

/// Whether the registry wants to know who asks.
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

/// Whether it may be gone the next time.
fn passes(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ServerError { code, .. } => *code >= 500 || *code == 429,
        OciDistributionError::RequestError(error) => {
            error.status().is_none_or(|status| status.is_server_error() || status.as_u16() == 429)
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            // a torn upload leaves an upload that is not known any more, or has other bytes than the next try thinks
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

fn credentials(host: &str) -> Result<RegistryAuth> {
    match get_credential(host) {
        Ok(DockerCredential::UsernamePassword(user, password)) => Ok(RegistryAuth::Basic(user, password)),
        Ok(DockerCredential::IdentityToken(token)) => Ok(RegistryAuth::Bearer(token)),
        // no file, or nothing in it for this registry
        Err(
            CredentialRetrievalError::NoCredentialConfigured
            | CredentialRetrievalError::ConfigNotFound
            | CredentialRetrievalError::ConfigReadError,
        ) => Ok(RegistryAuth::Anonymous),
        Err(error) => {
            Err(Error::Denied { registry: host.to_owned(), reason: format!("its credentials cannot be read: {error}") })
        }
    }
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}
