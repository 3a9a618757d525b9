//! `slipway up`: the loop on this machine. `slipway down`: its end.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use slipway_embedded::{Configuration, Programs, State, StateFolder, Supervisor, begin};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::Context;
use crate::failure::Failure;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slipway up              # until Ctrl-C\n  slipway up --detach     # until `slipway down`"
)]
pub(crate) struct Up {
    /// Come back as soon as everything answers; `slipway down` ends it
    #[arg(short, long)]
    detach: bool,
    /// The page's port [default: any free one]
    #[arg(long)]
    page_port: Option<u16>,
    /// Where the state is kept [default: .slipway in the repository]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  slipway down")]
pub(crate) struct Down {
    /// Where the state is kept [default: .slipway in the repository]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// How long everything may take to answer.
const READY: Duration = Duration::from_secs(180);
/// How long everything may take to end.
const GONE: Duration = Duration::from_secs(30);

/// What the loop is started with.
pub(crate) fn configuration(
    context: &Context,
    state: PathBuf,
    page_port: Option<u16>,
    observer: slipway_embedded::Observer,
) -> Result<Configuration, Failure> {
    let executable = std::env::current_exe().map_err(|error| Failure::Unexpected(format!("own program: {error}")))?;
    Ok(Configuration {
        repository: context.root.clone(),
        state,
        afresh: false,
        programs: Programs::find(&executable, &context.root),
        supervisor: Supervisor(vec![executable.into(), crate::SUPERVISE.into()]),
        page_port,
        cpu_millis: None,
        observer,
    })
}

/// Prints a phase with its time.
pub(crate) fn telling(context: &Context) -> slipway_embedded::Observer {
    let context = context.clone();
    Arc::new(move |phase, took| context.say(phase_line(phase, took)))
}

/// `  mlflow     8.1 s`
pub(crate) fn phase_line(phase: &str, took: Duration) -> String {
    format!("  {phase:<10} {:5.1} s", took.as_secs_f64())
}

/// Returns when a person wants the end: Ctrl-C, or SIGTERM.
pub(crate) async fn asked_to_end() -> Result<(), Failure> {
    let failed = |error| Failure::Unexpected(format!("signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

impl Up {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let state = folder(context, self.state.as_ref());
        if self.detach {
            return self.detached(context, &state).await;
        }
        let end = asked_to_end();
        context.say("starting");
        let configuration = configuration(context, state, self.page_port, telling(context))?;
        let starting = async { Ok::<_, Failure>(begin(configuration).await?.ready().await?) };
        tokio::pin!(end);
        let mut running = tokio::select! {
            running = starting => running?,
            asked = &mut end => return asked,
        };
        show(context, running.addresses())?;
        context.say("Ctrl-C, or `slipway down`, ends it");
        let result = tokio::select! {
            error = running.failure() => Err(error.into()),
            asked = &mut end => { context.say("ending"); asked }
        };
        running.shutdown().await?;
        result
    }

    /// Starts itself again without `--detach`, and waits until that one is ready.
    async fn detached(&self, context: &Context, state: &PathBuf) -> Result<(), Failure> {
        if let Some(running) = State::read(state)? {
            context.say(format!("runs already (process {})", running.pid));
            return show(context, &running);
        }
        let failed = |error| Failure::Unexpected(format!("starting in the background: {error}"));
        std::fs::create_dir_all(context.root.join(".slipway")).map_err(failed)?;
        let log_path = std::env::temp_dir().join(format!("slipway-up-{}.log", std::process::id()));
        let log = File::create(&log_path).map_err(failed)?;
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.arg("--repo").arg(&context.root).arg("up").arg("--state").arg(state);
        if let Some(port) = self.page_port {
            command.arg("--page-port").arg(port.to_string());
        }
        let errors = log.try_clone().map_err(failed)?;
        let mut child =
            command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0).spawn().map_err(failed)?;
        let begun = Instant::now();
        loop {
            if let Some(running) = State::read(state)?.filter(|running| running.pid == child.id()) {
                let _ = std::fs::remove_file(&log_path);
                return show(context, &running);
            }
            if let Some(status) = child.try_wait().map_err(failed)? {
                let said = std::fs::read_to_string(&log_path).unwrap_or_default();
                let _ = std::fs::remove_file(&log_path);
                let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
                context.say(said.trim_end());
                return Err(Failure::Said(code));
            }
            if begun.elapsed() > READY {
                let _ = child.kill();
                return Err(Failure::Service(format!(
                    "not ready after {} s; see {}",
                    READY.as_secs(),
                    log_path.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Down {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), Failure> {
        let found = match &self.state {
            Some(folder) => State::read(folder)?.map(|state| (folder.clone(), state)),
            None => State::of_repository(&context.root)?,
        };
        let Some((folder, state)) = found else {
            context.say("no loop runs here");
            return Ok(());
        };
        // The lock on its folder is held, so this is the process that wrote it.
        let pid = i32::try_from(state.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .map_err(|error| Failure::Environment(format!("process {}: {error}", state.pid)))?;
        }
        let begun = Instant::now();
        while StateFolder::is_held(&folder)? {
            if begun.elapsed() > GONE {
                return Err(Failure::Unexpected(format!(
                    "process {} has not ended after {} s: end it with `kill -9 {}`, its children end with it",
                    state.pid,
                    GONE.as_secs(),
                    state.pid
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        context.say(format!("ended (process {})", state.pid));
        Ok(())
    }
}

fn folder(context: &Context, given: Option<&PathBuf>) -> PathBuf {
    let folder = given.cloned().unwrap_or_else(|| context.root.join(".slipway"));
    std::path::absolute(&folder).unwrap_or(folder)
}

fn show(context: &Context, state: &State) -> Result<(), Failure> {
    context.say(addresses(state));
    context.json(state)
}

/// Where a person goes next.
pub(crate) fn addresses(state: &State) -> String {
    format!(
        "page    {}\nMLflow  {}\nserver  {}\nS3      {}\nforge   {}",
        state.page,
        state.mlflow,
        state.server,
        state.s3,
        state.forge.display()
    )
}
