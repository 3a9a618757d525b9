//! kubectl with an administrator's rights.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// kubectl on the cluster.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { program, kubeconfig }
    }

    /// A kubectl command without arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut kubectl = Command::new(&self.program);
        kubectl.env("KUBECONFIG", &self.kubeconfig);
        kubectl
    }

    /// Runs kubectl and returns its output.
    ///
    /// # Errors
    /// If it fails; the error holds its message.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let done = self.command().args(arguments).stdin(Stdio::null()).output().context("running kubectl")?;
        ensure!(done.status.success(), "kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// Runs kubectl with something on its standard input, and returns its output.
    ///
    /// # Errors
    /// If it fails; the error holds its message.
    pub fn give(&self, arguments: &[&str], input: &Value) -> Result<String> {
        let mut kubectl = self.command();
        kubectl.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = kubectl.spawn().context("running kubectl")?;
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        let input = input.to_string();
        // kubectl writes answers while it still reads
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let done = child.wait_with_output()?;
        let is_read = writer.join().is_ok_and(|wrote| wrote.is_ok());
        let errors = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success() && is_read, "kubectl {}: {}: {errors}", arguments.join(" "), done.status);
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// One object, or a list of them.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let all = [&["get", "-o", "json"], arguments].concat();
        Ok(serde_json::from_str(&self.run(&all)?)?)
    }

    /// The objects of a list.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub fn list(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let list = self.get(arguments)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// One key of a Secret.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<String> {
        use base64::Engine as _;

        let secret = self.get(&["secret", name, "-n", namespace])?;
        let value = secret["data"][key].as_str().with_context(|| format!("{namespace}/{name} has no {key}"))?;
        Ok(String::from_utf8(base64::engine::general_purpose::STANDARD.decode(value)?)?)
    }

    /// Kills the pods with a label at once, as a crash does. Returns their ids, since a StatefulSet reuses a pod's name.
    ///
    /// # Errors
    /// If no pod has the label.
    pub fn kill(&self, namespace: &str, label: &str) -> Result<Vec<String>> {
        let pods = self.list(&["pods", "-n", namespace, "-l", label])?;
        let ids: Vec<String> = pods.iter().map(|pod| text(pod, "/metadata/uid").to_owned()).collect();
        ensure!(!ids.is_empty(), "no pod in {namespace} has the label {label}");
        self.run(&["delete", "pod", "-n", namespace, "-l", label, "--grace-period=0", "--force", "--wait=false"])?;
        Ok(ids)
    }
}

/// The string at a JSON pointer; empty if there is none.
#[must_use]
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
