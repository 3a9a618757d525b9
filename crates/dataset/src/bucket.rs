//! One bucket of an S3 store.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use slipway_http::Url;

use crate::budget::RetryBudget;
use crate::refusal::status;
use crate::{Credentials, Error, Result, route};

/// Until a connection is made.
const CONNECT: Duration = Duration::from_secs(3);
/// Until a stream in which no byte moves is given up.
const STALLED: Duration = Duration::from_secs(20);

/// A bucket with the keys to it. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub(crate) struct Bucket {
    client: Client,
    name: String,
    /// For messages: a URL, or AWS itself.
    endpoint: String,
    region: String,
    budget: RetryBudget,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// How a bucket is named in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// `http://endpoint/bucket/key`: every S3 understands it.
    Path,
    /// `http://bucket.endpoint/key`
    VirtualHosted,
}

impl Bucket {
    /// A bucket at a given endpoint, with given keys. Nothing is sent yet.
    pub(crate) fn new(
        endpoint: &str,
        name: &str,
        credentials: Credentials,
        region: &str,
        budget: RetryBudget,
    ) -> Result<Self> {
        let Credentials { access_key, secret_key, session_token } = credentials;
        let credentials = aws_sdk_s3::config::Credentials::new(access_key, secret_key, session_token, None, "given");
        let builder = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .http_client(route::client())
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials);
        Self::with(builder, name, region, Some(endpoint), Addressing::Path, budget)
    }

    /// A bucket behind a configured client; without an endpoint, on AWS.
    pub(crate) fn with(
        builder: Builder,
        name: &str,
        region: &str,
        endpoint: Option<&str>,
        addressing: Addressing,
        budget: RetryBudget,
    ) -> Result<Self> {
        if let Some(endpoint) = endpoint {
            check(endpoint)?;
        }
        let mut builder = builder
            .force_path_style(addressing == Addressing::Path)
            // a corrected clock and short faults are the SDK's to mend; outages are left to the budget
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts(budget.silence()))
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(STALLED).build())
            // content is verified by its digest, and not every S3 takes checksums as trailers
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        builder.set_endpoint_url(endpoint.map(str::to_owned));
        let region = region.to_owned();
        let endpoint = endpoint.map_or_else(|| format!("AWS in {region}"), str::to_owned);
        Ok(Self { client: Client::from_conf(builder.build()), name: name.to_owned(), endpoint, region, budget })
    }

    /// Another bucket, with the same keys.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// The same bucket, with another patience: for a single request, too.
    pub(crate) fn with_budget(&self, budget: RetryBudget) -> Self {
        let config = self.client.config().to_builder().timeout_config(timeouts(budget.silence())).build();
        Self { client: Client::from_conf(config), budget, ..self.clone() }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    pub(crate) fn budget(&self) -> RetryBudget {
        self.budget
    }

    pub(crate) fn uri(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }

    /// Where an object is, for messages.
    pub(crate) fn location(&self, key: &str) -> String {
        format!("{} at {}", self.uri(key), self.endpoint)
    }

    /// Tries until the budget is spent.
    pub(crate) async fn patiently<T>(&self, mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
        let mut attempts = self.budget.attempts();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => attempts.pause(error).await?,
            }
        }
    }

    /// Creates the bucket unless it exists. If the key may not ask, the bucket is assumed to exist.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let uri = format!("s3://{}", self.name);
        let exists = self
            .patiently(async || match self.client.head_bucket().bucket(&self.name).send().await {
                Ok(_) => Ok(true),
                Err(error) => match status(&error) {
                    Some(404) => Ok(false),
                    Some(403) => Ok(true),
                    _ => Err(self.error("look for", uri.clone(), &error)),
                },
            })
            .await?;
        if exists {
            return Ok(());
        }
        // the one region that is not named is the oldest
        let place = (self.region != "us-east-1").then(|| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(self.region.as_str()))
                .build()
        });
        self.patiently(async || {
            let create = self.client.create_bucket().bucket(&self.name).set_create_bucket_configuration(place.clone());
            match create.send().await {
                Ok(_) => Ok(()),
                // somebody else created it meanwhile
                Err(error) if status(&error) == Some(409) => Ok(()),
                Err(error) => Err(self.error("create", uri.clone(), &error)),
            }
        })
        .await
    }

    /// An object's size. `None` if it does not exist, or if the key may not know: without the right to list a bucket, S3
    /// answers 403 for an object that does not exist.
    pub(crate) async fn size(&self, key: &str) -> Result<Option<u64>> {
        self.patiently(async || match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(object.content_length().and_then(|length| length.try_into().ok())),
            Err(error) => match status(&error) {
                Some(403 | 404) => Ok(None),
                _ => Err(self.error("look for", self.uri(key), &error)),
            },
        })
        .await
    }
}

/// `silence` is the time from the start of a request until its answer begins.
pub(crate) fn timeouts(silence: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(silence).build()
}

fn check(endpoint: &str) -> Result<()> {
    let refuse = |reason: &str| {
        Err(Error::Configuration(format!(
            "its address `{endpoint}` is not valid ({reason}); give http:// or https:// and a host"
        )))
    };
    // a password that is not escaped can end the host's name anywhere, so that its rest looks like a port or a path
    if endpoint.contains('@') {
        // nor is the address repeated: messages are logged
        let text = "its address contains a user or a password; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead";
        return Err(Error::Configuration(text.to_owned()));
    }
    match endpoint.parse::<Url>() {
        Err(error) => refuse(&error.to_string()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => refuse("it starts with neither"),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => refuse("it has no host"),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_patience_holds_for_each_request() {
        let credentials =
            Credentials { access_key: "ann".to_owned(), secret_key: "secret".to_owned(), session_token: None };
        let patient =
            Bucket::new("http://127.0.0.1:9", "datasets", credentials, "us-east-1", RetryBudget::Job).unwrap();
        let quick = patient.with_budget(RetryBudget::Interactive);
        let silence =
            |bucket: &Bucket| bucket.client().config().timeout_config().and_then(|limits| limits.read_timeout());
        assert_eq!(silence(&patient), Some(RetryBudget::Job.silence()));
        assert_eq!(silence(&quick), Some(RetryBudget::Interactive.silence()));
        assert_eq!((quick.budget(), quick.uri("a")), (RetryBudget::Interactive, patient.uri("a")));
    }

    #[test]
    fn keys_are_never_shown_and_addresses_are_checked() {
        let credentials = || Credentials {
            access_key: "ann".to_owned(),
            secret_key: "very-secret".to_owned(),
            session_token: Some("token-secret".to_owned()),
        };
        let bucket = |endpoint| Bucket::new(endpoint, "datasets", credentials(), "us-east-1", RetryBudget::Interactive);
        let good = bucket("http://s3.slipway.localhost:80").unwrap();
        assert!(!format!("{good:?}").contains("secret"), "{good:?}");
        for bad in ["minio:9000", "ftp://minio", "http://", "nonsense"] {
            let error = bucket(bad).unwrap_err();
            assert!(matches!(error, Error::Configuration(_)) && error.to_string().contains(bad), "{error}");
        }
        for with_login in
            ["http://ann:very-secret@minio:9000", "http://ann:9/very-secret@minio", "ann:very-secret@minio"]
        {
            let error = bucket(with_login).unwrap_err();
            assert!(matches!(error, Error::Configuration(_)) && !error.to_string().contains("secret"), "{error}");
        }
    }
}
