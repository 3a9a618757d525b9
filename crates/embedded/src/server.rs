//! The model server.

use std::path::Path;
use std::time::Instant;

use serde::Deserialize;
use slipway_names::env;

use crate::child::{Child, Launch};
use crate::{Programs, Result, Supervisor, health};

#[derive(Deserialize)]
struct Listening {
    internal: String,
}

/// Starts the server and returns it with its address once it listens. Everybody on this machine is inside, so there is only the address
/// where every registered version answers.
pub(crate) async fn start(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    mlflow: &str,
) -> Result<(Child, String)> {
    let models = state.join("server/models.yaml").display().to_string();
    let cache = state.join("cache/server").display().to_string();
    let environment = [
        (env::LISTEN_INTERNAL, "127.0.0.1:0"),
        (env::MODELS, &models),
        (env::MLFLOW_TRACKING_URI, mlflow),
        (env::CACHE, &cache),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
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
    let started = Instant::now();
    loop {
        let reason = match tokio::fs::read_to_string(&child.log).await.map(|log| address_in(&log)) {
            Ok(Some(address)) => return Ok((child, format!("http://{address}"))),
            Ok(None) => "its log has no address yet".to_owned(),
            Err(error) => format!("its log cannot be read: {error}"),
        };
        health::pause("the model server", &mut child, started, reason).await?;
    }
}

/// The address in the line `{"internal":"127.0.0.1:PORT"}` of the log, once that line is complete.
fn address_in(log: &str) -> Option<String> {
    let complete = log.rsplit_once('\n')?.0;
    complete.lines().find_map(|line| serde_json::from_str::<Listening>(line).ok()).map(|line| line.internal)
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_address_is_read_once_its_line_is_complete() {
        assert_eq!(address_in("{\"level\":\"INFO\"}\n{\"internal\":\"127.0.0.1:1"), None);
        let complete = "{\"level\":\"INFO\"}\n{\"internal\":\"127.0.0.1:12\"}\n";
        assert_eq!(address_in(complete).as_deref(), Some("127.0.0.1:12"));
    }
}
