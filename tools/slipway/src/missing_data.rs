//! Datasets that a plan needs and the loop that runs here does not have.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use slipway_embedded::{Credentials, State};
use slipway_project::{Plan, Project};

use crate::context::Context;
use crate::services::embedded_datasets;

/// A store on this machine answers within this time, or is not asked any longer: the jobs ask it themselves.
const LIMIT: Duration = Duration::from_secs(2);

/// Warns of datasets of starting jobs that are not in the loop's store. Says nothing of a store that does not answer.
pub(crate) async fn warn(context: &Context, folder: &Path, state: &State, project: &Project, plan: &Plan) {
    let starting: BTreeSet<&str> = plan
        .changes
        .iter()
        .filter(|change| !change.starts.is_empty())
        .filter_map(|change| project.experiments.iter().find(|source| source.experiment.name == change.experiment))
        .map(|source| source.experiment.spec.dataset.as_str())
        .collect();
    warn_of_missing(context, folder, state, project, &starting).await;
}

/// Warns of those of these datasets that are not in the loop's store. Says nothing of a store that does not answer.
pub(crate) async fn warn_of_missing(
    context: &Context,
    folder: &Path,
    state: &State,
    project: &Project,
    names: &BTreeSet<&str>,
) {
    let Ok(store) =
        Credentials::read(folder).map_err(drop).and_then(|keys| embedded_datasets(&state.s3, &keys).map_err(drop))
    else {
        return;
    };
    for name in names {
        let Some(declared) = project.datasets.get(*name) else { continue };
        let Some(Ok(digest)) = declared.dataset.spec.digest.as_ref().map(|digest| digest.parse()) else { continue };
        if let Ok(Ok(false)) = tokio::time::timeout(LIMIT, store.contains(&digest)).await {
            let command = match &declared.dataset.spec.pipeline {
                Some(_) => format!("slipway dataset build {name}"),
                None => format!("slipway dataset add {}", declared.file),
            };
            context.warn(format!(
                "warning: the data of {name} is not in the store of the loop that runs here: run `{command}` before the merge, or the jobs fail"
            ));
        }
    }
}
