//! What every environment declares, upstream's part of it too, put to a real API server with the real definitions: schemas strictly,
//! defaults and rules (CEL), Pod Security, and who may do what.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use slipway_gitops_tests::api_server::ApiServer;
use slipway_gitops_tests::program::{kustomize, need};
use slipway_gitops_tests::tree::{self, Deployed, documents, environments, with};

/// The programs that these tests run.
const NEEDED: [&str; 7] = ["etcd", "go", "helm", "kube-apiserver", "kubeadm", "kubectl", "kustomize"];

#[test]
fn the_api_server_accepts_everything_that_is_declared() -> Result<()> {
    need(&NEEDED)?;
    let api = ApiServer::start()?;
    for environment in environments()? {
        let deployed = tree::deployed(&environment)?;
        prepare(&api, &environment, &deployed)?;
        for application in &deployed {
            let objects = without(&application.objects, "CustomResourceDefinition");
            api.apply(&objects, true).with_context(|| format!("{environment}: Application {}", application.name))?;
        }
        api.apply(&with_login(&environment)?, true).with_context(|| format!("{environment}: MLflow with a login"))?;
        api.apply(&with_all_switches(&environment)?, true)
            .with_context(|| format!("{environment}: with every switch on"))?;
        for folder in [environment.clone(), format!("{environment}/root")] {
            let objects = documents(&kustomize(&tree::repository().join("clusters").join(&folder))?)?;
            api.apply(&objects, true).with_context(|| format!("clusters/{folder}"))?;
        }
    }
    Ok(())
}

/// MLflow as base/mlflow/login changes it, and the Secrets that production has from its store for it.
fn with_login(environment: &str) -> Result<Vec<Value>> {
    let mut objects = with(environment, "mlflow", &["mlflow/login"])?;
    if environment == "production" {
        objects.extend(secrets("mlflow-login.yaml")?);
    }
    ensure!(objects.iter().any(|one| one.to_string().contains("basic-auth")), "{environment}: no login in {objects:?}");
    Ok(objects)
}

/// All that is off unless somebody switches it on, with the Secrets that production has from its store for it.
fn with_all_switches(environment: &str) -> Result<Vec<Value>> {
    let mut objects = with(environment, "server", &["server/feedback", "server/samples"])?;
    objects.extend(with(environment, "dataset-monitor", &["dataset-monitor/pipeline"])?);
    if environment == "production" {
        objects.extend(secrets("server-s3.yaml")?);
        objects.extend(secrets("dataset-pipeline.yaml")?);
    } else {
        objects.extend(with(environment, "minio", &["minio/feedback", "minio/samples"])?);
    }
    Ok(objects)
}

/// Secrets of production that its list does not name.
fn secrets(file: &str) -> Result<Vec<Value>> {
    let path = tree::repository().join("overlays/production/external-credentials").join(file);
    documents(&std::fs::read_to_string(path)?)
}

/// Secrets that a service account of ours may read, by namespace: the proxy's, because it does not start without (base/traefik).
const MAY_LIST_SECRETS: [&str; 7] = ["gateway", "argocd", "minio", "mlflow", "server", "demo-ui", "training-manager"];

#[test]
fn no_service_account_of_ours_may_do_more_than_its_job() -> Result<()> {
    need(&NEEDED)?;
    let api = ApiServer::start()?;
    let namespaces = with_rights(&api)?;
    let ours = [
        ("dataset-monitor", "dataset-monitor"),
        ("demo-ui", "demo-ui"),
        ("gateway", "traefik"),
        ("minio", "minio"),
        ("mlflow", "mlflow"),
        ("postgres", "postgres"),
        ("server", "server"),
        ("training", "trainer"),
        ("training-manager", "training-manager"),
    ];
    let mut asked = Vec::new();
    for (namespace, name) in ours {
        let found = api.kubectl(&["-n", namespace, "get", "serviceaccount", name], "")?;
        ensure!(found.succeeded, "{}", found.errors);
        for target in &namespaces {
            let proxy = name == "traefik" && MAY_LIST_SECRETS.contains(&target.as_str());
            for (verb, group, resource) in QUESTIONS {
                let may = proxy && resource == "secrets" && verb != "update";
                let account = format!("system:serviceaccount:{namespace}:{name}");
                asked.push(Question { account, namespace: target, verb, group, resource, name: "", may });
            }
        }
    }
    answers_are_as_expected(&api, &asked)
}

/// Kinds that somebody who looks at trainings, or holds a lease, might be given as well: group, resource, name.
const AROUND: [(&str, &str, &str); 17] = [
    ("trainer.kubeflow.org", "trainjobs", ""),
    ("trainer.kubeflow.org", "trainjobs/status", ""),
    ("trainer.kubeflow.org", "clustertrainingruntimes", ""),
    ("jobset.x-k8s.io", "jobsets", ""),
    ("", "pods", ""),
    ("", "pods/log", ""),
    ("", "pods/exec", ""),
    ("", "pods/eviction", ""),
    ("", "events", ""),
    ("", "secrets", ""),
    ("", "configmaps", ""),
    ("coordination.k8s.io", "leases", "training-manager"),
    ("coordination.k8s.io", "leases", "another"),
    ("rbac.authorization.k8s.io", "rolebindings", ""),
    ("argoproj.io", "applications", "training-jobs"),
    ("argoproj.io", "applications", "another"),
    ("argoproj.io", "applications", ""),
];

#[test]
fn the_training_manager_looks_at_trainings_and_holds_its_lease_and_does_no_more() -> Result<()> {
    need(&NEEDED)?;
    let api = ApiServer::start()?;
    with_rights(&api)?;
    let mut asked = Vec::new();
    // the last stands for all namespaces at once
    for namespace in ["training", "training-manager", "argocd", "kube-system", ""] {
        for verb in ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"] {
            for (group, resource, name) in AROUND {
                let looks = match resource {
                    "trainjobs" | "jobsets" | "pods" | "events" => ["get", "list", "watch"].contains(&verb),
                    "pods/log" => verb == "get",
                    _ => false,
                };
                let holds = resource == "leases"
                    && (verb == "create" || name == "training-manager" && ["get", "update"].contains(&verb));
                let asks = resource == "applications" && name == "training-jobs" && verb == "get";
                let may = match namespace {
                    "training" => looks,
                    "training-manager" => holds,
                    "argocd" => asks,
                    _ => false,
                };
                let account = "system:serviceaccount:training-manager:training-manager".to_owned();
                asked.push(Question { account, namespace, verb, group, resource, name, may });
            }
        }
    }
    answers_are_as_expected(&api, &asked)
}

/// Applies the accounts of `local` and their rights. Returns the names of its namespaces.
fn with_rights(api: &ApiServer) -> Result<Vec<String>> {
    let deployed = tree::deployed("local")?;
    prepare(api, "local", &deployed)?;
    for application in &deployed {
        let rights = ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
        let objects: Vec<Value> =
            application.objects.iter().filter(|one| rights.iter().any(|kind| one["kind"] == *kind)).cloned().collect();
        api.apply(&objects, false)?;
    }
    Ok(objects_of(&deployed, "Namespace").map(|one| text(one, "name")).collect())
}

/// Whether an account may do something.
struct Question<'a> {
    account: String,
    namespace: &'a str,
    verb: &'a str,
    group: &'a str,
    /// `pods/exec` is a subresource.
    resource: &'a str,
    /// Empty for any object.
    name: &'a str,
    /// What the answer must be.
    may: bool,
}

impl Question<'_> {
    fn review(&self) -> Value {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": self.account, "resourceAttributes": {
                "namespace": self.namespace, "verb": self.verb, "group": self.group, "resource": resource,
                "subresource": subresource, "name": self.name,
            }},
        })
    }
}

/// Puts questions to an API server, and compares its answers.
fn answers_are_as_expected(api: &ApiServer, asked: &[Question<'_>]) -> Result<()> {
    let reviews: Vec<Value> = asked.iter().map(Question::review).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": reviews}).to_string();
    let answers = api.kubectl(&["create", "-o", "json", "-f", "-"], &list)?;
    ensure!(answers.succeeded, "{}", answers.errors);
    let answers: Vec<Value> =
        serde_json::Deserializer::from_str(&answers.output).into_iter().collect::<serde_json::Result<_>>()?;
    ensure!(answers.len() == asked.len(), "{} answers to {} questions", answers.len(), asked.len());
    for (Question { account, namespace, verb, resource, name, may, .. }, answer) in asked.iter().zip(&answers) {
        ensure!(
            answer["status"]["allowed"] == *may,
            "{account} and `{verb} {resource} {name}` in {namespace}: {}",
            answer["status"]
        );
    }
    Ok(())
}

/// What nobody needs: verb, group, resource.
const QUESTIONS: [(&str, &str, &str); 10] = [
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("update", "", "secrets"),
    ("create", "", "pods"),
    ("create", "", "pods/exec"),
    ("create", "", "serviceaccounts/token"),
    ("create", "apps", "deployments"),
    ("create", "batch", "jobs"),
    ("create", "trainer.kubeflow.org", "trainjobs"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
];

/// Namespaces and definitions, which everything else needs.
fn prepare(api: &ApiServer, environment: &str, deployed: &[Deployed]) -> Result<()> {
    let namespaces: Vec<Value> = objects_of(deployed, "Namespace").cloned().collect();
    ensure!(namespaces.len() >= 10, "{environment} has only {} namespaces", namespaces.len());
    api.apply(&namespaces, false)?;
    let definitions: Vec<Value> = objects_of(deployed, "CustomResourceDefinition").cloned().collect();
    api.define(&definitions)
}

fn objects_of<'a>(deployed: &'a [Deployed], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    deployed.iter().flat_map(|one| &one.objects).filter(move |object| object["kind"] == kind)
}

fn without(objects: &[Value], kind: &str) -> Vec<Value> {
    objects.iter().filter(|object| object["kind"] != kind).cloned().collect()
}

fn text(object: &Value, key: &str) -> String {
    object["metadata"][key].as_str().unwrap_or_default().to_owned()
}
