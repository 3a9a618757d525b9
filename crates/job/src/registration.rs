//! From a trained model to a registered version.

use std::path::Path;

use futures::future::try_join_all;
use slipway_mlflow::{Client, Error, LoggedModel, LoggedModelStatus, ModelVersion, Param, Run, Tag};

use crate::attempts::until_answered;

/// What to register.
#[derive(Debug)]
pub struct Registration<'a> {
    /// The registered model's name.
    pub model: &'a str,
    /// The TrainJob's name.
    pub job: &'a str,
    /// The run that trained it.
    pub run: &'a Run,
    /// The trial's parameters.
    pub params: &'a [Param],
    /// Tags of the version. They are set when it is created, so that no version is ever without them.
    pub tags: &'a [Tag],
}

/// Uploads these files of a folder as a logged model of the run. If the upload fails, the logged model is marked as failed.
///
/// # Errors
/// When a file cannot be read, or MLflow refuses or fails.
pub async fn upload(
    client: &Client,
    registration: &Registration<'_>,
    folder: &Path,
    files: &[&str],
) -> Result<LoggedModel, Error> {
    let Registration { model, run, params, tags, .. } = registration;
    // one that was created and whose id never arrived stays empty, and nothing refers to it
    let create = |_| client.create_logged_model(&run.experiment_id, model, &run.run_id, params, tags);
    let logged = until_answered(create).await?;
    let uploaded = async {
        add_files(client, &logged, folder, files).await?;
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

/// Adds these files of a folder to a logged model, all at once: each is a request that MLflow passes on to the store.
///
/// # Errors
/// When a file cannot be read, or MLflow refuses or fails.
pub async fn add_files(client: &Client, logged: &LoggedModel, folder: &Path, files: &[&str]) -> Result<(), Error> {
    let add = |file: &&str| {
        let (file, path) = (file.to_string(), folder.join(file));
        async move {
            let read = tokio::fs::read(&path).await;
            let bytes = read.map_err(|error| Error::File { path, reason: error.to_string() })?;
            client.upload_logged_model_artifact(logged, &file, bytes).await
        }
    };
    try_join_all(files.iter().map(add)).await.map(drop)
}

/// Creates a version from a completely uploaded logged model, unless this TrainJob has one.
///
/// # Errors
/// When MLflow refuses or fails.
pub async fn publish(
    client: &Client,
    registration: &Registration<'_>,
    logged: &LoggedModel,
) -> Result<ModelVersion, Error> {
    let Registration { model, job, run, tags, .. } = registration;
    let source = format!("models:/{}", logged.model_id);
    until_answered(|_| async {
        let (_, version) =
            tokio::try_join!(client.get_or_create_registered_model(model), client.version_of_job(model, job))?;
        if let Some(version) = version {
            return Ok(version);
        }
        client.create_model_version(model, &source, &run.run_id, &logged.model_id, tags).await
    })
    .await
}
