//! The rights of accounts.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::Stack;

impl Stack {
    /// Whether the API server would allow what each SubjectAccessReview asks: `kubectl auth can-i` for any account.
    ///
    /// # Errors
    /// If the API server does not accept the reviews.
    pub fn allowed(&self, reviews: &[Value]) -> Result<Vec<bool>> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews});
        let done = self.kubectl().give(&["create", "-o", "json", "-f", "-"], &list)?;
        let mut answers = Vec::new();
        for document in serde_json::Deserializer::from_str(&done).into_iter::<Value>() {
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
