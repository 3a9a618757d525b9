//! The store that the environment and AWS's configuration files name.

use aws_config::identity::IdentityCache;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Builder, SharedHttpClient};
use aws_types::service_config::ServiceConfigKey;
use slipway_names::env;

use crate::bucket::{Addressing, Bucket, timeouts};
use crate::{Error, Result, RetryBudget, route};

/// `path` or `virtual`.
const ADDRESSING: &str = "SLIPWAY_S3_ADDRESSING";
/// Where nothing names a region, as the stores beside AWS name themselves.
const REGION: &str = "us-east-1";

impl Bucket {
    /// The bucket with this name.
    pub(crate) async fn from_env(name: String, budget: RetryBudget) -> Result<Self> {
        let addressing = addressing()?;
        both_keys()?;
        let http = route::client();
        let region = region(&http).await;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(region.clone())
            .http_client(http)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts(budget.silence()))
            .identity_cache(IdentityCache::lazy().load_timeout(budget.credentials()).build())
            .load()
            .await;
        let endpoint = endpoint(&config);
        let style = addressing.unwrap_or(match endpoint {
            Some(_) => Addressing::Path,
            None => Addressing::VirtualHosted,
        });
        Self::with(Builder::from(&config), &name, region.as_ref(), endpoint.as_deref(), style, budget)
    }
}

/// The bucket that `SLIPWAY_DATASETS` names.
pub(crate) fn datasets() -> Result<String> {
    let uri = variable(env::DATASETS).unwrap_or_else(|| "s3://datasets".to_owned());
    let bucket = uri
        .strip_prefix("s3://")
        .map(|bucket| bucket.trim_end_matches('/'))
        .filter(|bucket| !bucket.is_empty() && !bucket.contains('/'));
    bucket.map(str::to_owned).ok_or_else(|| {
        let variable = env::DATASETS;
        Error::Configuration(format!("{variable} is `{uri}`; give s3:// and a bucket, such as s3://datasets"))
    })
}

fn addressing() -> Result<Option<Addressing>> {
    match variable(ADDRESSING).as_deref() {
        None => Ok(None),
        Some("path") => Ok(Some(Addressing::Path)),
        Some("virtual") => Ok(Some(Addressing::VirtualHosted)),
        Some(other) => Err(Error::Configuration(format!("{ADDRESSING} is `{other}`; set it to `path` or `virtual`"))),
    }
}

/// Half a pair of keys is a mistake: the SDK would pass it over in silence, and find some other credentials or none.
fn both_keys() -> Result<()> {
    let pair = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    match pair.map(|name| variable(name).is_some()) {
        [true, true] | [false, false] => Ok(()),
        [has_id, _] => {
            let [missing, set] = if has_id { [pair[1], pair[0]] } else { pair };
            Err(Error::Configuration(format!("{missing} is not set, but {set} is; set both, or neither")))
        }
    }
}

/// `AWS_REGION`, `AWS_DEFAULT_REGION`, the profile's, that of the EC2 instance, `us-east-1`.
async fn region(http: &SharedHttpClient) -> Region {
    let named = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")).map(Region::new);
    let chain = RegionProviderChain::first_try(named).or_else(ProfileFileRegionProvider::new());
    // a store of one's own is in no region of the instance; looking for one takes seconds where there is none
    let own = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter().any(|name| variable(name).is_some());
    let chain = if own {
        chain
    } else {
        let configuration = ProviderConfig::without_region().with_http_client(http.clone());
        chain.or_else(ImdsRegionProvider::builder().configure(&configuration).build())
    };
    chain.region().await.unwrap_or(Region::from_static(REGION))
}

/// S3's own endpoint, or that of all services, from the environment or else from the profile. `None` is AWS.
fn endpoint(config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = config.service_config().zip(key.ok()).and_then(|(services, key)| services.load_config(key));
    own.filter(|url| !url.is_empty()).or_else(|| config.endpoint_url().map(str::to_owned)).filter(|url| !url.is_empty())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
