//! A TrainJob as its file says it: all that a run is made from.

use std::path::PathBuf;

use serde::Deserialize;

/// What of a TrainJob matters to running it. A field that is not known here is an error: it would be ignored otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainJob {
    /// `metadata.name`
    pub name: String,
    /// The program and its arguments: `command` followed by `args`; not empty.
    pub command: Vec<String>,
    /// `env`, in order.
    pub environment: Vec<(String, String)>,
    /// `numNodes`, at least 1.
    pub nodes: usize,
    /// `numProcPerNode`, at least 1; told to the workers.
    pub processes_per_node: usize,
    /// CPU requested by each node, in thousandths.
    pub cpu_millis: u64,
    /// `activeDeadlineSeconds`
    pub deadline_seconds: Option<u64>,
}

impl TrainJob {
    /// Reads a rendered file.
    ///
    /// # Errors
    /// Says where the file is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if (file.api_version.as_str(), file.kind.as_str()) != ("trainer.kubeflow.org/v1alpha1", "TrainJob") {
            return Err(format!(
                "this is {} {}, not trainer.kubeflow.org/v1alpha1 TrainJob",
                file.api_version, file.kind
            ));
        }
        let trainer = file.spec.trainer;
        let command: Vec<String> = trainer.command.into_iter().chain(trainer.args).collect();
        if command.first().is_none_or(|program| program.is_empty()) {
            return Err("spec.trainer.command is empty: name the program to run".to_owned());
        }
        let name = file.metadata.name;
        // The name becomes a folder.
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Err(format!("metadata.name {name:?} may hold a-z, 0-9 and - only"));
        }
        if let Some(variable) = trainer.env.iter().find(|variable| variable.name.starts_with("PET_")) {
            return Err(format!("spec.trainer.env sets {}: PET_* are Trainer's to set", variable.name));
        }
        let (nodes, processes_per_node) = (trainer.num_nodes.unwrap_or(1), trainer.num_proc_per_node.unwrap_or(1));
        if nodes == 0 || processes_per_node == 0 {
            return Err("spec.trainer.numNodes and numProcPerNode must be at least 1".to_owned());
        }
        let requests = trainer.resources_per_node.requests;
        Ok(Self {
            name,
            command,
            environment: trainer.env.into_iter().map(|variable| (variable.name, variable.value)).collect(),
            nodes,
            processes_per_node,
            cpu_millis: requests.cpu.map_or(Ok(1000), |cpu| millis(&cpu))?,
            deadline_seconds: file.spec.active_deadline_seconds,
        })
    }

    /// CPU that all its nodes request together, in thousandths.
    pub(crate) fn all_cpu_millis(&self) -> u64 {
        self.cpu_millis.saturating_mul(self.nodes as u64)
    }
}

/// A Kubernetes CPU quantity, `2`, `0.5` or `500m`, in thousandths.
fn millis(quantity: &str) -> Result<u64, String> {
    let error = || format!("cpu {quantity:?} is not a quantity such as \"1\", \"0.5\" or \"500m\"");
    if let Some(millis) = quantity.strip_suffix('m') {
        return millis.parse().map_err(|_| error());
    }
    let cpus: f64 = quantity.parse().map_err(|_| error())?;
    if !(0.0..=1e6).contains(&cpus) {
        return Err(error());
    }
    Ok((cpus * 1000.0).ceil() as u64)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

/// Labels and annotations are not the runner's concern.
#[derive(Deserialize)]
struct Metadata {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    active_deadline_seconds: Option<u64>,
    #[serde(rename = "runtimeRef")]
    _runtime_ref: serde_json::Value,
    trainer: Trainer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trainer {
    #[serde(rename = "image")]
    _image: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    args: Vec<String>,
    num_nodes: Option<usize>,
    num_proc_per_node: Option<usize>,
    #[serde(default)]
    env: Vec<Variable>,
    #[serde(default)]
    resources_per_node: Resources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Resources {
    #[serde(default)]
    requests: Amounts,
    #[serde(default, rename = "limits")]
    _limits: Amounts,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Amounts {
    cpu: Option<String>,
    #[serde(rename = "memory")]
    _memory: Option<String>,
}

/// The program that a command names: ours by name, since the image that holds it in a cluster is not used here.
pub(crate) fn program(command: &str, trainer: &std::path::Path) -> PathBuf {
    if command == "slipway-trainer" { trainer.to_owned() } else { PathBuf::from(command) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: a-1, namespace: training, labels: {slipway.dev/experiment: a}}
spec:
  activeDeadlineSeconds: 1800
  runtimeRef: {apiGroup: trainer.kubeflow.org, kind: ClusterTrainingRuntime, name: slipway-torch}
  trainer:
    image: slipway/trainer:0.1.0
    command: [slipway-trainer]
    numNodes: 2
    numProcPerNode: 1
    env: [{name: OMP_NUM_THREADS, value: "1"}]
    resourcesPerNode: {requests: {cpu: "1", memory: 2Gi}, limits: {cpu: "1", memory: 2Gi}}
"#;

    #[test]
    fn a_rendered_file_is_read() {
        let job = TrainJob::read(JOB).unwrap();
        assert_eq!((job.nodes, job.processes_per_node, job.all_cpu_millis()), (2, 1, 2000));
        assert_eq!((job.deadline_seconds, job.command.len()), (Some(1800), 1));
        assert_eq!(job.environment, [("OMP_NUM_THREADS".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn a_wrong_file_is_refused() {
        for (from, to) in [
            ("numNodes", "numNode"),
            ("kind: TrainJob", "kind: Job"),
            ("name: a-1", "name: ../a"),
            ("[slipway-trainer]", "[]"),
            ("OMP_NUM_THREADS", "PET_NNODES"),
            ("{cpu: \"1\", memory", "{cpu: one, memory"),
            ("numNodes: 2", "numNodes: 0"),
        ] {
            assert!(JOB.contains(from));
            assert!(TrainJob::read(&JOB.replacen(from, to, 1)).is_err(), "{from} to {to}");
        }
    }

    #[test]
    fn cpu_is_counted_in_thousandths() {
        assert_eq!(["1", "0.5", "250m", "1.5"].map(|text| millis(text).unwrap()), [1000, 500, 250, 1500]);
        assert!(["", "x", "-1", "NaN", "1Gi"].iter().all(|text| millis(text).is_err()));
    }
}
