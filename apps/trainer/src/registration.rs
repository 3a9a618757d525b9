//! From a trained model to a registered version.

use std::path::Path;

use slipway_mlflow::{Client, Error, LoggedModel, LoggedModelStatus, ModelVersion, Param, Run, Tag};
use slipway_model::FILES;

use crate::attempts::{registered_before, until_answered};

/// What to register.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    /// The registered model's name.
    pub(crate) model: &'a str,
    /// The TrainJob's name.
    pub(crate) job: &'a str,
    /// The run that trained it.
    pub(crate) run: &'a Run,
    /// Folder of the saved bundle.
    pub(crate) bundle: &'a Path,
    /// The trial's parameters.
    pub(crate) params: &'a [Param],
    /// Tags of the version. They are set when it is created, so that no version is ever without them.
    pub(crate) tags: &'a [Tag],
}

/// Uploads the bundle as a logged model of the run. If the upload fails, the logged model is marked as failed.
pub(crate) async fn upload(client: &Client, registration: &Registration<'_>) -> Result<LoggedModel, Error> {
    let Registration { model, run, bundle, params, tags, .. } = registration;
    // one that was created and whose id never arrived stays empty, and nothing refers to it
    let create = |_| client.create_logged_model(&run.experiment_id, model, &run.run_id, params, tags);
    let logged = until_answered(create).await?;
    let uploaded = async {
        for file in FILES {
            let path = bundle.join(file);
            let read = tokio::fs::read(&path).await;
            let bytes = read.map_err(|error| Error::File { path, reason: error.to_string() })?;
            client.upload_logged_model_artifact(&logged, file, bytes).await?;
        }
        client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Ready).await?;
        Ok(())
    };
    if let Err(failure) = uploaded.await {
        let failure: Error = failure;
        if let Err(error) = client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Failed).await {
            tracing::warn!(event = "model_not_marked", model_id = logged.model_id, "{error}");
        }
        return Err(failure);
    }
    Ok(logged)
}

/// Creates a version from a completely uploaded logged model, unless this TrainJob has one.
pub(crate) async fn publish(
    client: &Client,
    registration: &Registration<'_>,
    logged: &LoggedModel,
) -> Result<ModelVersion, Error> {
    let Registration { model, job, run, tags, .. } = registration;
    let source = format!("models:/{}", logged.model_id);
    until_answered(|_| async {
        client.get_or_create_registered_model(model).await?;
        if let Some(version) = registered_before(client, model, job).await? {
            return Ok(version);
        }
        client.create_model_version(model, &source, &run.run_id, &logged.model_id, tags).await
    })
    .await
}
