//! One test's own namespace.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace as Object, ServiceAccount};
use kube::api::{Api, DynamicObject, ObjectMeta, PostParams, TypeMeta};
use kube::{Client, ResourceExt as _};
use slipway_cluster::Deadline;

use super::Testbed;
use crate::cluster::{Error, Manifest, Tried as _, apply};

/// A namespace that is deleted when the value is dropped.
pub struct Namespace {
    name: String,
    testbed: Testbed,
    api: slipway_cluster::Cluster,
}

impl Namespace {
    pub(super) async fn create(testbed: &Testbed, prefix: &str, labels: &[(&str, &str)]) -> Result<Self, Error> {
        let api = testbed.api().await?;
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let metadata =
            ObjectMeta { generate_name: Some(format!("{prefix}-")), labels: Some(labels), ..ObjectMeta::default() };
        let object = Object { metadata, ..Object::default() };
        let name = Api::<Object>::all(api.client().clone()).create(&PostParams::default(), &object).await?.name_any();
        let namespace = Self { name, testbed: testbed.clone(), api };
        // pods are refused until their service account exists
        let accounts: Api<ServiceAccount> = Api::namespaced(namespace.client().clone(), &namespace.name);
        let (what, limit) = (format!("the service account of namespace {}", namespace.name), Duration::from_secs(10));
        let exists = |account: Option<&ServiceAccount>| account.is_some();
        namespace.api.wait_for(accounts, "default", &what, Deadline::after(limit), exists).await?;
        Ok(namespace)
    }

    /// The namespace's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// kube's client of the cluster's API.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.api.client()
    }

    /// A command of kubectl for this namespace.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut kubectl = self.testbed.kubectl();
        kubectl.args(["--namespace", &self.name]).args(arguments);
        kubectl
    }

    /// Runs kubectl, and returns what it prints.
    ///
    /// # Errors
    /// kubectl fails; the message has its output.
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
    /// Text that is not YAML, or an object that the API server refuses.
    pub async fn apply(&self, yaml: &str) -> Result<(), Error> {
        let manifest =
            Manifest::parse(yaml).map_err(|reason| Error::Manifest { file: "the test's manifest".into(), reason })?;
        apply(&self.api, &manifest, &self.name).await
    }

    /// Waits until a condition holds for an object of this namespace, and returns the object. `kind` is `VERSION/KIND` or `GROUP/VERSION/KIND`.
    ///
    /// # Errors
    /// The condition does not hold within `limit`; the message has the object's last status.
    pub async fn wait(
        &self,
        kind: &str,
        name: &str,
        limit: Duration,
        condition: impl Fn(&DynamicObject) -> bool + Send + Sync,
    ) -> Result<DynamicObject, Error> {
        self.wait_in(&self.name, kind, name, limit, condition).await
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
        condition: impl Fn(&DynamicObject) -> bool + Send + Sync,
    ) -> Result<DynamicObject, Error> {
        let (api_version, kind) = kind.rsplit_once('/').unwrap_or(("v1", kind));
        let types = TypeMeta { api_version: api_version.to_owned(), kind: kind.to_owned() };
        let api = self.api.api_of(Some(&types), namespace).await?;
        let last = Arc::new(Mutex::new(serde_json::Value::Null));
        let is_met = |object: Option<&DynamicObject>| {
            let Some(object) = object else { return false };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = object.data["status"].clone();
            condition(object)
        };
        let what = format!("{kind} {namespace}/{name}");
        match self.api.wait_for(api, name, &what, Deadline::after(limit), is_met).await {
            Ok(Some(object)) => Ok(object),
            Ok(None) | Err(slipway_cluster::Error::Timeout { .. }) => {
                let last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let evidence = format!("; its last status: {last:#}");
                Err(Error::Late { what, limit, evidence })
            }
            Err(error) => Err(error.into()),
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
            output.read_line(&mut line).tried("reading what kubectl port-forward prints")?;
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
        // nobody waits for the end, and a cluster that is down has no namespace to delete
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
    /// Kept open: kubectl prints a line for each connection, and ends when it cannot.
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
