//! A supervised child process with its log.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::test_kill_process_group;
use slipway_processes::{Pid, Signal, signal_group};
use tokio::process::ChildStdin;

use crate::supervise::GRACE;
use crate::{Error, Result, log};

/// The command that runs [`crate::supervise`] on the arguments after it.
#[derive(Clone, Debug)]
pub struct Supervisor(pub Vec<OsString>);

/// What to run.
pub(crate) struct Launch<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    /// The whole environment, but for what every program needs to work on this machine.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) folder: &'a Path,
    pub(crate) log: PathBuf,
}

/// A running child. When dropped, its supervisor ends it.
#[derive(Debug)]
pub(crate) struct Child {
    supervisor: tokio::process::Child,
    /// Held open; the supervisor ends the program when it is closed.
    alive: Option<ChildStdin>,
    group: Option<Pid>,
    pub(crate) log: PathBuf,
}

/// What a program gets from this process's environment; the rendered manifest and the runtime provide the rest.
const KEPT: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ"];

impl Child {
    pub(crate) fn spawn(supervisor: &Supervisor, launch: Launch<'_>) -> Result<Self> {
        let log = File::create(&launch.log).map_err(Error::file("writing", &launch.log))?;
        let errors = log.try_clone().map_err(Error::file("writing", &launch.log))?;
        let spawn_error = |source| Error::Spawn {
            name: launch.name.to_owned(),
            program: launch.program.display().to_string(),
            source,
        };
        let Some((program, arguments)) = supervisor.0.split_first() else {
            return Err(spawn_error(std::io::Error::other("no supervisor is configured")));
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .arg(launch.program)
            .args(&launch.arguments)
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| std::env::var_os(name).map(|value| (name, value))))
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(launch.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(spawn_error)?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let alive = child.stdin.take();
        Ok(Self { supervisor: child, alive, group, log: launch.log })
    }

    /// Waits for the end; nothing of its process group is left then. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> Exit {
        let status = self.supervisor.wait().await;
        if let Some(group) = self.group.take() {
            signal_group(group, Signal::KILL);
            gone(group).await;
        }
        Exit(status.ok())
    }

    /// Ends it and waits until it is gone.
    pub(crate) async fn stop(mut self) {
        self.alive = None;
        // The supervisor has its own time limit; after that it must be stuck itself.
        if tokio::time::timeout(GRACE * 2, self.wait()).await.is_err() {
            if let Some(group) = self.group {
                signal_group(group, Signal::KILL);
            }
            self.wait().await;
        }
    }

    /// The error that says how it ended although it should have run on.
    pub(crate) async fn ended(&self, name: &'static str, exit: Exit) -> Error {
        Error::Ended { name, how: exit.to_string(), log: self.log.clone(), tail: log::tail(&self.log, 15).await }
    }
}

/// Returns when no process of a killed group is left, or after the grace period: where nobody reaps orphans, dead ones stay in the group.
async fn gone(group: Pid) {
    let killed = Instant::now();
    while test_kill_process_group(group).is_ok() && killed.elapsed() < GRACE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// How a child ended; `None` if that could not be found out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exit(Option<ExitStatus>);

impl Exit {
    /// The exit code; `None` if a signal ended the supervisor.
    pub(crate) fn code(self) -> Option<i32> {
        self.0?.code()
    }

    pub(crate) fn success(self) -> bool {
        self.0.is_some_and(|status| status.success())
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.map(|status| (status.code(), status)) {
            // As shells do: the supervisor reports signal n as 128 + n.
            Some((Some(code @ 129..=192), _)) => write!(formatter, "killed by signal {}", code - 128),
            Some((Some(code), _)) => write!(formatter, "exit code {code}"),
            Some((None, status)) => write!(formatter, "{status}"),
            None => write!(formatter, "its exit status is unknown"),
        }
    }
}
