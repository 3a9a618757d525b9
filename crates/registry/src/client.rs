//! Requests to a registry, with credentials, time limits and retries.

use std::cell::Cell;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use slipway_http::Url;
use tokio::sync::Mutex;

use crate::credentials::Credentials;
use crate::{Error, Result, connection, identity};

/// How requests to a registry are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often a request is made before it fails for good; at least 1.
    pub attempts: u32,
    /// How long the registry may be silent before an attempt is given up.
    pub silence: Duration,
    /// Whether to connect without TLS. A registry on this machine's loopback is reached without TLS if it has none.
    pub plain_http: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { attempts: 5, silence: Duration::from_secs(60), plain_http: false }
    }
}

/// The pause before the second attempt; it doubles with each further one, and varies by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(300);

/// A registry, and the credentials for a repository in it.
pub(crate) struct Registry {
    pub(crate) host: String,
    address: Url,
    credentials: Credentials,
    /// For an identity token: what it is exchanged for.
    scope: String,
    session: Mutex<Option<Session>>,
    options: Options,
}

/// A client that is signed in.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) auth: RegistryAuth,
    /// When its token should be replaced; `None` if oci-client does so.
    renewal: Option<Instant>,
}

/// What is done in a registry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Pull,
    Push,
}

/// Reads a reference.
pub(crate) fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|error: oci_client::ParseError| Error::Reference {
        reference: text.to_owned(),
        reason: error.to_string(),
    })
}

impl Registry {
    /// The registry of a reference, with the credentials that Docker has for it.
    pub(crate) async fn of(image: &Reference, purpose: Purpose, options: &Options) -> Result<Self> {
        let host = image.resolve_registry().to_owned();
        let credentials = Credentials::of(&host, image.repository()).await.map_err(|reason| Error::Denied {
            registry: host.clone(),
            reason: format!("its credentials cannot be read: {reason}"),
        })?;
        let address = connection::address(&host, options)
            .await
            .map_err(|reason| Error::Reference { reference: image.to_string(), reason })?;
        let (actions, operation) = match purpose {
            Purpose::Pull => ("pull", RegistryOperation::Pull),
            Purpose::Push => ("pull,push", RegistryOperation::Push),
        };
        let scope = format!("repository:{}:{actions}", image.repository());
        let (session, options) = (Mutex::new(None), options.clone());
        let registry = Self { host, address, credentials, scope, session, options };
        // later, oci-client would turn a login that fails into a request without one
        let sign_in = async |session: &Session| session.client.auth(image, &session.auth, operation).await.map(drop);
        registry.retry("signing in", sign_in).await?;
        Ok(registry)
    }

    /// The session; a new one if there is none, or its token is about to expire.
    async fn session(&self) -> std::result::Result<Session, OciDistributionError> {
        let mut session = self.session.lock().await;
        match &*session {
            Some(session) if session.renewal.is_none_or(|renewal| Instant::now() < renewal) => Ok(session.clone()),
            _ => Ok(session.insert(self.sign_in().await?).clone()),
        }
    }

    async fn sign_in(&self) -> std::result::Result<Session, OciDistributionError> {
        let mut renewal = None;
        let auth = match &self.credentials {
            Credentials::Anonymous => RegistryAuth::Anonymous,
            Credentials::Basic(user, password) => RegistryAuth::Basic(user.clone(), password.clone()),
            Credentials::Bearer(token) => RegistryAuth::Bearer(token.clone()),
            Credentials::Identity(identity) => {
                let begun = Instant::now();
                match identity::exchange(&self.address, identity, &self.scope).await? {
                    Some(access) => {
                        renewal = Some(begun + access.valid / 2);
                        RegistryAuth::Bearer(access.token)
                    }
                    None => RegistryAuth::Anonymous,
                }
            }
        };
        let client = Client::try_from(connection::configuration(&self.address, &self.options))?;
        client.store_auth_if_needed(&self.host, &auth).await;
        Ok(Session { client, auth, renewal })
    }

    /// Makes a request until it succeeds, fails for good, or has failed too often.
    pub(crate) async fn retry<T>(
        &self,
        what: &str,
        request: impl AsyncFn(&Session) -> std::result::Result<T, OciDistributionError>,
    ) -> Result<T> {
        let attempts_left = self.options.attempts.max(1) - 1;
        let pauses = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_jitter();
        let pauses = pauses.with_max_times(usize::try_from(attempts_left).unwrap_or(usize::MAX));
        let attempts = Cell::new(1);
        let request = &request;
        let done = (async || request(&self.session().await?).await)
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
