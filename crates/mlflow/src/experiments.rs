//! Experiments: the named groups of runs.

use serde::Deserialize;
use serde_json::json;

use crate::{Client, Error, Result};

#[derive(Deserialize)]
struct Found {
    experiment: Experiment,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    experiments: Vec<Experiment>,
    #[serde(default)]
    next_page_token: String,
}

#[derive(Deserialize)]
struct Experiment {
    experiment_id: String,
    #[serde(default)]
    lifecycle_stage: String,
}

#[derive(Deserialize)]
struct Created {
    experiment_id: String,
}

impl Client {
    /// The id of the experiment with this name, which is created if it does not exist. Safe to call concurrently.
    ///
    /// # Errors
    /// When MLflow refuses or fails, and [`Error::Invalid`] when the experiment was deleted.
    pub async fn get_or_create_experiment(&self, name: &str) -> Result<String> {
        if let Some(id) = self.get_experiment(name).await? {
            return Ok(id);
        }
        match self.create::<Created>("experiments/create", &json!({ "name": name })).await {
            Ok(created) => Ok(created.experiment_id),
            // another client was faster
            Err(error) if error.has_code("RESOURCE_ALREADY_EXISTS") => self.get_experiment(name).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// The ids of all experiments that were not deleted.
    ///
    /// # Errors
    /// When MLflow refuses or fails.
    pub async fn search_experiments(&self) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![("max_results", "1000")];
            if !token.is_empty() {
                query.push(("page_token", &token));
            }
            let page: Page = self.get("experiments/search", &query).await?;
            ids.extend(page.experiments.into_iter().map(|experiment| experiment.experiment_id));
            token = page.next_page_token;
            if token.is_empty() {
                return Ok(ids);
            }
        }
    }

    /// The id of the experiment with this name; `None` if it does not exist.
    ///
    /// # Errors
    /// When MLflow refuses or fails, and [`Error::Invalid`] when the experiment was deleted.
    pub async fn get_experiment(&self, name: &str) -> Result<Option<String>> {
        let found: Found = match self.get("experiments/get-by-name", &[("experiment_name", name)]).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        if found.experiment.lifecycle_stage == "deleted" {
            let id = found.experiment.experiment_id;
            return Err(Error::Invalid {
                what: format!("the experiment `{name}`"),
                reason: format!(
                    "it was deleted; `mlflow experiments restore --experiment-id {id}` brings it back, `mlflow gc` frees its name"
                ),
            });
        }
        Ok(Some(found.experiment.experiment_id))
    }
}
