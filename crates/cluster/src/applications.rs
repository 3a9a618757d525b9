//! Argo CD's Applications as they are.

use serde::Serialize;
use serde_json::Value;

use crate::connection::Cluster;
use crate::error::Result;
use crate::fields::{items, name, text};

/// An Application's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// `Synced`, `OutOfSync` or `Unknown`; empty before Argo CD has looked.
    pub sync: String,
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`; empty before Argo CD has looked.
    pub health: String,
    /// Why it is not as it should be; empty when it is, or when nobody says.
    pub message: String,
}

impl Component {
    /// Reads an Application.
    pub(crate) fn of(application: &Value) -> Self {
        let (sync, health) = (text(application, "/status/sync/status"), text(application, "/status/health/status"));
        let component = Self {
            name: name(application).to_owned(),
            sync: sync.to_owned(),
            health: health.to_owned(),
            message: String::new(),
        };
        let message = if component.is_green() { String::new() } else { message(application) };
        Self { message, ..component }
    }

    /// Synced and healthy.
    pub fn is_green(&self) -> bool {
        self.sync == "Synced" && self.health == "Healthy"
    }

    /// `OutOfSync, Missing`
    pub(crate) fn state(&self) -> String {
        match (self.sync.as_str(), self.health.as_str()) {
            ("", _) => "not looked at yet".to_owned(),
            (sync, "") => sync.to_owned(),
            (sync, health) => format!("{sync}, {health}"),
        }
    }
}

/// What Argo CD says is wrong: an error's condition, else the operation that failed or is going on, else the health's message.
fn message(application: &Value) -> String {
    let condition = items(application, "/status/conditions").iter().find(|one| text(one, "/type").ends_with("Error"));
    let phase = text(application, "/status/operationState/phase");
    let operation = match phase {
        "Failed" | "Error" | "Running" => text(application, "/status/operationState/message"),
        _ => "",
    };
    let said = [
        condition.map(|one| text(one, "/message")).unwrap_or_default(),
        operation,
        text(application, "/status/health/message"),
    ];
    said.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned()
}

/// The Applications of a namespace, or of all, by name.
///
/// # Errors
/// When the API server does not answer. No Argo CD is no Application.
pub async fn components(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Component>> {
    Ok(applications(cluster, namespace).await?.iter().map(Component::of).collect())
}

pub(crate) async fn applications(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Value>> {
    let within = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let mut all = cluster.list(&format!("/apis/argoproj.io/v1alpha1{within}/applications")).await?;
    all.sort_by(|a, b| name(a).cmp(name(b)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_reason_is_the_first_that_is_given() {
        let mut application = json!({"metadata": {"name": "a"}, "status": {
            "sync": {"status": "OutOfSync"}, "health": {"status": "Degraded", "message": "third"},
            "operationState": {"phase": "Failed", "message": "second"},
            "conditions": [{"type": "ComparisonError", "message": "first"}],
        }});
        assert_eq!(Component::of(&application).message, "first");
        application["status"]["conditions"] = json!([]);
        assert_eq!(Component::of(&application).message, "second");
        application["status"]["operationState"]["phase"] = json!("Succeeded");
        let component = Component::of(&application);
        assert_eq!((component.message.as_str(), component.state().as_str()), ("third", "OutOfSync, Degraded"));
        assert!(!Component::of(&json!({"metadata": {"name": "a"}})).is_green());
    }
}
