//! What the reports on pull requests are made from here.

mod following;

use std::collections::BTreeMap;
use std::sync::Arc;

use slipway_cluster::{Cluster, trainings};
use slipway_deployment::Kustomize;
use slipway_embedded::State;
use slipway_forge::{Opened, PullRequestState};
use slipway_git::Repository;
use slipway_outcome::{Here, Report, Scope, Sources};
use slipway_proposal::Remote;

pub(crate) use following::follow;

use crate::failure::Failure;
use crate::services;

/// The environment of the loop on this machine, and the namespace of its TrainJobs.
const LOCAL: &str = "local";
const TRAINING: &str = "training";

/// What reports are made from; `running` is the loop that runs here.
pub(crate) fn sources<'a>(
    git: &'a Repository,
    kustomize: Option<&'a Kustomize>,
    running: Option<&State>,
) -> Sources<'a> {
    let mlflow = services::mlflow(running).map_err(|failure| failure.to_string());
    Sources { git, kustomize, mlflow, everything: None, objections: None }
}

/// The report on a pull request. After the merge it is about `environment`; about that of the loop that runs here, as its training manager
/// writes it, if none is given and this is where its pull requests are.
pub(crate) async fn report(
    sources: &Sources<'_>,
    running: Option<&State>,
    environment: Option<&str>,
    (remote, opened, newest): (&Remote, &Opened, &[Opened]),
) -> Result<Report, Failure> {
    let is_merged = opened.state == PullRequestState::Merged;
    let state =
        running.filter(|state| is_merged && remote.is_at(&state.forge) && environment.unwrap_or(LOCAL) == LOCAL);
    let here = match state {
        Some(state) => Some(here(state).await?),
        None => None,
    };
    let scope = here.as_ref().map_or_else(|| environment.map_or(Scope::All, Scope::One), Scope::Here);
    Ok(sources.report(remote, opened, newest, scope).await?)
}

/// What the training manager of a loop on this machine knows.
async fn here(state: &State) -> Result<Here, Failure> {
    let cluster = Cluster::of_kubeconfig(&state.kubeconfig, None).await?;
    let found = trainings(&cluster, TRAINING).await?.into_iter();
    let trainings: BTreeMap<_, _> = found.map(|(name, training)| (name, Arc::new(training))).collect();
    Ok(Here { environment: LOCAL.to_owned(), trainings, pages: state.mlflow.clone() })
}
