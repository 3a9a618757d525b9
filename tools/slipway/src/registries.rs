//! Which MLflow is whose: each environment has a registry of its own, in which the same number is another version.

use slipway_causes::hide_logins;
use slipway_embedded::State;
use slipway_http::Url;
use slipway_mlflow::Client;
use slipway_names::env;
use slipway_project::Tree;
use slipway_proposal::Error;
use slipway_source::documents;

use crate::context::Context;
use crate::failure::Failure;
use crate::services;

/// The environment of the loop on this machine.
pub(crate) const LOCAL: &str = "local";

/// The client of an environment's MLflow; `running` is the loop that runs here. One that is known to be of another environment is refused.
pub(crate) fn of_environment(context: &Context, environment: &str, running: Option<&State>) -> Result<Client, Failure> {
    let tree = Tree::of_work_tree(&context.root)?;
    let known = tree.folders_in("overlays");
    if environment != LOCAL && !known.iter().any(|name| name == environment) {
        return Err(Error::UnknownEnvironment { name: environment.to_owned(), known }.into());
    }
    let own = address(&tree, environment);
    let variable = env::MLFLOW_TRACKING_URI;
    let set = match &own {
        Some(own) => format!("set {variable} to it ({} by {})", hide_logins(own), settings(environment)),
        None => format!("set {variable} to it"),
    };
    if !services::given(variable) {
        if environment == LOCAL {
            return services::mlflow(running);
        }
        let here = if running.is_some() {
            format!(", and the loop on this machine has that of {LOCAL}")
        } else {
            String::new()
        };
        return Err(Failure::Service(format!("the versions of {environment} are in its own MLflow{here}: {set}")));
    }
    let client = services::mlflow(running)?;
    let given = client.tracking_uri();
    let is_of = |name: &str| address(&tree, name).is_some_and(|address| is_same_host(&address, given));
    if is_of(environment) {
        return Ok(client);
    }
    if let Some(other) = known.iter().find(|name| is_of(name)) {
        return Err(Failure::Input(format!(
            "{variable} is the MLflow of {other}, and the versions of {environment} are in its own: {set}, or name --environment {other}"
        )));
    }
    // a forwarded port has any address, and that of `local` is often one
    if environment != LOCAL {
        context.warn(format!(
            "the version is looked for in {given}, as {variable} says: it must be the MLflow of {environment}"
        ));
    }
    Ok(client)
}

/// The file with the addresses of an environment.
fn settings(environment: &str) -> String {
    format!("clusters/{environment}/settings/settings.yaml")
}

/// The address of an environment's MLflow, by its settings.
fn address(tree: &Tree, environment: &str) -> Option<String> {
    let settings = documents(&tree.text(&settings(environment))?).ok()?;
    settings.first()?.text_at("data.mlflowUrl").map(str::to_owned)
}

fn is_same_host(one: &str, two: &str) -> bool {
    let of = |address: &str| {
        let address = Url::parse(address).ok()?;
        Some((address.host_str()?.to_owned(), address.port_or_known_default()))
    };
    of(one).is_some_and(|one| Some(one) == of(two))
}
