//! Where MLflow and the dataset store are: as the environment says, otherwise those of the loop that is running here.

use slipway_dataset::{RetryBudget, Store};
use slipway_embedded::{Credentials, State};
use slipway_mlflow::Client;
use slipway_names::env;

use crate::context::Context;
use crate::failure::Failure;

/// MLflow's client; `running` is the loop that runs here.
pub(crate) fn mlflow(running: Option<&State>) -> Result<Client, Failure> {
    if given(env::MLFLOW_TRACKING_URI) {
        return Ok(Client::from_env()?);
    }
    match running {
        Some(state) => Ok(Client::new(&state.mlflow)?),
        None => Err(Failure::Service(no_loop("MLflow", env::MLFLOW_TRACKING_URI))),
    }
}

/// The dataset store's client.
pub(crate) async fn datasets(context: &Context) -> Result<Store, Failure> {
    // keys and profiles may be meant for something else, so without an address a loop that runs here comes first
    let named = [env::DATASETS, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter().any(given);
    if !named {
        match State::of_repository(&context.root)? {
            Some((folder, state)) => return embedded_datasets(&state.s3, &Credentials::read(&folder)?),
            None if !given("AWS_ACCESS_KEY_ID") && !given("AWS_PROFILE") => {
                let variable = env::DATASETS;
                let help = format!("{variable} to its bucket (docs/configuration.md says how credentials are found)");
                return Err(Failure::Service(no_loop("dataset store", &help)));
            }
            None => {}
        }
    }
    Ok(Store::from_env(RetryBudget::Interactive).await?)
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

/// Whether a variable is set to something.
pub(crate) fn given(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn no_loop(what: &str, variables: &str) -> String {
    format!("no loop is running here, so there is no {what}: start one with `slipway up`, or set {variables}")
}
