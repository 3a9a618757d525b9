//! The model server, asked by the Open Inference Protocol.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use slipway_http::{Client, Url, client_of};

use crate::failure::Failure;

/// For one request; a server that hangs must not hang the command.
const REQUEST: Duration = Duration::from_secs(5);

/// A model server and the client that asks it.
#[derive(Debug)]
pub(crate) struct ModelServer {
    client: Client,
    url: Url,
}

impl ModelServer {
    /// Asks nothing yet.
    pub(crate) fn at(url: &str) -> Result<Self, Failure> {
        let invalid = |reason: String| Failure::Input(format!("`{url}` is not the URL of a model server: {reason}"));
        let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        if parsed.cannot_be_a_base() {
            return Err(invalid("it has no host".to_owned()));
        }
        let client = client_of(&parsed).timeout(REQUEST).build();
        let client = client.map_err(|error| Failure::Unexpected(slipway_causes::chain(&error)))?;
        Ok(Self { client, url: parsed })
    }

    /// The version that answers when a request names none; `None` if the model is not in service.
    pub(crate) async fn version_in_service(&self, model: &str) -> Result<Option<String>, Failure> {
        #[derive(Deserialize)]
        struct Metadata {
            versions: Vec<String>,
        }
        let url = self.path(&["v2", "models", model]);
        let answer = self.client.get(url.clone()).send().await.map_err(|error| unreachable(&error))?;
        if answer.status().as_u16() == 404 {
            return Ok(None);
        }
        let metadata: Metadata = read(&url, answer).await?;
        Ok(metadata.versions.into_iter().next())
    }

    /// The answer to one request with these inputs.
    pub(crate) async fn infer(&self, model: &str, inputs: &[impl Serialize]) -> Result<Value, Failure> {
        let url = self.path(&["v2", "models", model, "infer"]);
        let request = self.client.post(url.clone()).json(&json!({ "inputs": inputs }));
        read(&url, request.send().await.map_err(|error| unreachable(&error))?).await
    }

    fn path(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        // a name may hold what a URL must escape
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

async fn read<T: for<'a> Deserialize<'a>>(url: &Url, answer: reqwest::Response) -> Result<T, Failure> {
    let status = answer.status();
    let text = answer.text().await.map_err(|error| unreachable(&error))?;
    if !status.is_success() {
        return Err(Failure::Service(format!("the model server answers {status} at {url}: {}", reason(&text))));
    }
    serde_json::from_str(&text)
        .map_err(|error| Failure::Service(format!("{url} does not answer as a model server does: {error}")))
}

/// What a refusal says: `{"error": "…"}`, or whatever text another server sends.
fn reason(text: &str) -> String {
    let object: Option<Value> = serde_json::from_str(text).ok();
    let message = object.as_ref().and_then(|object| object.get("error")?.as_str());
    message.unwrap_or(text).chars().take(300).collect()
}

fn unreachable(error: &reqwest::Error) -> Failure {
    Failure::Service(format!("the model server does not answer: {}", slipway_causes::chain(error)))
}
