//! The webhook that GitHub sends Argo CD after a push: <https://docs.github.com/webhooks/webhook-events-and-payloads#push>.

use anyhow::{Context as _, Result};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::Stack;
use crate::ground::REPOSITORY;

impl Stack {
    /// Notifies Argo CD, through the Gateway, that main moved from one commit to another.
    ///
    /// # Errors
    /// If Argo CD cannot be reached, or refuses the signature.
    pub(crate) fn notify_argocd(&self, before: &str, after: &str) -> Result<()> {
        // GitHub names the repository by its page
        let page = self.repository_url().trim_end_matches(".git");
        let body = json!({"ref": "refs/heads/main", "before": before, "after": after, "commits": [],
            "repository": {"html_url": page, "full_name": REPOSITORY, "default_branch": "main"}});
        let body = body.to_string();
        let secret = self.kubectl().secret("argocd", "argocd-secret", "webhook.github.secret")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let answer = self
            .http()
            .post(format!("{}/api/webhook", self.url("argocd")))
            .header("X-GitHub-Event", "push")
            .header("X-Hub-Signature-256", format!("sha256={signature}"))
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .context("Argo CD through the Gateway")?;
        answer.error_for_status().context("Argo CD's webhook")?;
        Ok(())
    }
}
