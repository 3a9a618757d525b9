//! Argo CD's Applications: their state, and why it is not as it should be.

use kube::ResourceExt as _;
use kube::api::{ApiResource, DynamicObject};
use serde::Serialize;

use crate::connection::{Cluster, resource};
use crate::error::Result;
use crate::fields::{items, namespace, text, title_of};

/// An Application's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Component {
    /// The Application's name.
    pub name: String,
    /// `Synced`, `OutOfSync` or `Unknown`; empty before Argo CD has looked.
    pub sync: String,
    /// `Healthy`, `Progressing`, `Degraded`, `Suspended`, `Missing` or `Unknown`; empty before Argo CD has looked.
    pub health: String,
    /// Why it is not as it should be; empty if it is, or if Argo CD gives no reason.
    pub message: String,
}

impl Component {
    /// Reads an Application.
    pub(crate) fn of(application: &DynamicObject) -> Self {
        let status = |pointer| text(&application.data, pointer).to_owned();
        let component = Self {
            name: application.name_any(),
            sync: status("/status/sync/status"),
            health: status("/status/health/status"),
            message: String::new(),
        };
        let message = match application {
            application if is_held(application) => HELD.to_owned(),
            _ if component.is_green() => String::new(),
            application => message(application),
        };
        Self { message, ..component }
    }

    /// Synced and healthy.
    pub fn is_green(&self) -> bool {
        self.sync == "Synced" && self.health == "Healthy"
    }

    /// `OutOfSync, Missing`
    pub(crate) fn state(&self) -> String {
        match (self.sync.as_str(), self.health.as_str()) {
            ("", _) => "not seen by Argo CD yet".to_owned(),
            (sync, "") => sync.to_owned(),
            (sync, health) => format!("{sync}, {health}"),
        }
    }
}

/// What an Application says that bootstrap holds back.
const HELD: &str = "held back (its automated sync is off): `slipway bootstrap <environment> --jobs start` starts it";

/// Whether an Application's automated sync is turned off.
pub(crate) fn is_held(application: &DynamicObject) -> bool {
    application.data.pointer("/spec/syncPolicy/automated/enabled").is_some_and(|enabled| enabled == false)
}

/// What Argo CD says is wrong: an error's condition; otherwise the operation that failed or is running; otherwise the health's message.
fn message(application: &DynamicObject) -> String {
    let data = &application.data;
    let condition = items(data, "/status/conditions").iter().find(|one| text(one, "/type").ends_with("Error"));
    let operation = match text(data, "/status/operationState/phase") {
        "Failed" | "Error" | "Running" => text(data, "/status/operationState/message"),
        _ => "",
    };
    let condition = condition.map(|one| text(one, "/message")).unwrap_or_default();
    let candidates = [condition, operation, text(data, "/status/health/message")];
    let reason = candidates.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    match consent(application) {
        Some(how) => format!("{reason}\n{how}").trim_start().to_owned(),
        None => reason.to_owned(),
    }
}

/// What to do about a sync that waits until a person agrees to what it deletes. Nothing else is synced until then.
///
/// Source: <https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/#resource-pruning-with-confirmation>
fn consent(application: &DynamicObject) -> Option<String> {
    let is_asked = |resource: &&serde_json::Value| {
        let is = |pointer| resource.pointer(pointer).and_then(serde_json::Value::as_bool).unwrap_or(false);
        is("/requiresPruning") && is("/requiresDeletionConfirmation")
    };
    let asked = items(&application.data, "/status/resources").iter().filter(is_asked);
    let asked: Vec<String> =
        asked.map(|one| title_of(text(one, "/kind"), text(one, "/namespace"), text(one, "/name"))).collect();
    if asked.is_empty() || text(&application.data, "/status/operationState/phase") != "Running" {
        return None;
    }
    let object = format!("-n {} application {}", namespace(application), application.name_any());
    Some(format!(
        "it waits for your consent to delete {}: `kubectl annotate {object} --overwrite \
         argocd.argoproj.io/deletion-approved=$(date -u +%FT%TZ)`\nor, to keep it: restore it in git, then `kubectl patch {object} \
         --type merge -p '{{\"status\":{{\"operationState\":{{\"phase\":\"Terminating\"}}}}}}'`",
        asked.join(", ")
    ))
}

/// The Applications of a namespace, or of all namespaces, by name. A cluster without Argo CD has none.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn components(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Component>> {
    Ok(applications(cluster, namespace).await?.iter().map(Component::of).collect())
}

pub(crate) async fn applications(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<DynamicObject>> {
    let mut all = cluster.list_custom(&application_resource(), namespace).await?;
    all.sort_by_key(DynamicObject::name_any);
    Ok(all)
}

pub(crate) fn application_resource() -> ApiResource {
    resource("argoproj.io", "v1alpha1", "Application", "applications")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_reason_is_the_first_that_is_given() {
        let component =
            |application: &serde_json::Value| Component::of(&serde_json::from_value(application.clone()).unwrap());
        let mut application = json!({"metadata": {"name": "a"}, "status": {
            "sync": {"status": "OutOfSync"}, "health": {"status": "Degraded", "message": "third"},
            "operationState": {"phase": "Failed", "message": "second"},
            "conditions": [{"type": "ComparisonError", "message": "first"}],
        }});
        assert_eq!(component(&application).message, "first");
        application["status"]["conditions"] = json!([]);
        assert_eq!(component(&application).message, "second");
        application["status"]["operationState"]["phase"] = json!("Succeeded");
        let third = component(&application);
        assert_eq!((third.message.as_str(), third.state().as_str()), ("third", "OutOfSync, Degraded"));
        assert!(!component(&json!({"metadata": {"name": "a"}})).is_green());
        application["spec"] = json!({"syncPolicy": {"automated": {"enabled": false}}});
        assert!(component(&application).message.contains("--jobs start"));
    }

    #[test]
    fn a_sync_that_waits_for_consent_says_how_to_give_it() {
        let mut application = json!({"metadata": {"name": "root", "namespace": "argocd"}, "status": {
            "sync": {"status": "OutOfSync"},
            "operationState": {"phase": "Running", "message": "waiting for deletion of argoproj.io/Application/demo-ui"},
            "resources": [
                {"kind": "Application", "namespace": "argocd", "name": "server", "requiresDeletionConfirmation": true},
                {"kind": "Application", "namespace": "argocd", "name": "demo-ui", "requiresPruning": true, "requiresDeletionConfirmation": true}],
        }});
        let message = |application: &serde_json::Value| {
            Component::of(&serde_json::from_value(application.clone()).unwrap()).message
        };
        let text = message(&application);
        assert!(text.starts_with("waiting for deletion of argoproj.io/Application/demo-ui\n"), "{text}");
        assert!(
            text.contains("to delete Application argocd/demo-ui: `kubectl annotate -n argocd application root"),
            "{text}"
        );
        assert!(text.contains(r#"-p '{"status":{"operationState":{"phase":"Terminating"}}}'`"#), "{text}");
        application["status"]["operationState"]["phase"] = json!("Succeeded");
        assert_eq!(message(&application), "");
    }
}
