//! The processes below this one: none of them outlives what it was started for.
//!
//! A program may start others, and these may leave its process group and lose their parent. On Linux such orphans become children of
//! this process ([`Family::adopt`]), as they become children of process 1 in a container. So [`Family::end`] finds all of them.
//! On other systems it ends the process groups that the programs lead which were started here.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

pub use rustix::process::{Pid, Signal};
use rustix::process::{WaitOptions, kill_process, kill_process_group, wait};
use tokio::signal::unix::{SignalKind, signal};

/// How long killed processes may take to disappear; one that waits for a dead disk does not.
const ENDING: Duration = Duration::from_secs(10);
/// The longest pause between two looks at killed processes. One that loses its parent while this process looks is found the next time.
const PAUSE: Duration = Duration::from_millis(20);

/// All descendants of this process. It waits for every child of this process, so there is only one, and nothing else may wait for one.
#[derive(Debug)]
pub struct Family {
    changed: tokio::signal::unix::Signal,
    /// The programs that were started here; each may lead a process group.
    started: Vec<Pid>,
}

impl Family {
    /// Adopts the orphans of this process's descendants from now on. Must be called within a runtime of tokio.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn adopt() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self { changed: signal(SignalKind::child())?, started: Vec::new() })
    }

    /// Starts a program. Take its pipes out of the returned child, and wait for it by [`Family::wait`] alone.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, command: &mut Command) -> io::Result<(Pid, std::process::Child)> {
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the system gave an impossible process id"))?;
        self.started.push(pid);
        Ok((pid, child))
    }

    /// Waits for the end of one child, and reaps all others that end meanwhile. May be dropped and called again.
    ///
    /// # Errors
    /// When there is no such child.
    pub async fn wait(&mut self, pid: Pid) -> io::Result<ExitStatus> {
        loop {
            while let Some((ended, status)) = wait(WaitOptions::NOHANG)? {
                if ended == pid {
                    return Ok(ExitStatus::from_raw(status.as_raw()));
                }
            }
            self.changed.recv().await;
        }
    }

    /// Kills every descendant, and waits until they are gone. Returns how many are not within 10 s, which only a broken disk or driver causes.
    pub async fn end(&mut self) -> usize {
        let begun = Instant::now();
        for program in self.started.drain(..) {
            signal_group(program, Signal::KILL);
        }
        loop {
            // A killed process stays a child until it is reaped below, so no id here can belong to a stranger.
            let children = children();
            for child in &children {
                let _ = kill_process(*child, Signal::KILL);
            }
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => return 0,
                }
            }
            if begun.elapsed() > ENDING {
                return children.len();
            }
            let _ = tokio::time::timeout(PAUSE, self.changed.recv()).await;
        }
    }
}

/// Sends a signal to every process of a group; it is fine if none is left.
pub fn signal_group(leader: Pid, signal: Signal) {
    let _ = kill_process_group(leader, signal);
}

/// The children of this process, as `/proc` shows them; none on systems without it.
fn children() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let this = rustix::process::getpid().as_raw_nonzero().get();
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            (parent(&stat)? == this).then(|| Pid::from_raw(pid)).flatten()
        })
        .collect()
}

/// The parent's id in a line of `/proc/<pid>/stat`: `pid (name) state parent …`. A name may contain anything, also `)`.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_contain_anything() {
        assert_eq!(parent("12 (a) b) R (c) S 7 12 12 0 -1"), Some(7));
        assert_eq!(parent("12 (python train.py) S 7 12 12 0 -1"), Some(7));
        assert_eq!(parent("garbage"), None);
    }
}
