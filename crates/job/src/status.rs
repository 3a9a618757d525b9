//! Reports progress to Kubeflow Trainer, which shows it in the TrainJob's `status.trainerStatus`.
//!
//! The API is Trainer's own (`pkg/statusserver`, 2.2 and later, feature gate `TrainJobStatus`): an HTTPS POST with a token of
//! this pod. Each report replaces the one before. If the feature is off, the variables are not set.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slipway_names::env;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::progress::Progress;

/// The time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The time limit of one report.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an error response is shown in a message, in characters.
const MAX_SHOWN: usize = 200;

/// The API of one TrainJob.
#[derive(Debug)]
pub(crate) struct StatusApi {
    url: String,
    /// The certificates that are trusted for the server, and no others.
    ca_file: PathBuf,
    /// The token is renewed in this file while the pod runs, so it is read for each report.
    token_file: PathBuf,
    /// A client, and the certificates that it trusts.
    client: Option<(Vec<u8>, reqwest::Client)>,
}

impl StatusApi {
    /// Reads the environment; `None` if it does not name the API.
    ///
    /// # Errors
    /// When only some of the variables are set.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        const NAMES: [&str; 3] = [env::TRAINER_SERVER_URL, env::TRAINER_SERVER_CA_CERT, env::TRAINER_SERVER_TOKEN];
        match NAMES.map(|name| lookup(name).filter(|value| !value.is_empty())) {
            [None, None, None] => Ok(None),
            [Some(url), Some(ca), Some(token)] => {
                Ok(Some(Self { url, ca_file: ca.into(), token_file: token.into(), client: None }))
            }
            values => {
                let missing = NAMES.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
                let missing: Vec<_> = missing.collect();
                let verb = if missing.len() == 1 { "is" } else { "are" };
                Err(format!(
                    "{} {verb} not set, but other KUBEFLOW_TRAINER_SERVER_* variables are",
                    missing.join(" and ")
                ))
            }
        }
    }

    /// Reports once.
    ///
    /// # Errors
    /// Why the report was not accepted.
    pub(crate) async fn report(&mut self, progress: &Progress) -> Result<(), String> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()));
        let (ca, token) = (read(&self.ca_file)?, read(&self.token_file)?);
        let token =
            String::from_utf8(token).map_err(|_| format!("{} does not contain a token", self.token_file.display()))?;
        let client = self.client(ca)?;
        let answer = client
            .post(&self.url)
            .bearer_auth(token.trim())
            .json(&body(progress, Instant::now(), OffsetDateTime::now_utc()))
            .send()
            .await
            .map_err(|error| format!("{}: {}", self.url, slipway_causes::root(&error)))?;
        let status = answer.status();
        // read to its end, so that the connection can be used again
        let text = answer.text().await.unwrap_or_default();
        if status.is_success() {
            return Ok(());
        }
        let text: String = text.trim().chars().take(MAX_SHOWN).collect();
        Err(format!("{} answered {}: {text}", self.url, status.as_u16()))
    }

    /// The client that trusts these certificates; a new one if they have changed.
    fn client(&mut self, ca: Vec<u8>) -> Result<reqwest::Client, String> {
        if let Some((trusted, client)) = &self.client
            && *trusted == ca
        {
            return Ok(client.clone());
        }
        let wrong = |error: &reqwest::Error| format!("{}: {}", self.ca_file.display(), slipway_causes::root(error));
        let certificates = reqwest::Certificate::from_pem_bundle(&ca).map_err(|error| wrong(&error))?;
        if certificates.is_empty() {
            return Err(format!("{} does not contain a certificate", self.ca_file.display()));
        }
        let client = reqwest::Client::builder()
            .tls_certs_only(certificates)
            // the token goes to this server, over TLS, and nowhere else
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| wrong(&error))?;
        self.client = Some((ca, client.clone()));
        Ok(client)
    }
}

/// The request's body. What is not known yet is left out: who sees a percentage knows that the first step was made.
fn body(progress: &Progress, now: Instant, time: OffsetDateTime) -> Value {
    let metrics: Vec<Value> =
        progress.metrics().map(|(name, value)| json!({ "name": name, "value": value.to_string() })).collect();
    let mut status = json!({ "metrics": metrics });
    if let Some(percentage) = progress.percentage() {
        status["progressPercentage"] = json!(percentage);
    }
    if let Some(remaining) = progress.remaining(now) {
        // the field has 32 bits
        status["estimatedRemainingSeconds"] = json!(remaining.as_secs().min(i32::MAX as u64));
    }
    // the API's times have whole seconds
    let time = time.replace_nanosecond(0).unwrap_or(time);
    if let Ok(time) = time.format(&Rfc3339) {
        status["lastUpdatedTime"] = json!(time);
    }
    json!({ "trainerStatus": status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_the_api_takes() {
        let mut progress = Progress::default();
        let begun = Instant::now();
        let time = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap() + Duration::from_millis(5);
        assert_eq!(
            body(&progress, begun, time),
            json!({"trainerStatus": {"metrics": [], "lastUpdatedTime": "2027-01-15T08:00:00Z"}})
        );
        progress.step(1, 101, begun);
        progress.step(51, 101, begun);
        progress.metric("loss", 0.25);
        assert_eq!(
            body(&progress, begun + Duration::from_millis(7900), time)["trainerStatus"],
            json!({
                "progressPercentage": 50, "estimatedRemainingSeconds": 7,
                "metrics": [{"name": "loss", "value": "0.25"}], "lastUpdatedTime": "2027-01-15T08:00:00Z",
            })
        );
    }

    #[test]
    fn all_of_its_variables_or_none() {
        let with = |names: &'static [&str]| move |name: &str| names.contains(&name).then(|| "x".to_owned());
        assert!(StatusApi::from_lookup(with(&[])).unwrap().is_none());
        assert!(StatusApi::from_lookup(|_| Some(String::new())).unwrap().is_none());
        let error = StatusApi::from_lookup(with(&["KUBEFLOW_TRAINER_SERVER_URL"])).unwrap_err();
        assert!(error.contains("CA_CERT and KUBEFLOW_TRAINER_SERVER_TOKEN"), "{error}");
    }
}
