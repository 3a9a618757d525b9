//! Identity tokens, such as that of `az acr login`: refresh tokens, for which the registry's authority gives tokens that the registry takes.
//! <https://distribution.github.io/distribution/spec/auth/oauth/>

use std::time::Duration;

use http_auth::parser::ChallengeParser;
use oci_client::errors::{OciDistributionError, Result};
use reqwest::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;
use slipway_http::Url;

use crate::connection::client_of;

/// The time limit of one request.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a token is valid whose answer does not say so.
const VALIDITY: u64 = 60;

/// A token that the registry takes.
pub(crate) struct AccessToken {
    pub(crate) token: String,
    pub(crate) valid: Duration,
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token: Option<String>,
    expires_in: Option<u64>,
}

/// Where a registry sends those who ask for a token.
struct Authority {
    realm: Url,
    service: Option<String>,
}

/// Exchanges an identity token at the authority that the registry at `base` (`https://host/`) names. `None` if it names none: then it takes no
/// tokens. `scope` is such as `repository:team/thing:pull,push`.
pub(crate) async fn exchange(base: &Url, identity: &str, scope: &str) -> Result<Option<AccessToken>> {
    let version = base.join("v2/").map_err(|error| OciDistributionError::UrlParseError(error.to_string()))?;
    let asked = client_of(base)?.get(version).timeout(LIMIT).send().await?;
    let Some(Authority { realm, service }) = Authority::of(asked.headers()) else { return Ok(None) };
    if realm.scheme() != "https" && base.scheme() == "https" {
        let reason = format!("the identity token is not sent to {realm}, which is not encrypted");
        return Err(OciDistributionError::AuthenticationFailure(reason));
    }
    let mut form = realm.clone();
    form.set_query(None);
    let fields =
        [("grant_type", "refresh_token"), ("client_id", "slipway"), ("scope", scope), ("refresh_token", identity)];
    form.query_pairs_mut().extend_pairs(fields).extend_pairs(service.iter().map(|service| ("service", service)));
    let body = form.query().unwrap_or_default().to_owned();
    let request = client_of(&realm)?.post(realm).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
    let answer = request.timeout(LIMIT).send().await?;
    let status = answer.status();
    if status.is_server_error() || status.as_u16() == 429 {
        let (code, url) = (status.as_u16(), answer.url().to_string());
        return Err(OciDistributionError::ServerError { code, url, message: answer.text().await? });
    }
    if !status.is_success() {
        let reason = format!("the identity token is not accepted (HTTP {}): sign in again", status.as_u16());
        return Err(OciDistributionError::AuthenticationFailure(reason));
    }
    // the answer is not repeated: it holds tokens
    let unreadable = || OciDistributionError::RegistryTokenDecodeError("there is no token in the answer".to_owned());
    let answer: Answer = serde_json::from_slice(&answer.bytes().await?).map_err(|_| unreadable())?;
    let token = answer.access_token.or(answer.token).ok_or_else(unreadable)?;
    Ok(Some(AccessToken { token, valid: Duration::from_secs(answer.expires_in.unwrap_or(VALIDITY)) }))
}

impl Authority {
    fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|header| header.to_str().ok()).find_map(|header| {
            let challenges = ChallengeParser::new(header).filter_map(std::result::Result::ok);
            let bearer = challenges.into_iter().find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))?;
            let parameter = |name: &str| {
                let found = bearer.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            Some(Self { realm: parameter("realm")?.parse().ok()?, service: parameter("service") })
        })
    }
}
