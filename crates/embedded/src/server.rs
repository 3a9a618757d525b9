//! The model server.

use std::path::Path;

use slipway_names::env;

use crate::child::{Child, Launch};
use crate::{Programs, Result, Supervisor, listening};

/// Starts the server and returns it with its address once it listens. Everybody on this machine is inside, so there is only the address
/// where every registered version answers, and feedback on answers is taken. `store`: the variables by which it finds the S3 endpoint.
pub(crate) async fn start(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    mlflow: &str,
    store: Vec<(String, String)>,
) -> Result<(Child, String)> {
    let models = state.join("server/models.yaml").display().to_string();
    let cache = state.join("cache/server").display().to_string();
    let mut environment = store;
    environment.extend(
        [
            (env::LISTEN_INTERNAL, "127.0.0.1:0"),
            (env::MODELS, &models),
            (env::MLFLOW_TRACKING_URI, mlflow),
            (env::CACHE, &cache),
            (env::FEEDBACK, "s3://landing"),
            ("NO_PROXY", "127.0.0.1,localhost"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let log = state.join("logs/server.log");
    let launch = Launch {
        name: "the model server",
        program: &programs.server,
        arguments: vec![],
        environment,
        folder: state,
        log,
    };
    let mut child = Child::spawn(supervisor, launch)?;
    let url = listening::url("the model server", &mut child, "internal").await?;
    Ok((child, url))
}
