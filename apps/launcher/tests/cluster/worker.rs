//! One worker of a TrainJob that runs a program: the launcher with the environment that a cluster gives it, and nothing else.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slipway_mlflow_server::Mlflow;

use crate::objects::{KEYS, Objects};

/// A free port, whose next one is free, too.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 65_535 && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

/// What the workers of a test need.
pub(crate) struct Place {
    pub(crate) mlflow: Mlflow,
    pub(crate) objects: Objects,
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        Self { mlflow: Mlflow::start().await, objects: Objects::start().await, folder: tempfile::tempdir().unwrap() }
    }

    /// A trial of an experiment that registers the model `fashion` if its accuracy is at least 0.9.
    pub(crate) fn trial(&self, experiment: &str, workers: usize, command: &[&str]) -> Value {
        json!({
            "name": format!("{experiment}-1a2b3c4d"), "experiment": experiment,
            "dataset": {"name": "blocks", "digest": self.objects.digest},
            "program": {"trainer": "own", "command": command, "args": [], "parameters": {"epochs": 4, "augment": true, "note": "a b"}},
            "workers": workers, "parameters": {},
            "register": {"model": "fashion", "require": {"accuracy": ">= 0.9"}},
        })
    }

    /// One rank of a trial.
    pub(crate) fn worker(&self, rank: usize, port: u16, trial: &Value) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-launch"));
        let python = python("SLIPWAY_PYTHON_TORCH");
        let bin = python.parent().unwrap().to_owned();
        let path = std::env::join_paths([bin, "/usr/bin".into(), "/bin".into()]).unwrap();
        command
            .env_clear()
            .env("PATH", path)
            .env("PET_NNODES", trial["workers"].to_string())
            .env("PET_NPROC_PER_NODE", "1")
            .env("PET_NODE_RANK", rank.to_string())
            .env("PET_MASTER_ADDR", "127.0.0.1")
            .env("PET_MASTER_PORT", port.to_string())
            .env("OMP_NUM_THREADS", "1")
            .env("SLIPWAY_TRIAL", trial.to_string())
            .env("SLIPWAY_CACHE", self.folder.path().join(format!("cache-{rank}")))
            .env("SLIPWAY_PROGRAM", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs"))
            .env("SLIPWAY_GRACE_SECONDS", "1")
            .env("MLFLOW_TRACKING_URI", &self.mlflow.url)
            .env("AWS_ENDPOINT_URL_S3", &self.objects.url)
            .env("AWS_ACCESS_KEY_ID", KEYS.0)
            .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
            .env("SLIPWAY_CHECKPOINT_STORE", "s3://checkpoints")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a trial of one worker to its end.
    pub(crate) async fn run(&self, trial: &Value) -> (Option<i32>, String) {
        let running = Running::start(&mut self.worker(0, free_port(), trial));
        tokio::task::spawn_blocking(move || running.end()).await.unwrap()
    }
}

pub(crate) fn python(variable: &str) -> PathBuf {
    let python = std::env::var_os(variable).map(PathBuf::from);
    python.unwrap_or_else(|| panic!("{variable} is not set; `make test` sets it"))
}

/// A running worker, which is killed when dropped.
pub(crate) struct Running {
    child: Killed,
    output: BufReader<std::process::ChildStdout>,
    log: BufReader<std::process::ChildStderr>,
    logged: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child: Killed(child), output, log, logged: String::new() }
    }

    /// Returns the line of standard error that has this text.
    pub(crate) fn until(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it ended without {text}: {}", self.logged);
            self.logged.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Returns the line of standard output that has this text.
    pub(crate) fn says(&mut self, text: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended without {text}");
            self.logged.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Its exit code (`None` if a signal ended it) and everything that it wrote.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        // the pipes end with the process and with everything that it has started; read both, so that no writer waits
        let mut output = self.output;
        let output = std::thread::spawn(move || {
            let mut rest = Vec::new();
            output.read_to_end(&mut rest).unwrap();
            rest
        });
        let mut rest = Vec::new();
        self.log.read_to_end(&mut rest).unwrap();
        rest.extend(output.join().unwrap());
        self.logged.push_str(&String::from_utf8_lossy(&rest));
        (self.child.0.wait().unwrap().code(), std::mem::take(&mut self.logged))
    }
}

/// A process that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn signal(pid: u32, signal: slipway_processes::Signal) {
    let pid = slipway_processes::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

pub(crate) fn lives(pid: u32) -> bool {
    let pid = slipway_processes::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}

/// Polls a condition for up to a minute.
pub(crate) async fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
