//! From the SDK's errors to ours: what happened, whether to try again, and what to do.

use aws_config::meta::ProviderChainError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use slipway_causes::{chain, find, root, tls};

use crate::Error;
use crate::bucket::Bucket;

/// Codes by which S3 and its likes refuse a key, a token or the time of a request.
const STALE_CREDENTIALS: [(&str, &str); 8] = [
    ("ExpiredToken", "the credentials have expired: renew them or sign in again"),
    ("ExpiredTokenException", "the credentials have expired: renew them or sign in again"),
    ("TokenRefreshRequired", "the credentials have expired: renew them or sign in again"),
    ("InvalidToken", "the session token is not valid: renew the credentials or sign in again"),
    ("InvalidAccessKeyId", "the access key does not exist or was rotated: use the current one"),
    ("InvalidClientTokenId", "the access key does not exist or was rotated: use the current one"),
    ("SignatureDoesNotMatch", "the secret key is wrong or was rotated: use the current one"),
    ("RequestTimeTooSkewed", "this machine's clock is wrong: set it"),
];

/// The HTTP status of an answer, if there was one.
pub(crate) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

impl Bucket {
    /// `uri` is what `action` was tried with, such as `s3://datasets/key`.
    pub(crate) fn error<E>(&self, action: &'static str, uri: String, error: &SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let endpoint = self.endpoint().to_owned();
        if let Some(cause) = find::<CredentialsError>(error) {
            return credentials(endpoint, cause);
        }
        let Some(response) = error.raw_response() else {
            return match error {
                SdkError::ConstructionFailure(_) => Error::Configuration(chain(error)),
                _ => match tls(error) {
                    Some(reason) => Error::Tls { service: format!("the object store at {endpoint}"), reason },
                    // "Connection refused" is what helps, not the layers around it
                    None => Error::Unreachable { endpoint, reason: root(error) },
                },
            };
        };
        let status = response.status().as_u16();
        let meta = error.as_service_error().map(ProvideErrorMetadata::meta);
        let code = meta.and_then(|meta| meta.code());
        let mut reason = format!("HTTP {status}");
        for text in [code, meta.and_then(|meta| meta.message())].into_iter().flatten() {
            reason.push_str(", ");
            reason.push_str(text.trim_end_matches('.'));
        }
        if is_transient(status, code) {
            return Error::Unreachable { endpoint, reason };
        }
        let stale = STALE_CREDENTIALS.iter().find(|(stale, _)| code == Some(stale));
        if let Some((_, advice)) = stale {
            reason = format!("{reason}; {advice}");
        } else if let Some(advice) = self.advice(status, response.headers().get("x-amz-bucket-region")) {
            reason = format!("{reason}; {advice}");
        }
        Error::Refused { endpoint, action, uri, reason, stale_credentials: stale.is_some() }
    }

    fn advice(&self, status: u16, region: Option<&str>) -> Option<String> {
        match (status, region) {
            (_, Some(region)) if region != self.region() => {
                Some(format!("the bucket is in the region {region}: set AWS_REGION to it"))
            }
            (403, _) => Some(
                "the key may not do this, or the object does not exist and the key may not list the bucket".to_owned(),
            ),
            _ => None,
        }
    }
}

/// Whether the store is in trouble itself, as opposed to refusing this request.
fn is_transient(status: u16, code: Option<&str>) -> bool {
    matches!(status, 408 | 429 | 500 | 502..=599) || matches!(code, Some("RequestTimeout" | "SlowDown"))
}

fn credentials(endpoint: String, error: &CredentialsError) -> Error {
    if let Some(tried) = find::<ProviderChainError<CredentialsError>>(error) {
        let tried: Vec<String> =
            tried.attempts().iter().map(|attempt| format!("{}: {}", attempt.name(), root(attempt.error()))).collect();
        return Error::Configuration(format!(
            "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (tried {})",
            tried.join("; ").replace('\n', " ")
        ));
    }
    if let Some(reason) = tls(error) {
        return Error::Tls { service: format!("what gives credentials for the object store at {endpoint}"), reason };
    }
    let transient =
        !matches!(error, CredentialsError::InvalidConfiguration(_) | CredentialsError::CredentialsNotLoaded(_));
    Error::Credentials { endpoint, reason: chain(error).replace('\n', " "), transient }
}
