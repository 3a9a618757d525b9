//! `slipway up` runs the loop on this machine; `slipway down` stops it.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use slipway_embedded::{State, StateFolder, begin};

use crate::context::Context;
use crate::failure::Failure;
use crate::local_loop::{addresses, configuration, executable, interrupted, parse_port, phase_line};
use crate::reports::follow;

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  slipway up\n  slipway up --detach && slipway down")]
pub(crate) struct Up {
    /// Return as soon as everything answers; `slipway down` stops the loop
    #[arg(short, long)]
    detach: bool,
    /// The page's port [default: any free one]
    #[arg(long, value_parser = parse_port)]
    page_port: Option<u16>,
    /// Where the state is kept [default: .slipway in the project]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  slipway down")]
pub(crate) struct Down {
    /// Where the state is kept [default: .slipway in the project]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// How long everything may take to answer.
const START: Duration = Duration::from_secs(180);
/// How long everything may take to stop.
const END: Duration = Duration::from_secs(30);
/// The pause between two checks of the other process.
const PAUSE: Duration = Duration::from_millis(50);

/// Prints each phase with its duration.
fn print_phases(context: &Context) -> slipway_embedded::Observer {
    let context = context.clone();
    Arc::new(move |phase, took| context.progress(phase_line(phase, took)))
}

impl Up {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let state = absolute(&self.state.clone().unwrap_or_else(|| context.root.join(".slipway")))?;
        if self.detach {
            return self.detached(context, &state).await;
        }
        let interrupted = interrupted();
        context.progress("starting");
        let configuration = configuration(context, state, self.page_port, print_phases(context))?;
        let starting = async { Ok::<_, Failure>(begin(configuration).await?.ready().await?) };
        tokio::pin!(interrupted);
        let mut running = tokio::select! {
            running = starting => running?,
            result = &mut interrupted => return result,
        };
        show(context, running.addresses())?;
        context.progress("press Ctrl-C or run `slipway down` to stop it");
        let state = running.addresses().clone();
        let result = tokio::select! {
            error = running.failure() => Err(error.into()),
            never = follow(context, &state) => match never {},
            result = &mut interrupted => { context.progress("shutting down"); result }
        };
        let ended = running.shutdown().await;
        // An error while shutting down is reported only if nothing failed before.
        result.and(ended.map_err(Failure::from))
    }

    /// Starts another process that runs the loop, and waits until everything answers.
    async fn detached(&self, context: &Context, state: &Path) -> Result<(), Failure> {
        if let Some(running) = State::read(state)? {
            context.say(format!("already running (process {})", running.pid));
            return show(context, &running);
        }
        let failed = |error| Failure::Unexpected(format!("starting in the background: {error}"));
        // Removed at the end, unless it is worth reading.
        let log = tempfile::Builder::new().prefix("slipway-up-").suffix(".log").tempfile().map_err(failed)?;
        let mut command = Command::new(executable()?);
        command.arg("--repo").arg(&context.root).arg("up").arg("--state").arg(state);
        if let Some(port) = self.page_port {
            command.arg("--page-port").arg(port.to_string());
        }
        let output = |file: &File| file.try_clone().map_err(failed);
        command.stdin(Stdio::null()).stdout(output(log.as_file())?).stderr(output(log.as_file())?).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let kill = |mut child: Child| child.kill().and_then(|()| child.wait()).map_err(failed);
        match until_ready(&mut child, state).await {
            Err(failure) => {
                kill(child)?;
                Err(failure)
            }
            Ok(Detached::Ready(running)) => show(context, &running),
            Ok(Detached::Ended(code)) => {
                let text = std::fs::read_to_string(log.path()).map_err(failed)?;
                context.say(text.trim_end());
                let reason = text.rsplit_once("error: ").map_or(text.as_str(), |(_, reason)| reason);
                context.json(&json!({ "error": reason.trim_end(), "findings": [] }))?;
                Err(Failure::Reported(code))
            }
            Ok(Detached::Late) => {
                kill(child)?;
                let (_, path) = log.keep().map_err(|error| failed(error.error))?;
                Err(Failure::Service(format!(
                    "the loop was not ready after {} s and was stopped; see {}",
                    START.as_secs(),
                    path.display()
                )))
            }
        }
    }
}

/// How the start of a loop in another process went.
enum Detached {
    /// Everything answers.
    Ready(State),
    /// The process ended with this exit code.
    Ended(u8),
    /// It was not ready within the time limit.
    Late,
}

async fn until_ready(child: &mut Child, state: &Path) -> Result<Detached, Failure> {
    let started = Instant::now();
    loop {
        if let Some(running) = State::read(state)?.filter(|running| running.pid == child.id()) {
            return Ok(Detached::Ready(running));
        }
        let ended = child.try_wait();
        if let Some(status) = ended.map_err(|error| Failure::Unexpected(format!("waiting for the loop: {error}")))? {
            return Ok(Detached::Ended(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
        }
        if started.elapsed() > START {
            return Ok(Detached::Late);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Down {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let folders = match &self.state {
            Some(folder) => vec![absolute(folder)?],
            None => StateFolder::of_repository(&context.root).to_vec(),
        };
        for folder in folders {
            if let Some(pid) = StateFolder::terminate_holder(&folder)? {
                until_gone(&folder, pid).await?;
                context.say(format!("stopped (process {pid})"));
                return context.json(&json!({ "stopped": pid }));
            }
        }
        context.say("no loop is running here");
        context.json(&json!({ "stopped": null }))
    }
}

/// Waits until the process no longer holds the folder.
async fn until_gone(folder: &Path, pid: u32) -> Result<(), Failure> {
    let started = Instant::now();
    while StateFolder::holder(folder)?.is_some_and(|holder| holder.pid == Some(pid)) {
        if started.elapsed() > END {
            return Err(Failure::Unexpected(format!(
                "process {pid} has not stopped after {} s: kill it with `kill -9 {pid}`; its children end with it",
                END.as_secs()
            )));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

fn absolute(folder: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(folder).map_err(|error| Failure::Input(format!("--state {}: {error}", folder.display())))
}

fn show(context: &Context, state: &State) -> Result<(), Failure> {
    context.say(addresses(state));
    context.json(state)
}
