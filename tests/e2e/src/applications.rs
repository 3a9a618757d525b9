//! What Argo CD says of its Applications.

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
    /// `Synced` or not.
    pub sync: String,
    /// `Healthy`, `Progressing`, `Degraded`, …
    pub health: String,
    /// Everything that it says of what is wrong: conditions, the last operation, the health of its objects.
    pub said: String,
    /// The commit that it was compared with.
    pub revision: String,
}

impl Application {
    /// Whether everything is as git says, and works.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.sync == "Synced" && self.health == "Healthy"
    }

    fn of(object: &Value) -> Self {
        let mut said = Vec::new();
        for place in ["/status/conditions", "/status/resources", "/status/operationState/syncResult/resources"] {
            for one in object.pointer(place).and_then(Value::as_array).into_iter().flatten() {
                let messages = [text(one, "/message"), text(one, "/health/message")];
                let messages = messages.into_iter().filter(|message| !message.is_empty());
                said.extend(messages.map(|message| format!("{} {message}", text(one, "/name"))));
            }
        }
        let whole = [text(object, "/status/operationState/message"), text(object, "/status/health/message")];
        said.extend(whole.into_iter().filter(|message| !message.is_empty()).map(str::to_owned));
        Self {
            name: text(object, "/metadata/name").to_owned(),
            sync: text(object, "/status/sync/status").to_owned(),
            health: text(object, "/status/health/status").to_owned(),
            said: said.join("\n"),
            revision: text(object, "/status/sync/revision").to_owned(),
        }
    }
}

impl Stack {
    /// All Applications.
    ///
    /// # Errors
    /// The API server does not answer.
    pub fn applications(&self) -> Result<Vec<Application>> {
        let all = self.kubectl().list(&["applications.argoproj.io", "-n", "argocd"])?;
        Ok(all.iter().map(Application::of).collect())
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn application(&self, name: &str) -> Result<Application> {
        Ok(Application::of(&self.kubectl().get(&["applications.argoproj.io", name, "-n", "argocd"])?))
    }

    /// Waits until every Application but those named is Synced and Healthy.
    ///
    /// # Errors
    /// They are not within five minutes; with what they say.
    pub fn all_well_but(&self, others: &[&str]) -> Result<Duration> {
        let ((), took) = until("every Application is Synced and Healthy", Duration::from_secs(300), || {
            let mut wrong = self.applications()?;
            wrong.retain(|one| !one.is_well() && !others.contains(&one.name.as_str()));
            Ok(if wrong.is_empty() { Ok(()) } else { Err(format!("{wrong:#?}")) })
        })?;
        Ok(took)
    }
}
