//! What accounts may do.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::Stack;

impl Stack {
    /// Whether the API server would allow what a SubjectAccessReview asks: `kubectl auth can-i` for any account.
    ///
    /// # Errors
    /// The API server does not take the question.
    pub fn allowed(&self, review: &Value) -> Result<bool> {
        let mut kubectl = self.kubectl().command();
        kubectl.args(["create", "-o", "json", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = kubectl.spawn().context("running kubectl")?;
        child.stdin.take().context("stdin is piped")?.write_all(review.to_string().as_bytes())?;
        let done = child.wait_with_output()?;
        ensure!(done.status.success(), "kubectl create -f -: {review}");
        let answer: Value = serde_json::from_slice(&done.stdout)?;
        answer["status"]["allowed"].as_bool().context("no answer")
    }
}
