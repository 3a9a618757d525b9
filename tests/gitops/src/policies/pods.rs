//! The pods that objects make.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::selector::{Labels, labels, list};

/// The namespace of TrainJobs: where the pods of a runtime, which belongs to no namespace, run.
const TRAINING: &str = "training";

/// A pod as its template describes it: one for all of its replicas.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// The name of the object that makes it.
    pub name: String,
    /// Its labels. Those that Kubernetes adds while it runs are not among them.
    pub labels: Labels,
    /// The ports that its containers declare.
    pub ports: Vec<ContainerPort>,
}

/// A port that a container declares.
#[derive(Debug, Clone)]
pub struct ContainerPort {
    /// Its name, where it has one.
    pub name: Option<String>,
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// What a policy can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, the default.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    pub(super) fn read(value: &Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Self::Tcp),
            value => match value.as_str() {
                Some("TCP") => Ok(Self::Tcp),
                Some("UDP") => Ok(Self::Udp),
                Some("SCTP") => Ok(Self::Sctp),
                _ => bail!("no protocol: {value}"),
            },
        }
    }
}

impl Pod {
    /// The pods that an object makes.
    ///
    /// # Errors
    /// When it makes pods in a way that is not known here, or such that no policy concerns them.
    pub fn of(object: &Value) -> Result<Vec<Self>> {
        let namespace = object["metadata"]["namespace"].as_str();
        let name = object["metadata"]["name"].as_str().context("an object without a name")?;
        match object["kind"].as_str().unwrap_or_default() {
            "Pod" => Ok(vec![Self::read(namespace, name, object)?]),
            "DaemonSet" | "Deployment" | "Job" | "ReplicaSet" | "StatefulSet" => {
                Ok(vec![Self::read(namespace, name, &object["spec"]["template"])?])
            }
            "CronJob" => Ok(vec![Self::read(namespace, name, &object["spec"]["jobTemplate"]["spec"]["template"])?]),
            "ClusterTrainingRuntime" => list(&object["spec"]["template"]["spec"]["replicatedJobs"])?
                .iter()
                .map(|job| {
                    let name = format!("{name}-{}", job["name"].as_str().context("a replicated job without a name")?);
                    Self::read(Some(TRAINING), &name, &job["template"]["spec"]["template"])
                })
                .collect(),
            // Its schema may describe containers.
            "CustomResourceDefinition" => Ok(Vec::new()),
            kind => {
                ensure!(!has_containers(object), "{kind} {name} seems to make pods, which are not judged");
                Ok(Vec::new())
            }
        }
    }

    fn read(namespace: Option<&str>, name: &str, template: &Value) -> Result<Self> {
        let namespace = namespace.with_context(|| format!("{name} names no namespace"))?.to_owned();
        let spec = &template["spec"];
        ensure!(spec["hostNetwork"] != true, "{namespace}/{name} is in its node's network, where no policy holds");
        let mut ports = Vec::new();
        for container in list(&spec["containers"])? {
            for port in list(&container["ports"])? {
                ports.push(ContainerPort {
                    name: port["name"].as_str().map(str::to_owned),
                    number: number(&port["containerPort"])?,
                    protocol: Protocol::read(&port["protocol"])?,
                });
            }
        }
        Ok(Self { namespace, name: name.to_owned(), labels: labels(&template["metadata"]["labels"])?, ports })
    }

    /// The number that a name stands for at this pod.
    pub(super) fn number_of(&self, name: &str, protocol: Protocol) -> Option<u16> {
        let found = self.ports.iter().find(|port| port.name.as_deref() == Some(name) && port.protocol == protocol);
        found.map(|port| port.number)
    }
}

impl std::fmt::Display for Pod {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A port's number.
pub(super) fn number(value: &Value) -> Result<u16> {
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    number.with_context(|| format!("no port: {value}"))
}

fn has_containers(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.contains_key("containers") || map.values().any(has_containers),
        Value::Array(items) => items.iter().any(has_containers),
        _ => false,
    }
}
