//! Reads a rendered TrainJob, the only input of a run.

use std::collections::BTreeMap;

use serde::Serialize;
use slipway_names::{annotation, env, label};
use slipway_source::{Finding, Node, document, excerpt};

use crate::cost::hours;
use crate::expansion::expand;
use crate::read_rendered::read_rendered;
use crate::reader::{Fields, ROOT, Reader};
use crate::render::GPU;
use crate::{Provenance, Quantity, Trial, TrialError};

/// A TrainJob with everything that running it needs. Every field of the file is here; a file with any other field is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainJob {
    /// `metadata.name`
    pub name: String,
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.labels`
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`
    pub annotations: BTreeMap<String, String>,
    /// `spec.activeDeadlineSeconds`
    pub active_deadline_seconds: u64,
    /// `spec.runtimeRef.name`
    pub runtime: String,
    /// `spec.trainer.image`
    pub image: String,
    /// `spec.trainer.command`: the program and its first arguments; not empty.
    pub command: Vec<String>,
    /// `spec.trainer.args`: arguments after those of the command; often empty.
    pub args: Vec<String>,
    /// `spec.trainer.numNodes`: the number of pods.
    pub num_nodes: u32,
    /// `spec.trainer.numProcPerNode`: the number of processes in each pod.
    pub num_proc_per_node: u32,
    /// `spec.trainer.env` in the file's order, without duplicates.
    pub env: Vec<EnvVar>,
    /// CPU requested for each node, in thousandths.
    pub cpu_millis: u64,
    /// Memory requested for each node, in bytes.
    pub memory_bytes: u64,
    /// GPUs requested for each node.
    pub gpus: u32,
}

/// One environment variable of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl TrainJob {
    /// The value of an environment variable as the file has it; `None` if the job does not set it.
    pub fn env_var(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|var| var.name == name).map(|var| var.value.as_str())
    }

    /// The most CPU-hours that it can use: nodes × cpu × deadline.
    pub fn cpu_hours(&self) -> f64 {
        hours(u64::from(self.num_nodes), self.cpu_millis, self.active_deadline_seconds)
    }

    /// The most GPU-hours that it can use: nodes × gpus × deadline.
    pub fn gpu_hours(&self) -> f64 {
        hours(u64::from(self.num_nodes), u64::from(self.gpus) * 1000, self.active_deadline_seconds)
    }

    /// What a rendering does not derive from the experiment; rendering again keeps it.
    pub fn provenance(&self) -> Provenance {
        let annotation = |name: &str| self.annotations.get(name).cloned();
        Provenance {
            image: self.image.clone(),
            blob: annotation(annotation::EXPERIMENT_BLOB),
            commit: annotation(annotation::COMMIT),
            program_tree: annotation(annotation::PROGRAM_TREE),
        }
    }

    /// The experiment file that it was rendered from, from the repository's root.
    pub fn experiment_file(&self) -> Option<&str> {
        self.annotations.get(annotation::EXPERIMENT_FILE).map(String::as_str)
    }

    /// The experiment that it belongs to.
    pub fn experiment(&self) -> Option<&str> {
        self.labels.get(label::EXPERIMENT).map(String::as_str)
    }

    /// The values of the environment variables as a worker gets them, in the file's order: `$(NAME)` is the value of a variable before it.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = Vec::with_capacity(self.env.len());
        for EnvVar { name, value } in &self.env {
            let value = expand(value, &environment);
            environment.push((name.clone(), value));
        }
        environment
    }

    /// The trial that `SLIPWAY_TRIAL` holds; `None` if the job has no such variable.
    ///
    /// # Errors
    /// If the variable does not hold a trial. A worker would fail with the same error.
    pub fn trial(&self) -> Result<Option<Trial>, TrialError> {
        let environment = self.environment();
        let trial = environment.iter().find(|(name, _)| name == env::TRIAL);
        trial.map(|(_, text)| Trial::from_json(text)).transpose()
    }
}

/// Reads a rendered TrainJob; `file` is named in messages.
///
/// # Errors
/// The first mistake in the file.
pub fn read_job(file: &str, text: &str) -> Result<TrainJob, Finding> {
    // nearly all files are as they were rendered, and YAML takes long
    read_rendered(text).map_or_else(|| read_yaml(file, text), Ok)
}

/// Reads a TrainJob that may be written in any way.
pub(crate) fn read_yaml(file: &str, text: &str) -> Result<TrainJob, Finding> {
    let tree = document(text).map_err(|malformed| malformed.in_file(file))?;
    let reader = Reader::new(file);
    let job = job(&reader, &tree);
    reader.finish(job).map_err(|mut findings| findings.swap_remove(0))
}

fn job(reader: &Reader<'_>, tree: &Node) -> Option<TrainJob> {
    let root = reader.map(tree, ROOT, &["apiVersion", "kind", "metadata", "spec"])?;
    reader.constant(&root, "apiVersion", "wrong-api-version", "trainer.kubeflow.org/v1alpha1");
    reader.constant(&root, "kind", "wrong-kind", "TrainJob");
    let metadata =
        reader.map(reader.required(&root, "metadata")?, "metadata", &["name", "namespace", "labels", "annotations"])?;
    let spec =
        reader.map(reader.required(&root, "spec")?, "spec", &["activeDeadlineSeconds", "runtimeRef", "trainer"])?;
    let allowed = ["image", "command", "args", "numNodes", "numProcPerNode", "env", "resourcesPerNode"];
    let trainer = reader.map(reader.required(&spec, "trainer")?, "spec.trainer", &allowed)?;

    let name = reader.required(&metadata, "name").and_then(|node| reader.label(node, "metadata.name"));
    let namespace = reader.required(&metadata, "namespace").and_then(|node| reader.label(node, "metadata.namespace"));
    let deadline = reader
        .required(&spec, "activeDeadlineSeconds")
        .and_then(|node| reader.integer(node, "spec.activeDeadlineSeconds", 1..=i64::MAX as u64));
    let image = text(reader, &trainer, "image");
    let command = reader.required(&trainer, "command").and_then(|node| command(reader, node));
    let args = match trainer.optional("args") {
        Some(node) => texts(reader, node, "spec.trainer.args"),
        None => Some(Vec::new()),
    };
    let count =
        |name| reader.required(&trainer, name).and_then(|node| reader.integer32(node, &trainer.at(name), 1..=10_000));
    let (num_nodes, num_proc_per_node) = (count("numNodes"), count("numProcPerNode"));
    let env = match trainer.optional("env") {
        Some(node) => env(reader, node),
        None => Some(Vec::new()),
    };
    let requests = reader.required(&trainer, "resourcesPerNode").and_then(|node| requests(reader, node));
    let labels = pairs(reader, &metadata, "labels");
    let annotations = pairs(reader, &metadata, "annotations");
    let runtime = reader.required(&spec, "runtimeRef").and_then(|node| runtime(reader, node));

    let Amounts { cpu, memory, gpus } = requests?;
    Some(TrainJob {
        name: name?.to_owned(),
        namespace: namespace?.to_owned(),
        labels: labels?,
        annotations: annotations?,
        active_deadline_seconds: deadline?,
        runtime: runtime?,
        image: image?,
        command: command?,
        args: args?,
        num_nodes: num_nodes?,
        num_proc_per_node: num_proc_per_node?,
        env: env?,
        cpu_millis: cpu.millis(),
        memory_bytes: memory.ceil(),
        gpus,
    })
}

fn text(reader: &Reader<'_>, fields: &Fields<'_>, name: &'static str) -> Option<String> {
    reader.required(fields, name).and_then(|node| reader.text(node, &fields.at(name))).map(str::to_owned)
}

fn texts(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Vec<String>> {
    let nodes = reader.list(node, path, "a list of texts")?;
    nodes.iter().map(|node| reader.text(node, path).map(str::to_owned)).collect()
}

fn command(reader: &Reader<'_>, node: &Node) -> Option<Vec<String>> {
    let command = texts(reader, node, "spec.trainer.command")?;
    if command.is_empty() {
        reader.add(
            node.at,
            "out-of-range",
            "spec.trainer.command is empty",
            "name the program to run, such as [slipway-trainer]",
        );
        return None;
    }
    Some(command)
}

fn pairs(reader: &Reader<'_>, fields: &Fields<'_>, name: &'static str) -> Option<BTreeMap<String, String>> {
    let Some(node) = fields.optional(name) else {
        return Some(BTreeMap::new());
    };
    let path = fields.at(name);
    let entries = reader.entries(node, &path, "a map of texts")?;
    entries
        .iter()
        .map(|entry| {
            Some((entry.key.clone(), reader.text(&entry.value, &format!("{path}.{}", excerpt(&entry.key)))?.to_owned()))
        })
        .collect()
}

fn runtime(reader: &Reader<'_>, node: &Node) -> Option<String> {
    let fields = reader.map(node, "spec.runtimeRef", &["apiGroup", "kind", "name"])?;
    reader.constant(&fields, "apiGroup", "wrong-value", "trainer.kubeflow.org");
    reader.constant(&fields, "kind", "wrong-value", "ClusterTrainingRuntime");
    text(reader, &fields, "name")
}

fn env(reader: &Reader<'_>, node: &Node) -> Option<Vec<EnvVar>> {
    let nodes = reader.list(node, "spec.trainer.env", "a list of `{name: …, value: …}`")?;
    let mut vars: Vec<EnvVar> = Vec::with_capacity(nodes.len());
    let mut whole = true;
    for node in nodes {
        let Some(var) = env_var(reader, node) else {
            whole = false;
            continue;
        };
        if vars.iter().any(|other| other.name == var.name) {
            reader.add(
                node.at,
                "wrong-value",
                format!("spec.trainer.env has `{}` twice", excerpt(&var.name)),
                "keep one of the two",
            );
        }
        if var.name.starts_with("PET_") {
            let message = format!("spec.trainer.env sets `{}`, which Trainer sets itself", excerpt(&var.name));
            reader.add(
                node.at,
                "reserved-env",
                message,
                "remove it: variables that start with PET_ come from numNodes and numProcPerNode",
            );
        }
        vars.push(var);
    }
    whole.then_some(vars)
}

fn env_var(reader: &Reader<'_>, node: &Node) -> Option<EnvVar> {
    let fields = reader.map(node, "spec.trainer.env", &["name", "value"])?;
    let (name, value) = (text(reader, &fields, "name"), text(reader, &fields, "value"));
    Some(EnvVar { name: name?, value: value? })
}

/// What each node requests.
struct Amounts {
    cpu: Quantity,
    memory: Quantity,
    gpus: u32,
}

fn requests(reader: &Reader<'_>, node: &Node) -> Option<Amounts> {
    let fields = reader.map(node, "spec.trainer.resourcesPerNode", &["requests", "limits"])?;
    let limits = fields.optional("limits").map(|node| (node.at, amounts(reader, node, &fields.at("limits"))));
    let requests = amounts(reader, reader.required(&fields, "requests")?, &fields.at("requests"))?;
    let limited = match &limits {
        Some((_, limits)) => limits.as_ref()?.gpus,
        None => 0,
    };
    if limited != requests.gpus {
        let message = format!("{GPU} is {} in the requests and {limited} in the limits", requests.gpus);
        let at = limits.map_or(node.at, |(at, _)| at);
        reader.add(at, "wrong-value", message, "Kubernetes shares no GPU: give both the same number");
        return None;
    }
    Some(requests)
}

fn amounts(reader: &Reader<'_>, node: &Node, path: &str) -> Option<Amounts> {
    let fields = reader.map(node, path, &["cpu", "memory", GPU])?;
    let amount = |name: &'static str| {
        let node = reader.required(&fields, name)?;
        let text = reader.scalar(node, &fields.at(name), "a quantity", "such as \"1\", 500m or 2Gi")?;
        let quantity = text.parse::<Quantity>();
        if let Err(error) = &quantity {
            let message = format!("{} is `{}`: {}", fields.at(name), excerpt(text), excerpt(&error.to_string()));
            reader.add(node.at, "wrong-unit", message, "a Kubernetes quantity, such as \"1\", 500m or 2Gi");
        }
        quantity.ok()
    };
    let (cpu, memory) = (amount("cpu"), amount("memory"));
    let gpus = match fields.optional(GPU) {
        Some(node) => gpus(reader, node, &fields.at(GPU)),
        None => Some(0),
    };
    Some(Amounts { cpu: cpu?, memory: memory?, gpus: gpus? })
}

/// A whole number of GPUs, quoted or not.
fn gpus(reader: &Reader<'_>, node: &Node, path: &str) -> Option<u32> {
    const HELP: &str = "a whole number of GPUs, such as \"1\"";
    let text = reader.scalar(node, path, "a number of GPUs", HELP)?;
    let gpus = text.parse().ok();
    if gpus.is_none() {
        reader.add(node.at, "wrong-unit", format!("{path} is `{}`", excerpt(text)), HELP);
    }
    gpus
}
