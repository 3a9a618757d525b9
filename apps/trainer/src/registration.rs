//! From a trained model to a registered version.

use std::path::Path;

use slipway_mlflow::{Client, LoggedModel, LoggedModelStatus, ModelVersion, Param, Run, Tag};
use slipway_model::FILES;
use slipway_names::tag;

use crate::failure::{Failure, Result};

/// What to register.
#[derive(Debug)]
pub(crate) struct Registration<'a> {
    /// The registered model's name.
    pub(crate) model: &'a str,
    /// The run that trained it.
    pub(crate) run: &'a Run,
    /// Folder of the saved bundle.
    pub(crate) bundle: &'a Path,
    /// The trial's parameters.
    pub(crate) params: &'a [Param],
    /// Tags of the version. They are set when it is created, so that no version is ever without them.
    pub(crate) tags: &'a [Tag],
}

/// The version that an earlier attempt of the same TrainJob registered before it was stopped, if any. A job registers only once.
pub(crate) async fn registered_before(client: &Client, model: &str, job: &str) -> Result<Option<ModelVersion>> {
    let versions = client.search_model_versions(model).await?;
    Ok(versions
        .into_iter()
        .find(|version| version.status == "READY" && version.tags.get(tag::TRAINJOB).is_some_and(|maker| maker == job)))
}

/// Uploads the bundle as a logged model of the run. If the upload fails, the logged model is marked as failed.
pub(crate) async fn upload(client: &Client, registration: &Registration<'_>) -> Result<LoggedModel> {
    let Registration { model, run, bundle, params, tags } = registration;
    let logged = client.create_logged_model(&run.experiment_id, model, &run.run_id, params, tags).await?;
    let uploaded = async {
        for file in FILES {
            let path = bundle.join(file);
            let bytes = tokio::fs::read(&path)
                .await
                .map_err(|error| Failure::Unexpected(format!("cannot read {}: {error}", path.display())))?;
            client.upload_logged_model_artifact(&logged, file, bytes).await?;
        }
        client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Ready).await?;
        Ok(())
    };
    if let Err(failure) = uploaded.await {
        let failure: Failure = failure;
        if let Err(error) = client.finalize_logged_model(&logged.model_id, LoggedModelStatus::Failed).await {
            tracing::warn!(event = "model_not_marked", model_id = logged.model_id, "{error}");
        }
        return Err(failure);
    }
    Ok(logged)
}

/// Creates a version from a completely uploaded logged model.
pub(crate) async fn publish(
    client: &Client,
    registration: &Registration<'_>,
    logged: &LoggedModel,
) -> Result<ModelVersion> {
    let Registration { model, run, tags, .. } = registration;
    client.get_or_create_registered_model(model).await?;
    let source = format!("models:/{}", logged.model_id);
    Ok(client.create_model_version(model, &source, &run.run_id, &logged.model_id, tags).await?)
}
