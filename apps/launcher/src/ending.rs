//! What the end of a program means for its job.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use slipway_job::{Failure, Result};

use crate::relay::last_lines;

/// A program that ends within this time, and has logged no metric, has a mistake in it: another attempt would end in the same way.
const AT_ONCE: Duration = Duration::from_secs(60);
/// How many lines of its standard error a failure quotes.
const LINES: usize = 6;

/// Signs in the last lines of a program that it lost another worker: gloo, NCCL, and PyTorch's store.
const LOST: [&str; 9] = [
    "Connection closed by peer",
    "Connection reset by peer",
    "gloo/transport",
    "remote process exited or there was a network error",
    "ncclRemoteError",
    "failed to recv, got 0 bytes",
    "Broken pipe",
    "DistNetworkError",
    "DistStoreError",
];

/// Signs that the place is at fault and not the program: another attempt may run on another node.
const PLACE: [(&str, &str); 4] = [
    (
        "No space left on device",
        "the disk is full: the program has the pod's own volumes, so write less, or ask for larger ones",
    ),
    ("Cannot allocate memory", "there is not enough memory: raise `spec.workers.memory`"),
    ("MemoryError", "there is not enough memory: raise `spec.workers.memory`"),
    ("out of memory", "there is not enough memory: raise `spec.workers.memory`, or use smaller batches"),
];

/// What people trip over, and the way out.
const ADVICE: [(&str, &str); 3] = [
    (
        "terminate called without an active exception",
        "if it uses PyTorch, Python most likely shut down while the process group was still there: import torch.distributed.nn.functional \
         before init_process_group(), and call destroy_process_group() at the end",
    ),
    (
        "does not match environment run ID",
        "the run belongs to the experiment of this job: remove mlflow.set_experiment() from the program, or call it only if MLFLOW_RUN_ID is not set",
    ),
    (
        "Changing param values is not allowed",
        "the program logs a parameter twice with different values: parameters of a run are set once",
    ),
];

/// What is known about the end of a program.
#[derive(Clone, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) status: ExitStatus,
    pub(crate) ran: Duration,
    /// The end of its standard error.
    pub(crate) errors: &'a str,
    /// Another worker that had ended before, if any.
    pub(crate) lost: Option<usize>,
    /// Whether it has logged no metric, as far as this worker can know: only rank 0 has the run.
    pub(crate) logged_nothing: bool,
}

impl Ending<'_> {
    /// Nothing for a program that ended well.
    ///
    /// # Errors
    /// Why the job fails, with the exit code that says whether another attempt may mend it.
    pub(crate) fn result(&self) -> Result<()> {
        // a program that was started by a shell, or by another program, reports a signal as a code
        let signal =
            self.status.signal().or_else(|| self.status.code().filter(|code| *code > 128).map(|code| code - 128));
        let how = match (self.status.success(), signal) {
            (true, _) => return Ok(()),
            (false, Some(signal)) => format!("was killed by signal {signal}"),
            (false, None) => format!("ended with exit code {}", self.status.code().unwrap_or_default()),
        };
        let lines = last_lines(self.errors, LINES);
        let said = |sign: &str| lines.contains(sign);
        let message = |note: &str| {
            let seconds = self.ran.as_secs_f64();
            let advice = ADVICE.iter().chain(&PLACE).find(|(sign, _)| said(sign)).map(|(_, advice)| *advice);
            let notes: String = [Some(note), advice]
                .into_iter()
                .flatten()
                .filter(|note| !note.is_empty())
                .map(|note| format!("; {note}"))
                .collect();
            let quoted = if lines.is_empty() {
                "it wrote nothing to standard error".to_owned()
            } else {
                format!("its last lines:\n{lines}")
            };
            format!("the program {how} after {seconds:.1} s{notes}; {quoted}")
        };
        // what kills a process outright is a cause of its own, whatever happened elsewhere
        if let Some(signal @ (KILL | SEGMENTATION | BUS)) = signal {
            let note = if signal == KILL { "most likely it needs more memory than `spec.workers.memory`" } else { "" };
            return Err(Failure::Killed { signal: signal as u8, message: message(note) });
        }
        if let Some(rank) = self.lost {
            return Err(Failure::Peer(message(&format!(
                "the worker with rank {rank} had ended before, and its exit code says why"
            ))));
        }
        if LOST.iter().any(|sign| said(sign)) {
            return Err(Failure::Peer(message("it lost the connection to another worker, whose exit code says why")));
        }
        let of_the_place = PLACE.iter().any(|(sign, _)| said(sign));
        if self.ran < AT_ONCE && self.logged_nothing && !of_the_place && signal.is_none() {
            let note = "it logged no metric before, so another attempt would end in the same way";
            return Err(Failure::Input(message(note)));
        }
        match signal {
            // only this worker's own SIGTERM means that it was stopped from outside
            Some(signal) if signal != TERMINATION => {
                Err(Failure::Killed { signal: signal as u8, message: message("") })
            }
            _ => Err(Failure::Unexpected(message(""))),
        }
    }
}

const BUS: i32 = 7;
const KILL: i32 = 9;
const SEGMENTATION: i32 = 11;
const TERMINATION: i32 = 15;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn ending(raw: i32, errors: &str) -> Ending<'_> {
        let ran = Duration::from_secs(5);
        Ending { status: ExitStatus::from_raw(raw), ran, errors, lost: None, logged_nothing: true }
    }

    const CODE_1: i32 = 1 << 8;

    #[test]
    fn a_mistake_of_the_program_fails_at_once() {
        let failure = ending(CODE_1, "Traceback\n  File \"train.py\", line 3\nSyntaxError: invalid syntax\n")
            .result()
            .unwrap_err();
        assert_eq!(failure.code(), 3);
        let text = failure.to_string();
        assert!(text.contains("exit code 1 after 5.0 s") && text.ends_with("SyntaxError: invalid syntax"), "{text}");
        assert!(ending(0, "a warning").result().is_ok());
        assert!(ending(CODE_1, "").result().unwrap_err().to_string().contains("wrote nothing"));
    }

    #[test]
    fn what_another_attempt_may_mend_is_tried_again() {
        let trained = Ending { logged_nothing: false, ..ending(CODE_1, "ValueError") };
        let late = Ending { ran: AT_ONCE, ..ending(CODE_1, "ValueError") };
        let full = ending(CODE_1, "OSError: [Errno 28] No space left on device: '/cache/x'");
        for one in [&trained, &late, &full] {
            assert_eq!(one.result().unwrap_err().code(), 1, "{one:?}");
        }
        assert!(full.result().unwrap_err().to_string().contains("the disk is full"));
    }

    #[test]
    fn signals_are_reported_as_shells_do() {
        for (raw, code) in [(9, 137), (137 << 8, 137), (11, 139), (139, 139), (6, 134), (15, 1), (143 << 8, 1)] {
            assert_eq!(ending(raw, "").result().unwrap_err().code(), code, "{raw}");
        }
        assert!(ending(9, "").result().unwrap_err().to_string().contains("workers.memory"));
    }

    #[test]
    fn the_first_cause_is_not_hidden() {
        for said in [
            "RuntimeError: [..]/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.7]:3",
            "ncclRemoteError: A call",
        ] {
            assert_eq!(ending(CODE_1, said).result().unwrap_err().code(), 8, "{said}");
        }
        // gloo's own thread may abort the process
        let after = Ending { lost: Some(1), ..ending(6, "terminate called") };
        let failure = after.result().unwrap_err();
        assert!(failure.code() == 8 && failure.to_string().contains("rank 1"), "{failure}");
        // but memory that ran out is a cause of its own
        assert_eq!(Ending { lost: Some(1), ..ending(9, "") }.result().unwrap_err().code(), 137);
    }

    #[test]
    fn known_mistakes_have_advice() {
        let said = "mlflow.exceptions.MlflowException: Cannot start run with ID x because active experiment ID does not match environment run ID";
        let failure = ending(CODE_1, said).result().unwrap_err();
        assert!(failure.code() == 3 && failure.to_string().contains("remove mlflow.set_experiment()"), "{failure}");
        let failure = ending(6, "terminate called without an active exception").result().unwrap_err();
        assert!(failure.code() == 134 && failure.to_string().contains("destroy_process_group()"), "{failure}");
    }
}
