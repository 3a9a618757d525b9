//! What the reports on pull requests are made from here.

mod following;

use slipway_deployment::Kustomize;
use slipway_embedded::State;
use slipway_git::Repository;
use slipway_outcome::Sources;

pub(crate) use following::follow;

use crate::services;

/// What reports are made from; `running` is the loop that runs here.
pub(crate) fn sources<'a>(
    git: &'a Repository,
    kustomize: Option<&'a Kustomize>,
    running: Option<&State>,
) -> Sources<'a> {
    let mlflow = services::mlflow(running).map_err(|failure| failure.to_string());
    Sources { git, kustomize, mlflow, everything: None }
}
