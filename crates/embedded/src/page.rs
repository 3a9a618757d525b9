//! The Streamlit page.

use std::path::Path;

use slipway_names::env;

use crate::child::{Child, Launch};
use crate::port::Port;
use crate::{Programs, Result, Supervisor, health};

/// Starts the page; it does not answer yet.
pub(crate) fn start(
    supervisor: &Supervisor,
    programs: &Programs,
    state: &Path,
    mlflow: &str,
    server: &str,
    port: Port,
) -> Result<Child> {
    let number = port.release().to_string();
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
        (env::MLFLOW_TRACKING_URI, mlflow),
        (env::SERVER_URL, server),
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

/// Returns once it answers.
pub(crate) async fn ready(child: &mut Child, url: &str) -> Result<()> {
    health::answers("the page", child, &format!("{url}/_stcore/health")).await
}
