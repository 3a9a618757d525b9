//! Warnings that are given once as long as they are the same: what fails every few seconds says so once.

use std::fmt::Display;

/// What was said last of something that may fail again and again.
#[derive(Debug, Default)]
pub struct Warned(String);

impl Warned {
    /// Warns, unless this was said already.
    pub fn warn(&mut self, what: &str, why: &impl Display) {
        let text = format!("{what}: {why}");
        if text != self.0 {
            tracing::warn!("{text}");
            self.0 = text;
        }
    }

    /// It works again, so the next failure is a new one.
    pub fn clear(&mut self) {
        if !std::mem::take(&mut self.0).is_empty() {
            tracing::info!("it works again");
        }
    }
}
