//! The model registry: names, versions, tags.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::values::{read_int64, read_pairs, read_text};
use crate::{Client, Error, Result, Tag};

/// A version of a registered model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ModelVersion {
    /// The registered model's name.
    pub name: String,
    /// Its number, as text: `"3"`.
    pub version: String,
    /// What it was made of, such as `models:/<model_id>`.
    #[serde(default)]
    pub source: String,
    /// The run that made it.
    #[serde(default, deserialize_with = "read_text")]
    pub run_id: Option<String>,
    /// The logged model that it is.
    #[serde(default, deserialize_with = "read_text")]
    pub model_id: Option<String>,
    /// `READY`, `PENDING_REGISTRATION` or `FAILED_REGISTRATION`.
    #[serde(default)]
    pub status: String,
    /// Milliseconds since 1970.
    #[serde(default, deserialize_with = "read_int64")]
    pub creation_timestamp: i64,
    /// Its tags.
    #[serde(default, deserialize_with = "read_pairs")]
    pub tags: BTreeMap<String, String>,
    /// Names that point at it.
    #[serde(default)]
    pub aliases: Vec<String>,
}

impl ModelVersion {
    /// Its number; 0 if `version` is not a number, which MLflow never sends.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.version.parse().unwrap_or_default()
    }

    /// A tag's value; empty if it does not have this tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> &str {
        self.tags.get(key).map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
struct Answer {
    model_version: ModelVersion,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    model_versions: Vec<ModelVersion>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Download {
    #[serde(default)]
    artifact_uri: String,
}

impl Client {
    /// Creates the registered model with this name if it does not exist. Safe to call concurrently.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn get_or_create_registered_model(&self, name: &str) -> Result<()> {
        match self.get::<Value>("registered-models/get", &[("name", name)]).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        match self.create::<Value>("registered-models/create", &json!({ "name": name })).await {
            Err(error) if !error.has_code("RESOURCE_ALREADY_EXISTS") => Err(error),
            _ => Ok(()),
        }
    }

    /// Creates the next version of a registered model from a logged model that is ready; `source` is `models:/<model_id>`.
    /// If MLflow fails after it created the version, that version is found and returned, and no second one is created.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn create_model_version(
        &self,
        name: &str,
        source: &str,
        run_id: &str,
        model_id: &str,
        tags: &[Tag],
    ) -> Result<ModelVersion> {
        let body = json!({ "name": name, "source": source, "run_id": run_id, "model_id": model_id, "tags": tags });
        let failure = match self.create::<Answer>("model-versions/create", &body).await {
            Ok(answer) => return Ok(answer.model_version),
            Err(error) if error.is_unavailable() => error,
            Err(error) => return Err(error),
        };
        let made = self.search_model_versions(name).await.unwrap_or_default();
        made.into_iter()
            .find(|version| version.source == source || version.model_id.as_deref() == Some(model_id))
            .ok_or(failure)
    }

    /// Sets one tag of a version.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn set_model_version_tag(&self, name: &str, version: &str, key: &str, value: &str) -> Result<()> {
        let body = json!({ "name": name, "version": version, "key": key, "value": value });
        self.set::<Value>(Method::POST, "model-versions/set-tag", &body).await?;
        Ok(())
    }

    /// One version.
    ///
    /// # Errors
    /// [`Error::is_not_found`] is true if there is no such version; otherwise MLflow failed.
    pub async fn get_model_version(&self, name: &str, version: &str) -> Result<ModelVersion> {
        Ok(self.get::<Answer>("model-versions/get", &[("name", name), ("version", version)]).await?.model_version)
    }

    /// Every version of a registered model, the newest first; empty if there is no such model.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn search_model_versions(&self, name: &str) -> Result<Vec<ModelVersion>> {
        self.versions(&format!("name = '{}'", name.replace('\'', "''"))).await
    }

    /// Every version of every registered model, the newest first.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn search_all_model_versions(&self) -> Result<Vec<ModelVersion>> {
        self.versions("").await
    }

    /// Every version that was made of this run's models.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn model_versions_of_run(&self, run_id: &str) -> Result<Vec<ModelVersion>> {
        self.versions(&format!("run_id = '{}'", run_id.replace('\'', "''"))).await
    }

    async fn versions(&self, filter: &str) -> Result<Vec<ModelVersion>> {
        let mut versions = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![("filter", filter), ("max_results", "1000")];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: Page = self.get("model-versions/search", &query).await?;
            versions.extend(page.model_versions);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.number()));
        Ok(versions)
    }

    /// The version with the highest number; `None` if the model has no versions.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn latest_model_version(&self, name: &str) -> Result<Option<ModelVersion>> {
        Ok(self.search_model_versions(name).await?.into_iter().next())
    }

    /// The artifact root of a version's files, for [`Client::list_artifacts`] and [`Client::download_artifact`].
    ///
    /// # Errors
    /// When there is no such version, or MLflow fails.
    pub async fn download_uri(&self, name: &str, version: &str) -> Result<String> {
        let found: Download =
            self.get("model-versions/get-download-uri", &[("name", name), ("version", version)]).await?;
        match found.artifact_uri.strip_prefix("models:/") {
            Some(model_id) => Ok(self.get_logged_model(model_id).await?.artifact_uri),
            None if found.artifact_uri.is_empty() => Err(Error::Invalid {
                what: format!("version {version} of `{name}`"),
                reason: "it has no files".to_owned(),
            }),
            None => Ok(found.artifact_uri),
        }
    }
}
