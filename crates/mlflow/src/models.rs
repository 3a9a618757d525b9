//! Logged models: the files and parameters of a model that a run made, before it is registered.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::values::{read_pairs, read_text};
use crate::{Client, Param, Result, Run, Tag};

/// The status of a logged model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum LoggedModelStatus {
    /// Not specified.
    #[serde(rename = "LOGGED_MODEL_STATUS_UNSPECIFIED")]
    Unspecified,
    /// Its files are being uploaded.
    #[serde(rename = "LOGGED_MODEL_PENDING")]
    Pending,
    /// Its files are complete.
    #[serde(rename = "LOGGED_MODEL_READY")]
    Ready,
    /// Its upload failed.
    #[serde(rename = "LOGGED_MODEL_UPLOAD_FAILED")]
    Failed,
}

impl LoggedModelStatus {
    /// The number in `LoggedModelStatus` of `service.proto`. The server tries to read a number before a name.
    fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::Pending => 1,
            Self::Ready => 2,
            Self::Failed => 3,
        }
    }
}

/// A logged model as MLflow keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LoggedModel {
    /// Its id, such as `m-0123…`; `models:/<model_id>` is the source of a version made of it.
    pub model_id: String,
    /// Its name; need not be unique.
    #[serde(default)]
    pub name: String,
    /// The root of its files, such as `mlflow-artifacts:/1/models/<model_id>/artifacts`.
    pub artifact_uri: String,
    /// Its status.
    pub status: LoggedModelStatus,
    /// The run that made it.
    #[serde(default, deserialize_with = "read_text")]
    pub source_run_id: Option<String>,
    /// Its tags.
    #[serde(default, deserialize_with = "read_pairs")]
    pub tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answer {
    model: Model,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Model {
    info: LoggedModel,
}

impl Client {
    /// Announces a model of a run, in status [`LoggedModelStatus::Pending`]; its files come next, then
    /// [`Client::finalize_logged_model`].
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn create_logged_model(
        &self,
        experiment_id: &str,
        name: &str,
        source_run_id: &str,
        params: &[Param],
        tags: &[Tag],
    ) -> Result<LoggedModel> {
        let body = json!({
            "experiment_id": experiment_id, "name": name, "model_type": "", "source_run_id": source_run_id, "params": params, "tags": tags,
        });
        Ok(self.create::<Answer>("logged-models", &body).await?.model.info)
    }

    /// The model with this id.
    ///
    /// # Errors
    /// When there is no such model, or MLflow fails.
    pub async fn get_logged_model(&self, model_id: &str) -> Result<LoggedModel> {
        Ok(self.get::<Answer>(&format!("logged-models/{model_id}"), &[]).await?.model.info)
    }

    /// The models that a run made, in no order.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn logged_models_of_run(&self, run: &Run) -> Result<Vec<LoggedModel>> {
        let mut models = Vec::new();
        let mut token = String::new();
        loop {
            let filter = format!("source_run_id = '{}'", run.run_id);
            let mut body = json!({ "experiment_ids": [run.experiment_id], "filter": filter, "max_results": 50 });
            if !token.is_empty() {
                body["page_token"] = Value::String(token);
            }
            let page: Page = self.set(Method::POST, "logged-models/search", &body).await?;
            models.extend(page.models.into_iter().map(|model| model.info));
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(models);
            }
        }
    }

    /// Uploads one file of a model; `path` is relative, with `/` between its parts.
    ///
    /// # Errors
    /// When the path leaves the model's folder, or MLflow fails.
    pub async fn upload_logged_model_artifact(
        &self,
        model: &LoggedModel,
        path: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<()> {
        self.upload_artifact(&model.artifact_uri, path, bytes.into()).await
    }

    /// Marks a model's upload as complete ([`LoggedModelStatus::Ready`]) or failed ([`LoggedModelStatus::Failed`]).
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn finalize_logged_model(&self, model_id: &str, status: LoggedModelStatus) -> Result<LoggedModel> {
        let body = json!({ "model_id": model_id, "status": status.number() });
        Ok(self.set::<Answer>(Method::PATCH, &format!("logged-models/{model_id}"), &body).await?.model.info)
    }
}
