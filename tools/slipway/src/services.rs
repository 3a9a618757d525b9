//! Where MLflow and the dataset store are: as the environment says, else those of the loop that runs here.

use slipway_dataset::Store;
use slipway_embedded::{Credentials, State};
use slipway_mlflow::Client;

use crate::context::Context;
use crate::failure::Failure;

/// MLflow's client.
pub(crate) fn mlflow(context: &Context) -> Result<Client, Failure> {
    if given("MLFLOW_TRACKING_URI") {
        return Ok(Client::from_env()?);
    }
    match State::of_repository(&context.root)? {
        Some((_, state)) => Ok(Client::new(&state.mlflow)?),
        None => Err(Failure::Service(no_loop("MLflow", "MLFLOW_TRACKING_URI"))),
    }
}

/// The dataset store's client.
pub(crate) fn datasets(context: &Context) -> Result<Store, Failure> {
    if given("AWS_ENDPOINT_URL_S3") || given("AWS_ENDPOINT_URL") || given("AWS_ACCESS_KEY_ID") {
        return Ok(Store::from_env()?);
    }
    match State::of_repository(&context.root)? {
        Some((folder, state)) => embedded_datasets(&state.s3, &Credentials::read(&folder)?),
        None => Err(Failure::Service(no_loop(
            "the dataset store",
            "AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ))),
    }
}

/// The embedded loop's store.
pub(crate) fn embedded_datasets(s3: &str, credentials: &Credentials) -> Result<Store, Failure> {
    let credentials = slipway_dataset::Credentials {
        access_key: credentials.access_key.clone(),
        secret_key: credentials.secret_key.clone(),
        session_token: None,
    };
    Ok(Store::new(s3, "datasets", credentials, "us-east-1")?)
}

fn given(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn no_loop(what: &str, variables: &str) -> String {
    format!("no loop runs here, so there is no {what}: start one with `slipway up`, or set {variables}")
}
