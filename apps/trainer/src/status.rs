//! Where Kubeflow Trainer takes progress, which it shows in the TrainJob's `status.trainerStatus`.
//!
//! The API is Trainer's own (`pkg/statusserver`, 2.2 and later, feature gate `TrainJobStatus`): an HTTPS POST with a token of
//! this pod. Each report replaces the one before. Where it is switched off, the variables are not there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::progress::Progress;

const CONNECT: Duration = Duration::from_secs(3);
/// Of one report.
const LONGEST: Duration = Duration::from_secs(5);
/// Of an answer that is no success, in a message.
const SHOWN: usize = 200;

/// The API of one TrainJob.
#[derive(Debug)]
pub(crate) struct StatusApi {
    url: String,
    /// Certificates that the server's is checked against; no others are trusted.
    ca_file: PathBuf,
    /// The token is renewed in this file while the pod runs, so it is read for each report.
    token_file: PathBuf,
    /// A client, and the certificates that it trusts.
    client: Option<(Vec<u8>, reqwest::Client)>,
}

impl StatusApi {
    /// As the environment says; none when it says nothing.
    ///
    /// # Errors
    /// When it says a part only.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        const NAMES: [&str; 3] =
            ["KUBEFLOW_TRAINER_SERVER_URL", "KUBEFLOW_TRAINER_SERVER_CA_CERT", "KUBEFLOW_TRAINER_SERVER_TOKEN"];
        match NAMES.map(|name| lookup(name).filter(|value| !value.is_empty())) {
            [None, None, None] => Ok(None),
            [Some(url), Some(ca), Some(token)] => {
                Ok(Some(Self { url, ca_file: ca.into(), token_file: token.into(), client: None }))
            }
            values => {
                let missing = NAMES.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
                Err(format!("{} not set, though the others of its kind are", missing.collect::<Vec<_>>().join(" and ")))
            }
        }
    }

    /// Reports once.
    ///
    /// # Errors
    /// Why the report was not taken.
    pub(crate) async fn report(&mut self, progress: &Progress) -> Result<(), String> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("reading {}: {error}", path.display()));
        let (ca, token) = (read(&self.ca_file)?, read(&self.token_file)?);
        let token = String::from_utf8(token).map_err(|_| format!("{} holds no token", self.token_file.display()))?;
        let client = self.client(ca)?;
        let answer = client
            .post(&self.url)
            .bearer_auth(token.trim())
            .json(&body(progress, Instant::now(), OffsetDateTime::now_utc()))
            .send()
            .await
            .map_err(|error| format!("{}: {}", self.url, cause(&error)))?;
        let status = answer.status();
        // read to its end, so that the connection can be used again
        let said = answer.text().await.unwrap_or_default();
        if status.is_success() {
            return Ok(());
        }
        let said: String = said.trim().chars().take(SHOWN).collect();
        Err(format!("{} answered {}: {said}", self.url, status.as_u16()))
    }

    /// The client that trusts these certificates: a new one when they have changed.
    fn client(&mut self, ca: Vec<u8>) -> Result<reqwest::Client, String> {
        if let Some((known, client)) = &self.client
            && *known == ca
        {
            return Ok(client.clone());
        }
        let wrong = |error: &reqwest::Error| format!("{}: {}", self.ca_file.display(), cause(error));
        let certificates = reqwest::Certificate::from_pem_bundle(&ca).map_err(|error| wrong(&error))?;
        if certificates.is_empty() {
            return Err(format!("{} holds no certificate", self.ca_file.display()));
        }
        let client = reqwest::Client::builder()
            .tls_certs_only(certificates)
            // the token goes to this server, over TLS, and nowhere else
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(LONGEST)
            .build()
            .map_err(|error| wrong(&error))?;
        self.client = Some((ca, client.clone()));
        Ok(client)
    }
}

/// What is sent. `estimatedRemainingSeconds` is left out while it is not known.
fn body(progress: &Progress, now: Instant, time: OffsetDateTime) -> Value {
    let metrics: Vec<Value> =
        progress.metrics().map(|(name, value)| json!({ "name": name, "value": value.to_string() })).collect();
    let mut status = json!({ "progressPercentage": progress.percentage(), "metrics": metrics });
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

/// An error with what is behind it: the outermost alone says only that a request failed.
fn cause(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut inner = std::error::Error::source(error);
    while let Some(error) = inner {
        text = error.to_string();
        inner = error.source();
    }
    text
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
            json!({"trainerStatus": {"progressPercentage": 0, "metrics": [], "lastUpdatedTime": "2027-01-15T08:00:00Z"}})
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
