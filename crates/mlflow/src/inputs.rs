//! The datasets that a run was trained on, as MLflow's dataset inputs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Client, Error, Result};

/// How many characters of a dataset's digest MLflow keeps (its column's width).
pub const DATASET_DIGEST_LENGTH: usize = 36;

/// A dataset that a run used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetInput {
    /// Its name.
    pub name: String,
    /// At most [`DATASET_DIGEST_LENGTH`] characters; see [`short_digest`].
    pub digest: String,
    /// Kind of source, such as `s3`.
    pub source_type: String,
    /// The source itself, by convention JSON, such as `{"uri": "s3://datasets/manifests/sha256/…"}`.
    pub source: String,
    /// The schema of its columns, as JSON in MLflow's form, if any.
    pub schema: Option<String>,
    /// Statistics such as counts, as JSON, if any.
    pub profile: Option<String>,
    /// What it was used for: `training`, `validation`, …, if known.
    pub context: Option<String>,
}

/// The part of `sha256:<64 hex>` that MLflow has room for: the first 36 hexadecimal digits.
#[must_use]
pub fn short_digest(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..DATASET_DIGEST_LENGTH).unwrap_or(hex)
}

impl Client {
    /// Logs which datasets a run uses. Safe to repeat.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a digest is too long; when MLflow refuses or fails.
    pub async fn log_inputs(&self, run_id: &str, datasets: &[DatasetInput]) -> Result<()> {
        let mut inputs = Vec::new();
        for input in datasets {
            if input.digest.chars().count() > DATASET_DIGEST_LENGTH {
                return Err(Error::Invalid {
                    what: format!("the digest `{}` of the dataset `{}`", input.digest, input.name),
                    reason: format!(
                        "at most {DATASET_DIGEST_LENGTH} characters fit: shorten it, and keep the whole one in `source` or a tag"
                    ),
                });
            }
            let mut dataset = json!({
                "name": input.name, "digest": input.digest, "source_type": input.source_type, "source": input.source,
            });
            for (key, value) in [("schema", &input.schema), ("profile", &input.profile)] {
                if let Some(value) = value {
                    dataset[key] = Value::String(value.clone());
                }
            }
            let tags: Vec<_> =
                input.context.iter().map(|context| json!({ "key": "mlflow.data.context", "value": context })).collect();
            inputs.push(json!({ "dataset": dataset, "tags": tags }));
        }
        self.set::<Value>(Method::POST, "runs/log-inputs", &json!({ "run_id": run_id, "datasets": inputs })).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_cut_to_what_fits() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        assert_eq!(short_digest(&digest), "0123456789abcdef0123456789abcdef0123");
        assert_eq!(short_digest("sha256:12"), "12");
    }
}
