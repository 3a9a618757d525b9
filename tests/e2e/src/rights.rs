//! The rights of accounts.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Stack;

impl Stack {
    /// Whether the API server would allow what each SubjectAccessReview asks: `kubectl auth can-i` for any account.
    ///
    /// # Errors
    /// If the API server does not accept the reviews.
    pub fn allowed(&self, reviews: &[Value]) -> Result<Vec<bool>> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews}).to_string();
        let mut kubectl = self.kubectl().command();
        kubectl.args(["create", "-o", "json", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = kubectl.spawn().context("running kubectl")?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        // kubectl writes answers while it still reads
        let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
        let done = child.wait_with_output()?;
        ensure!(
            done.status.success() && writer.join().is_ok_and(|wrote| wrote.is_ok()),
            "kubectl create ended with {}",
            done.status
        );
        let mut answers = Vec::new();
        for document in serde_json::Deserializer::from_slice(&done.stdout).into_iter::<Value>() {
            let document = document?;
            match document["items"].as_array() {
                Some(items) => answers.extend(items.iter().cloned()),
                None => answers.push(document),
            }
        }
        ensure!(answers.len() == reviews.len(), "{} answers to {} questions", answers.len(), reviews.len());
        answers.iter().map(|answer| answer["status"]["allowed"].as_bool().context("no answer")).collect()
    }
}
