//! One worker of a TrainJob: the program with the environment that a cluster gives it, and nothing else.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::objects::{KEYS, Objects};

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A trial of `blocks` that registers the model `blocks`.
pub(crate) fn trial(objects: &Objects, workers: usize, epochs: usize) -> Value {
    json!({
        "name": "blocks-mlp-1a2b3c4d", "experiment": "blocks-mlp",
        "dataset": {"name": "blocks", "digest": objects.digest},
        "model": {"architecture": "mlp", "dropout": 0.1},
        "training": {"epochs": epochs, "batchSize": 20, "optimizer": {"name": "adam", "learningRate": 0.001}, "seed": 7},
        "workers": workers, "parameters": {},
        "register": {"model": "blocks", "require": {"accuracy": ">= 0.9"}},
    })
}

/// The program for one rank of a trial; `cache` is the only folder that its environment names.
pub(crate) fn worker(rank: usize, port: u16, trial: &Value, objects: &Objects, mlflow: &str, cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway-trainer"));
    command
        .env_clear()
        .env("PET_NNODES", trial["workers"].to_string())
        .env("PET_NPROC_PER_NODE", "1")
        .env("PET_NODE_RANK", rank.to_string())
        .env("PET_MASTER_ADDR", "127.0.0.1")
        .env("PET_MASTER_PORT", port.to_string())
        .env("OMP_NUM_THREADS", "1")
        .env("SLIPWAY_TRIAL", trial.to_string())
        .env("SLIPWAY_CACHE", cache)
        .env("MLFLOW_TRACKING_URI", mlflow)
        .env("AWS_ENDPOINT_URL_S3", &objects.url)
        .env("AWS_ACCESS_KEY_ID", KEYS.0)
        .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
        .env("SLIPWAY_CHECKPOINT_STORE", "s3://checkpoints")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A running worker, which is killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    logged: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log, logged: String::new() }
    }

    /// Returns when the log has a line with this text.
    pub(crate) fn until(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "it ended without {text}: {}", self.logged);
            self.logged.push_str(&line);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Waits until rank 0 has taken its first step and has its run, which is created meanwhile.
    pub(crate) fn until_it_trains(&mut self) {
        while !["\"event\":\"first_step\"", "\"event\":\"run\""].iter().all(|event| self.logged.contains(event)) {
            self.until("\"event\"");
        }
    }

    /// The same of an attempt that goes on from a checkpoint.
    pub(crate) fn until_it_trains_again(&mut self) {
        while !["\"event\":\"first_step\"", "\"event\":\"run_continued\""]
            .iter()
            .all(|event| self.logged.contains(event))
        {
            self.until("\"event\"");
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn terminate(&self) {
        terminate(self.pid());
    }

    /// Ends it without a word, as a lack of memory or a lost node does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit code (`None` if a signal ended it) and everything that it logged.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        // the pipe ends with the process
        let mut rest = Vec::new();
        self.log.read_to_end(&mut rest).unwrap();
        self.logged.push_str(&String::from_utf8_lossy(&rest));
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.logged))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What kubelet sends first.
pub(crate) fn terminate(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

/// Polls a condition outside the worker for up to a minute.
pub(crate) async fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
