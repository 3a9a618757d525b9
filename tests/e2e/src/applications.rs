//! The state of Argo CD's Applications.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::kubectl::text;
use crate::{Stack, until};

/// An Application's state.
#[derive(Debug, Clone)]
pub struct Application {
    /// Its name.
    pub name: String,
    /// The sync status, such as `Synced`.
    pub sync: String,
    /// The health: `Healthy`, `Progressing`, `Degraded`, …
    pub health: String,
    /// Its messages: of conditions, of the last operation, and of the health of its objects.
    pub messages: String,
    /// The commit that the cluster was compared with.
    pub revision: String,
}

impl Application {
    /// Whether it is Synced and Healthy.
    #[must_use]
    pub fn is_synced_and_healthy(&self) -> bool {
        self.sync == "Synced" && self.health == "Healthy"
    }

    fn of(object: &Value) -> Self {
        let mut found = Vec::new();
        for place in ["/status/conditions", "/status/resources", "/status/operationState/syncResult/resources"] {
            for one in object.pointer(place).and_then(Value::as_array).into_iter().flatten() {
                let messages = [text(one, "/message"), text(one, "/health/message")];
                let messages = messages.into_iter().filter(|message| !message.is_empty());
                found.extend(messages.map(|message| format!("{} {message}", text(one, "/name"))));
            }
        }
        let whole = [text(object, "/status/operationState/message"), text(object, "/status/health/message")];
        found.extend(whole.into_iter().filter(|message| !message.is_empty()).map(str::to_owned));
        Self {
            name: text(object, "/metadata/name").to_owned(),
            sync: text(object, "/status/sync/status").to_owned(),
            health: text(object, "/status/health/status").to_owned(),
            messages: found.join("\n"),
            revision: text(object, "/status/sync/revision").to_owned(),
        }
    }
}

impl Stack {
    /// All Applications.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub fn applications(&self) -> Result<Vec<Application>> {
        let all = self.kubectl().list(&["applications.argoproj.io", "-n", "argocd"])?;
        Ok(all.iter().map(Application::of).collect())
    }

    /// One Application.
    ///
    /// # Errors
    /// If there is no Application of this name.
    pub fn application(&self, name: &str) -> Result<Application> {
        Ok(Application::of(&self.kubectl().get(&["applications.argoproj.io", name, "-n", "argocd"])?))
    }

    /// Waits until every Application except those named is Synced and Healthy. Returns how long that took.
    ///
    /// # Errors
    /// If they are not within five minutes; the error lists their states.
    pub fn wait_until_healthy_except(&self, others: &[&str]) -> Result<Duration> {
        let ((), took) = until("every Application is Synced and Healthy", Duration::from_secs(300), || {
            let mut wrong = self.applications()?;
            wrong.retain(|one| !one.is_synced_and_healthy() && !others.contains(&one.name.as_str()));
            Ok(if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:#?}")) })
        })?;
        Ok(took)
    }
}
