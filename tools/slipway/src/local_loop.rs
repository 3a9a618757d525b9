//! The loop on this machine, for the commands that start it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use slipway_embedded::{Configuration, Programs, State, Supervisor};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::failure::Failure;

/// What the loop is started with.
pub(crate) fn configuration(
    context: &Context,
    state: PathBuf,
    page_port: Option<u16>,
    observer: slipway_embedded::Observer,
) -> Result<Configuration, Failure> {
    let executable = executable()?;
    Ok(Configuration {
        repository: context.root.clone(),
        state,
        afresh: false,
        programs: Programs::find(&executable, &context.root),
        packages: [executable.as_os_str(), "image".as_ref(), "venv".as_ref()].map(OsString::from).into(),
        supervisor: Supervisor(vec![executable.into(), crate::SUPERVISE.into()]),
        page_port,
        cpu_millis: None,
        observer,
    })
}

/// The number of a port in an argument.
pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse::<u16>().ok().filter(|port| *port > 0);
    port.ok_or_else(|| "a port is a number from 1 to 65535, such as 8501".to_owned())
}

/// The path of this program.
pub(crate) fn executable() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::Unexpected(format!("finding slipway's own path: {error}")))
}

/// `  mlflow     8.1 s`
pub(crate) fn phase_line(phase: &str, took: Duration) -> String {
    format!("  {phase:<10} {:5.1} s", took.as_secs_f64())
}

/// Returns on Ctrl-C or SIGTERM.
pub(crate) async fn interrupted() -> Result<(), Failure> {
    let failed = |error| Failure::Unexpected(format!("listening for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

/// The addresses of a loop, one a line.
pub(crate) fn addresses(state: &State) -> String {
    format!(
        "page    {}\nMLflow  {}\nserver  {}\nmanager {}\nmonitor {}\nS3      {}\nforge   {}\nkubectl KUBECONFIG={}",
        state.page,
        state.mlflow,
        state.server,
        state.manager,
        state.monitor,
        state.s3,
        state.forge.display(),
        state.kubeconfig.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_port_is_told_what_one_is() {
        assert_eq!(parse_port("8501"), Ok(8501));
        for text in ["80x", "", "-1", "0", "65536", "8 501"] {
            assert_eq!(parse_port(text), Err("a port is a number from 1 to 65535, such as 8501".to_owned()), "{text}");
        }
    }
}
