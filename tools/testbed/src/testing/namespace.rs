//! One test's own namespace.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace as Object, ServiceAccount};
use kube::api::{Api, DynamicObject, GroupVersionKind, ObjectMeta, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::{Client, ResourceExt as _, discovery};

use super::Testbed;
use crate::cluster::{Error, Manifest, Tried as _, apply};

/// A namespace that is deleted when the value is dropped.
pub struct Namespace {
    name: String,
    testbed: Testbed,
    client: Client,
}

impl Namespace {
    pub(super) async fn create(testbed: &Testbed, prefix: &str, labels: &[(&str, &str)]) -> Result<Self, Error> {
        let client = testbed.client().await?;
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let metadata =
            ObjectMeta { generate_name: Some(format!("{prefix}-")), labels: Some(labels), ..ObjectMeta::default() };
        let object = Object { metadata, ..Object::default() };
        let name = Api::<Object>::all(client.clone()).create(&PostParams::default(), &object).await?.name_any();
        let namespace = Self { name, testbed: testbed.clone(), client };
        // Pods are refused until their service account is there.
        let accounts: Api<ServiceAccount> = Api::namespaced(namespace.client.clone(), &namespace.name);
        let (limit, created) = (Duration::from_secs(10), conditions::is_created());
        match tokio::time::timeout(limit, await_condition(accounts, "default", created)).await {
            Ok(Ok(_)) => Ok(namespace),
            _ => Err(Error::Late {
                what: format!("the service account of namespace {}", namespace.name),
                limit,
                evidence: String::new(),
            }),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client of the cluster's API.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// kubectl, set to this namespace.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut kubectl = self.testbed.kubectl();
        kubectl.args(["--namespace", &self.name]).args(arguments);
        kubectl
    }

    /// Runs kubectl, and gives what it prints.
    ///
    /// # Errors
    /// It fails; the message holds what it said.
    pub fn ask(&self, arguments: &[&str]) -> Result<String, Error> {
        let output = self.kubectl(arguments).stdin(Stdio::null()).output().tried("running kubectl")?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let what = format!("kubectl {}", arguments.join(" "));
        Err(Error::Program { what, reason: String::from_utf8_lossy(&output.stderr).into_owned() })
    }

    /// Applies YAML documents; those that name no namespace go into this one.
    ///
    /// # Errors
    /// YAML that is none, or an object that the API server refuses.
    pub async fn apply(&self, yaml: &str) -> Result<(), Error> {
        let manifest =
            Manifest::parse(yaml).map_err(|reason| Error::Manifest { file: "the test's manifest".into(), reason })?;
        apply(&self.client, &manifest, &self.name).await
    }

    /// Waits until an object of this namespace is as wanted, and gives it. `kind` is `VERSION/KIND` or `GROUP/VERSION/KIND`.
    ///
    /// # Errors
    /// It is not so within `limit`; the message holds its last status.
    pub async fn wait(
        &self,
        kind: &str,
        name: &str,
        limit: Duration,
        wanted: impl Fn(&DynamicObject) -> bool + Send + Sync,
    ) -> Result<DynamicObject, Error> {
        self.wait_in(&self.name, kind, name, limit, wanted).await
    }

    /// The same for an object of another namespace.
    ///
    /// # Errors
    /// As [`Namespace::wait`].
    pub async fn wait_in(
        &self,
        namespace: &str,
        kind: &str,
        name: &str,
        limit: Duration,
        wanted: impl Fn(&DynamicObject) -> bool + Send + Sync,
    ) -> Result<DynamicObject, Error> {
        let (version, kind) = kind.rsplit_once('/').unwrap_or(("v1", kind));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        let (resource, _) = discovery::pinned_kind(&self.client, &GroupVersionKind::gvk(group, version, kind)).await?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &resource);
        let last = Arc::new(Mutex::new(serde_json::Value::Null));
        let seen = |object: Option<&DynamicObject>| {
            let Some(object) = object else { return false };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = object.data["status"].clone();
            wanted(object)
        };
        match tokio::time::timeout(limit, await_condition(api, name, seen)).await {
            Ok(Ok(Some(object))) => Ok(object),
            _ => {
                let last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let evidence = format!("; its last status: {last:#}");
                Err(Error::Late { what: format!("{kind} {namespace}/{name} as it should be"), limit, evidence })
            }
        }
    }

    /// Forwards a free port of the machine's loopback to a port of a pod or service, such as `pod/web`.
    ///
    /// # Errors
    /// kubectl fails to listen.
    pub fn forward(&self, target: &str, port: u16) -> Result<Forward, Error> {
        let mut child = self
            .kubectl(&["port-forward", target, &format!(":{port}"), "--address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .tried("running kubectl port-forward")?;
        let mut output = child.stdout.take().map(BufReader::new);
        let mut line = String::new();
        if let Some(output) = &mut output {
            output.read_line(&mut line).tried("reading what kubectl port-forward says")?;
        }
        // "Forwarding from 127.0.0.1:40123 -> 8080"
        let address = line.split_whitespace().nth(2).unwrap_or_default().to_owned();
        let forward = Forward { child, address, _output: output };
        if forward.address.is_empty() {
            return Err(Error::Program { what: format!("kubectl port-forward {target} :{port}"), reason: line });
        }
        Ok(forward)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nobody waits for it, and a cluster that is gone has no namespace to delete.
        let delete = self
            .testbed
            .kubectl()
            .args(["delete", "namespace", &self.name, "--wait=false"])
            .stdout(Stdio::null())
            .status();
        drop(delete);
    }
}

/// A port on the machine's loopback that leads into the cluster, until the value is dropped.
#[derive(Debug)]
pub struct Forward {
    child: Child,
    address: String,
    /// Kept open: kubectl says a line for each connection, and ends when nobody listens.
    _output: Option<BufReader<ChildStdout>>,
}

impl Forward {
    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
