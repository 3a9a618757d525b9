//! Keeps the node's programs running, and reaps orphaned processes.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, WaitStatus, wait};

use super::programs::Program;

/// A program that has run for this long has recovered from earlier failures.
const RECOVERED: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

struct Running {
    program: &'static Program,
    since: Instant,
    /// How many times in a row it ended early.
    failures: u32,
}

/// The programs that run, by process id.
#[derive(Clone, Default)]
pub(super) struct Supervisor {
    running: Arc<Mutex<HashMap<i32, Running>>>,
}

impl Supervisor {
    /// Starts `program` once what it needs is running, and again whenever it ends. Returns at once.
    pub(super) fn start(&self, program: &'static Program) {
        let supervisor = self.clone();
        thread::spawn(move || supervisor.start_after(program, 0));
    }

    fn start_after(&self, program: &'static Program, failures: u32) {
        if let Some(address) = program.after {
            wait_for(address);
        }
        // locked until the id is stored, so that an early end is not missed
        let mut running = self.lock();
        match spawn(program) {
            Ok(pid) => {
                running.insert(pid, Running { program, since: Instant::now(), failures });
            }
            Err(error) => {
                drop(running);
                log(&format!("{} cannot be started: {error}", program.name));
                self.restart(program, failures + 1);
            }
        }
    }

    /// Reaps every process that ends, and restarts the node's programs. Never returns.
    pub(super) fn reap(&self) -> ! {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => self.ended(pid.as_raw_nonzero().get(), status),
                // nothing runs: every program pauses between two starts
                _ => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn ended(&self, pid: i32, status: WaitStatus) {
        let Some(Running { program, since, failures }) = self.lock().remove(&pid) else { return };
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("with status {code}"),
            (_, Some(signal)) => format!("by signal {signal}"),
            _ => "for an unknown reason".to_owned(),
        };
        let ran = since.elapsed();
        log(&format!("{} (process {pid}) ended {how} after {:.1} s; restarting", program.name, ran.as_secs_f32()));
        self.restart(program, if ran > RECOVERED { 0 } else { failures + 1 });
    }

    fn restart(&self, program: &'static Program, failures: u32) {
        let supervisor = self.clone();
        thread::spawn(move || {
            thread::sleep(pause(failures));
            supervisor.start_after(program, failures);
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(program: &Program) -> io::Result<i32> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(Path::new("/var/log").join(program.name).with_extension("log"))?;
    let child = program.command().stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    Ok(child.id().cast_signed())
}

/// None the first time, then 0.2 s, 0.4 s … 5 s.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => LONGEST_PAUSE.min(Duration::from_millis(100 << n.min(6))),
    }
}

fn wait_for(address: SocketAddr) {
    while TcpStream::connect(address).is_err() {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Writes to the node's log, which is standard output.
fn log(text: &str) {
    println!("{text}");
}
