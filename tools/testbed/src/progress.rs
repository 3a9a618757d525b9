//! Progress of long operations: one line for each step, updated in place on a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::Instant;

/// Shows steps on standard error.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Whether standard error is a terminal, on which the line of a step is updated.
    live: bool,
    width: usize,
}

impl Progress {
    /// Updates in place on a terminal; elsewhere prints a line when a step begins and one when it ends.
    #[must_use]
    pub fn new() -> Self {
        let width = rustix::termios::tcgetwinsize(stderr()).map_or(0, |size| usize::from(size.ws_col));
        Self { live: stderr().is_terminal() && width > 0, width }
    }

    /// Begins a step.
    #[must_use]
    pub fn step(&self, name: &str) -> Step {
        let step = Step { progress: *self, name: name.to_owned(), began: Instant::now() };
        if self.live {
            step.now("")
        } else {
            self.line(&format!("{name} …"))
        }
        step
    }

    /// Prints a line that does not belong to a step.
    pub fn line(&self, text: &str) {
        let clear = if self.live { "\r\x1b[K" } else { "" };
        let _ = writeln!(stderr().lock(), "{clear}{text}");
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// A step in progress. If it is dropped before it is done, its last line stays for the error that follows.
#[derive(Debug)]
pub struct Step {
    progress: Progress,
    name: String,
    began: Instant,
}

impl Step {
    /// Shows the current detail; only on a terminal.
    pub fn now(&self, detail: &str) {
        if self.progress.live {
            let text = format!("{} {}s {detail}", self.name, self.began.elapsed().as_secs());
            let shown: String = text.chars().take(self.progress.width.saturating_sub(1)).collect();
            let mut errors = stderr().lock();
            let _ = write!(errors, "\r\x1b[K{shown}");
            let _ = errors.flush();
        }
    }

    /// Ends the step.
    pub fn done(self, result: &str) {
        self.progress.line(&format!("{}: {:.1} s, {result}", self.name, self.began.elapsed().as_secs_f64()));
    }
}
