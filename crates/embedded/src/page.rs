//! The Streamlit page.

use std::path::Path;

use slipway_names::env;

use crate::child::{Child, Launch};
use crate::port::Port;
use crate::{Error, Programs, Result, Supervisor, health};

/// How often the page is started at most, if another program takes its port each time.
const STARTS: u32 = 3;

/// What the page asks.
pub(crate) struct Services<'a> {
    pub(crate) mlflow: &'a str,
    pub(crate) server: &'a str,
    pub(crate) forge: &'a Path,
    pub(crate) manager: &'a str,
    pub(crate) monitor: &'a str,
    /// The file with the token for the manager.
    pub(crate) manager_token: &'a Path,
}

/// Starts the page and returns it with its address once it answers. Between [`Port::release`] and the moment at which Streamlit listens, another
/// program may take the port; then the page gets another one, unless the port is `given` by a person.
pub(crate) async fn start(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    services: &Services<'_>,
    mut port: Port,
    given: Option<u16>,
) -> Result<(Child, String)> {
    let mut starts = 1;
    loop {
        let url = port.url();
        let number = port.release();
        let mut child = spawn(supervisor, programs, state, services, number)?;
        match health::answers("the page", &mut child, &format!("{url}/_stcore/health")).await {
            Ok(()) => return Ok((child, url)),
            Err(Error::Ended { tail, .. }) if given.is_none() && starts < STARTS && names_taken(&tail, number) => {
                tracing::warn!("another program took port {number}, so the page gets another one");
                port = Port::take(None)?;
                starts += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether Streamlit says that it cannot have its port.
fn names_taken(tail: &str, port: u16) -> bool {
    tail.contains(&format!("Port {port} is not available"))
}

fn spawn(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    services: &Services<'_>,
    port: u16,
) -> Result<Child> {
    let (number, forge) = (port.to_string(), services.forge.display().to_string());
    let token = services.manager_token.display().to_string();
    let app = programs.demo_ui.join("app.py");
    let mut arguments: Vec<std::ffi::OsString> = vec!["-m".into(), "streamlit".into(), "run".into(), app.into()];
    let options = [
        ("--server.port", number.as_str()),
        ("--server.address", "127.0.0.1"),
        ("--server.headless", "true"),
        ("--server.fileWatcherType", "none"),
        ("--browser.gatherUsageStats", "false"),
    ];
    arguments.extend(options.iter().flat_map(|(name, value)| [(*name).into(), (*value).into()]));
    let environment = [
        (env::MLFLOW_TRACKING_URI, services.mlflow),
        (env::SERVER_URL, services.server),
        (env::FORGE, &forge),
        (env::MANAGER_URL, services.manager),
        (env::MONITOR_URL, services.monitor),
        (env::MANAGER_TOKEN_FILE, &token),
        ("NO_PROXY", "127.0.0.1,localhost"),
        ("PYTHONUNBUFFERED", "1"),
        // The page's folder may be read-only, and is a person's work tree.
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let log = state.join("logs/page.log");
    // Streamlit reads .streamlit/config.toml in the folder that it starts in.
    let folder = &programs.demo_ui;
    Child::spawn(
        supervisor,
        Launch { name: "the page", program: &programs.python, arguments, environment, folder, log },
    )
}
