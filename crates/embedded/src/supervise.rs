//! Runs one program and ends its whole process group when the parent is gone.
//!
//! The parent holds the write end of the pipe that is this process's standard input, and never writes. However the parent
//! ends, even by SIGKILL, the system closes that end, and end of file is the signal here. This needs no call that only one system has,
//! and no child is ever without its supervisor: the supervisor starts first. On Linux it also adopts what leaves the process group.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use slipway_processes::{Family, Signal, signal_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};

use crate::{Error, Result};

/// How long a program may take to end after SIGTERM. A worker gives 1 s to a program of one's own and 2 s to its last checkpoint, and then tells MLflow.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Runs the program until it ends or standard input does; then the group gets SIGTERM and, after a grace period, SIGKILL,
/// which ends this process too. This process must lead its own process group. Returns the program's exit code, 128 + n for signal n.
///
/// # Errors
/// When standard input is not a pipe, or the program cannot be started.
pub async fn supervise(command: &[OsString]) -> Result<u8> {
    let input = std::io::stdin().as_fd().try_clone_to_owned().map_err(Error::NoPipe)?;
    let mut parent = pipe::Receiver::from_owned_fd(input).map_err(Error::NoPipe)?;
    // Caught, so that the SIGTERM to the group does not end this process, which must see it through.
    let mut caught = Vec::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        caught.push(signal(kind).map_err(Error::NoPipe)?);
    }
    let Some((program, arguments)) = command.split_first() else { return Ok(2) };
    let spawn_error = |source| Error::Spawn {
        name: "a supervised program".to_owned(),
        program: program.to_string_lossy().into_owned(),
        source,
    };
    let mut family = Family::adopt().map_err(Error::NoPipe)?;
    let started = family.spawn(Command::new(program).args(arguments).stdin(Stdio::null()));
    let (child, _) = started.map_err(spawn_error)?;
    tokio::select! {
        status = family.wait(child) => {
            family.end().await;
            return status.map(code).map_err(spawn_error);
        }
        () = end_of(&mut parent) => {}
    }
    let group = rustix::process::getpid();
    signal_group(group, Signal::TERM);
    let _ = tokio::time::timeout(GRACE, family.wait(child)).await;
    family.end().await;
    signal_group(group, Signal::KILL);
    drop(caught);
    Ok(128)
}

/// Returns once nobody holds the other end of the pipe.
async fn end_of(parent: &mut pipe::Receiver) {
    let mut ignored = [0; 64];
    while matches!(parent.read(&mut ignored).await, Ok(read) if read > 0) {}
}

fn code(status: ExitStatus) -> u8 {
    let signal = status.signal().map(|signal| 128 + signal);
    u8::try_from(status.code().or(signal).unwrap_or(1)).unwrap_or(1)
}
