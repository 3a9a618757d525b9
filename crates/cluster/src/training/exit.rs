//! What a worker said last, by its exit code and its termination message.

use serde::Deserialize;
use slipway_names::exit;

use super::hindrance::{Hindrance, one_line};

/// Ended by SIGKILL: by somebody, or by the system for want of memory.
const KILLED: u8 = 128 + 9;

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: i32,
    /// What it said last: the message of its failure, otherwise the end of its log.
    pub(super) said: String,
}

impl Exit {
    /// `message` is what Kubernetes keeps: the end of the log, since workers write no termination message of their own.
    pub(super) fn new(code: i32, message: &str) -> Self {
        let lines = || message.lines().rev().map(str::trim).filter(|line| !line.is_empty());
        let said = lines().find_map(failure).or_else(|| lines().next().map(one_line)).unwrap_or_default();
        Self { code, said }
    }

    /// In words, with what to do.
    pub(super) fn explained(&self) -> Hindrance {
        let code = u8::try_from(self.code).unwrap_or(exit::UNEXPECTED);
        let (what, advice) = match code {
            exit::INPUT => (
                "the trial, its data or its program is not valid",
                "Correct it, and set or raise `rerun` in the experiment: an unchanged one never runs twice.",
            ),
            exit::SERVICE => {
                ("MLflow or the dataset store does not answer, or refuses", "It is tried again a few times.")
            }
            exit::GATE => (
                "the metric that the gate asks for is missing or not a number",
                "Look at the run's metrics, and at spec.register.require.",
            ),
            exit::PEER => ("another worker was lost", ""),
            exit::TERMINATED => ("a worker was stopped from outside", ""),
            KILLED => (
                "a worker was killed",
                "If it needs more memory than it has, raise spec.workers.memory of the experiment.",
            ),
            _ => ("a worker failed", ""),
        };
        let said = if self.said.is_empty() { format!("exit code {}", self.code) } else { self.said.clone() };
        Hindrance::new(format!("{what}: {said}"), advice)
    }
}

/// The message of a line of a worker's log that says why it failed.
fn failure(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        event: String,
        message: String,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    (line.event == "failed").then(|| one_line(&line.message))
}
