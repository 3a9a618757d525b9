//! TrainJobs that the cluster refused when Argo CD applied them.

use std::collections::BTreeMap;

use kube::api::{Api, DynamicObject};

use crate::applications::application_resource;
use crate::connection::Cluster;
use crate::error::Result;
use crate::fields::{items, text, title_of};
use crate::training::{Hindrance, of_refusal};

/// Where Argo CD is, and the Application of the TrainJobs.
const NAMESPACE: &str = "argocd";
const APPLICATION: &str = "training-jobs";

/// The TrainJobs that Argo CD could not apply, by name, with why; none without Argo CD. A cluster says so nowhere else: an object that is refused
/// is not there, and has no events.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn refused(cluster: &Cluster) -> Result<BTreeMap<String, Hindrance>> {
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().clone(), NAMESPACE, &application_resource());
    let application = match api.get(APPLICATION).await {
        Ok(application) => application,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(BTreeMap::new()),
        Err(error) => return Err(cluster.failed(&title_of("Application", NAMESPACE, APPLICATION), error)),
    };
    let results = items(&application.data, "/status/operationState/syncResult/resources").iter();
    let failed = results.filter(|one| text(one, "/kind") == "TrainJob" && text(one, "/status") == "SyncFailed");
    Ok(failed.map(|one| (text(one, "/name").to_owned(), of_refusal(text(one, "/message")))).collect())
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;
    use crate::Error;

    /// A cluster that answers every request for the Application so, and no other.
    fn cluster(code: StatusCode, body: Value) -> Cluster {
        let service = service_fn(move |request: http::Request<Body>| {
            assert_eq!(request.uri().path(), "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/training-jobs");
            assert_eq!(request.method(), "GET");
            let answer = (code, Json(body.clone())).into_response();
            async move { Ok::<_, std::io::Error>(answer) }
        });
        Cluster::over(Client::new(service, "default"))
    }

    fn application(resources: &Value) -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "training-jobs", "namespace": "argocd"},
            "status": {"operationState": {"phase": "Running", "syncResult": {"resources": resources}}},
        })
    }

    #[tokio::test]
    async fn what_could_not_be_applied_says_why() {
        let webhook = "admission webhook \"policy.example.org\" denied the request: no label team";
        let quota = "trainjobs.trainer.kubeflow.org \"b\" is forbidden: exceeded quota: jobs, requested: count/trainjobs=1, used: 5, limited: 5";
        let of = |name: &str, kind: &str, status: &str, message: &str| json!({"kind": kind, "name": name, "status": status, "message": message});
        let found = refused(&cluster(
            StatusCode::OK,
            application(&json!([
                of("a", "TrainJob", "SyncFailed", webhook),
                of("b", "TrainJob", "SyncFailed", quota),
                of("c", "TrainJob", "Synced", "created"),
                of("d", "ConfigMap", "SyncFailed", "no"),
            ])),
        ))
        .await
        .unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found["a"].reason, "the webhook \"policy.example.org\" refuses it: no label team");
        assert_eq!(found["b"].reason, "the namespace's quota jobs, requested: count/trainjobs=1, used: 5, limited: 5");
        assert!(found.values().all(|one| !one.advice.is_empty()), "{found:?}");
        let never_synced = json!({"metadata": {"name": "training-jobs"}});
        assert!(refused(&cluster(StatusCode::OK, never_synced)).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn without_argo_cd_there_is_nothing_and_without_the_right_to_ask_an_error() {
        let status = |code: u16| json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "x", "message": "no"});
        assert!(refused(&cluster(StatusCode::NOT_FOUND, status(404))).await.unwrap().is_empty());
        let error = refused(&cluster(StatusCode::FORBIDDEN, status(403))).await.unwrap_err();
        assert!(matches!(error, Error::Refused { code: 403, .. }), "{error}");
        assert!(error.to_string().contains("Application argocd/training-jobs"), "{error}");
    }
}
