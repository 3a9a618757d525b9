//! The registered versions, and which of them the model server answers with.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;
use slipway_mlflow::{Client, ModelVersion};
use slipway_names::tag::{ACCURACY, TRAINJOB, UNSERVABLE};
use slipway_proposal::Error;

use crate::context::Context;
use crate::failure::Failure;
use crate::model_server::ModelServer;

/// A registered version.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Version {
    model: String,
    version: String,
    accuracy: Option<f64>,
    trial: String,
    /// Whether the server answers with it; `None` if the server does not say.
    served: Option<bool>,
    /// Why no server can answer with it; `None` if one can, as far as its tags say.
    #[serde(skip_serializing_if = "Option::is_none")]
    unservable: Option<String>,
}

/// Every version of every model that MLflow has, and whether the server answers with it. A server that cannot be asked is a warning.
pub(crate) async fn versions(
    context: &Context,
    mlflow: &Client,
    server: Option<&str>,
) -> Result<Vec<Version>, Failure> {
    let mut models: BTreeMap<String, Vec<ModelVersion>> = BTreeMap::new();
    for version in mlflow.search_all_model_versions().await? {
        models.entry(version.name.clone()).or_default().push(version);
    }
    let in_service = match server {
        Some(url) => in_service(url, models.keys()).await,
        None => Err(Failure::Service("no route leads to the model server".to_owned())),
    };
    let hint = if server.is_some() { "; a server that has just started may answer in a moment" } else { "" };
    let warn = |failure: Failure| context.warn(format!("what is served is unknown: {failure}{hint}"));
    let in_service = in_service.map_err(warn).ok();
    let versions = models
        .into_iter()
        .flat_map(|(model, versions)| versions.into_iter().map(move |version| (model.clone(), version)));
    Ok(versions
        .map(|(model, version)| Version {
            served: in_service.as_ref().map(|served| served.get(&model) == Some(&version.version)),
            accuracy: version.tag(ACCURACY).parse().ok(),
            trial: version.tag(TRAINJOB).to_owned(),
            unservable: Some(version.tag(UNSERVABLE).to_owned()).filter(|reason| !reason.is_empty()),
            version: version.version,
            model,
        })
        .collect())
}

/// What to say about a model without versions.
pub(crate) async fn unknown_model(mlflow: &Client, model: &str) -> Result<Error, Failure> {
    let mut known: Vec<String> = mlflow.search_all_model_versions().await?.into_iter().map(|one| one.name).collect();
    known.sort();
    known.dedup();
    Ok(Error::UnknownModel { model: model.to_owned(), known })
}

/// The version of each model that the server answers with, if it has one in service.
async fn in_service(url: &str, models: impl Iterator<Item = &String>) -> Result<BTreeMap<String, String>, Failure> {
    let server = ModelServer::at(url)?;
    let mut versions = BTreeMap::new();
    for model in models {
        if let Some(version) = server.version_in_service(model).await? {
            versions.insert(model.clone(), version);
        }
    }
    Ok(versions)
}

/// Prints a table of versions, or nothing if there are none.
pub(crate) fn show_versions(context: &Context, versions: &[Version]) {
    if versions.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["MODEL", "VERSION", "ACCURACY", "TRAINJOB", ""]);
    for version in versions {
        let accuracy = version.accuracy.map(|accuracy| format!("{accuracy:.4}")).unwrap_or_default();
        let served = match version.served {
            _ if version.unservable.is_some() => "cannot be served",
            Some(true) => "served",
            Some(false) => "",
            None => "not known if served",
        };
        table.add_row([&version.model, &version.version, &accuracy, &version.trial, served]);
    }
    context.say(format!("\n{}", table.trim_fmt()));
    for Version { model, version, unservable, .. } in versions {
        if let Some(reason) = unservable {
            context.say(format!("{model} version {version} cannot be served: {reason}"));
        }
    }
}
