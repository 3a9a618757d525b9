//! The model server.

use std::path::Path;
use std::time::Instant;

use serde::Deserialize;

use crate::child::{Child, Launch};
use crate::{Programs, Result, Supervisor, http};

#[derive(Deserialize)]
struct Listening {
    listening: String,
}

/// Starts the server and returns it with its address once it listens.
pub(crate) async fn start(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    mlflow: &str,
) -> Result<(Child, String)> {
    let models = state.join("server/models.yaml").display().to_string();
    let cache = state.join("cache/server").display().to_string();
    let environment = [
        ("SLIPWAY_LISTEN", "127.0.0.1:0"),
        ("SLIPWAY_MODELS", &models),
        ("MLFLOW_TRACKING_URI", mlflow),
        ("SLIPWAY_CACHE", &cache),
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
        if let Some(address) = listening(&child.log) {
            return Ok((child, format!("http://{address}")));
        }
        http::wait_a_step("the model server", &mut child, started).await?;
    }
}

/// The address in the line `{"listening":"127.0.0.1:PORT"}` of the log, once it is whole.
fn listening(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let whole = text.rsplit_once('\n')?.0;
    whole.lines().find_map(|line| serde_json::from_str::<Listening>(line).ok()).map(|line| line.listening)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_address_is_read_once_its_line_is_whole() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "{\"level\":\"INFO\"}\n{\"listening\":\"127.0.0.1:1").unwrap();
        assert_eq!(super::listening(log.path()), None);
        std::fs::write(log.path(), "{\"level\":\"INFO\"}\n{\"listening\":\"127.0.0.1:12\"}\n").unwrap();
        assert_eq!(super::listening(log.path()).as_deref(), Some("127.0.0.1:12"));
    }
}
