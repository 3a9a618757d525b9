//! Whether a cluster is one that the stack can run on. Pure: what the API server said goes in.

use serde::Serialize;
use serde_json::Value;

use crate::fields::{name, text};

/// What the stack asks of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// The oldest version that will do, such as `(1, 31)`.
    pub version: (u32, u32),
    /// The architectures that there are images for, in Kubernetes' words.
    pub architectures: Vec<String>,
    /// A storage class by name; empty for the default one; none when no storage is asked for.
    pub storage_class: Option<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Examined {
    /// What.
    pub what: String,
    /// Whether it is as it must be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
}

impl Examined {
    pub(crate) fn new(what: &str, ok: bool, found: impl Into<String>, how: &str) -> Self {
        Self { what: what.to_owned(), ok, found: found.into(), how: (!ok).then(|| how.to_owned()) }
    }
}

/// `{"major": "1", "minor": "34+"}`
pub(crate) fn version(version: &Value, oldest: (u32, u32)) -> Examined {
    let digits = |pointer: &str| -> Option<u32> {
        let text: String = text(version, pointer).chars().take_while(char::is_ascii_digit).collect();
        text.parse().ok()
    };
    let found = digits("/major").zip(digits("/minor"));
    let shown = text(version, "/gitVersion").to_owned();
    let (major, minor) = oldest;
    let how = format!("upgrade it to {major}.{minor} or newer: Kubeflow Trainer needs that");
    Examined::new("Kubernetes' version", found.is_some_and(|found| found >= oldest), shown, &how)
}

/// Nodes that can run something, and of which architecture.
pub(crate) fn nodes(nodes: &[Value], architectures: &[String]) -> Examined {
    let what = "nodes";
    let usable: Vec<&Value> = nodes
        .iter()
        .filter(|node| crate::fields::is_true(node, "Ready"))
        .filter(|node| node.pointer("/spec/unschedulable") != Some(&Value::Bool(true)))
        .collect();
    if usable.is_empty() {
        let found = format!("none of {} is ready", nodes.len());
        return Examined::new(what, false, found, "`kubectl describe nodes` says why");
    }
    let mut of: Vec<&str> = usable.iter().map(|node| text(node, "/status/nodeInfo/architecture")).collect();
    of.sort_unstable();
    of.dedup();
    let other: Vec<&str> = of.iter().copied().filter(|one| !architectures.iter().any(|known| known == one)).collect();
    let found = format!("{} ready, {}", usable.len(), of.join(" and "));
    let how =
        format!("there are images for {} only; add nodes of those, or taint the others", architectures.join(" and "));
    // a mixed cluster places pods where their images run only when it is told to
    Examined::new(what, other.is_empty(), found, &how)
}

/// The storage class that claims will get.
pub(crate) fn storage_class(classes: &[Value], wanted: &str) -> Examined {
    const DEFAULT: &str = "/metadata/annotations/storageclass.kubernetes.io~1is-default-class";
    let names: Vec<&str> = classes.iter().map(name).collect();
    let there = if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
    if wanted.is_empty() {
        let default = classes.iter().find(|class| text(class, DEFAULT) == "true");
        let how = "mark one as the default: kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true";
        let found = default.map_or_else(|| format!("no default; {there}"), |class| name(class).to_owned());
        return Examined::new("default storage class", default.is_some(), found, how);
    }
    let ok = names.contains(&wanted);
    let found = if ok { wanted.to_owned() } else { format!("no {wanted}; {there}") };
    Examined::new("storage class", ok, found, "create it, or name another one in clusters/<env>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("1", "34", true)]
    #[case("1", "31+", true)]
    #[case("1", "30", false)]
    #[case("2", "0", true)]
    #[case("", "", false)]
    fn old_versions_are_refused(#[case] major: &str, #[case] minor: &str, #[case] ok: bool) {
        let said = json!({"major": major, "minor": minor, "gitVersion": "v"});
        assert_eq!(version(&said, (1, 31)).ok, ok);
    }

    fn node(architecture: &str, ready: &str) -> Value {
        json!({"status": {"nodeInfo": {"architecture": architecture}, "conditions": [{"type": "Ready", "status": ready}]}})
    }

    #[test]
    fn nodes_must_be_ready_and_of_an_architecture_with_images() {
        let known = ["amd64".to_owned(), "arm64".to_owned()];
        assert!(nodes(&[node("arm64", "True"), node("s390x", "False")], &known).ok);
        assert!(!nodes(&[node("amd64", "False")], &known).ok);
        assert!(!nodes(&[], &known).ok);
        let mixed = nodes(&[node("amd64", "True"), node("riscv64", "True")], &known);
        assert!(!mixed.ok && mixed.found.contains("riscv64"), "{mixed:?}");
    }

    #[test]
    fn claims_need_a_class() {
        let class = |name: &str, default: &str| json!({"metadata": {"name": name, "annotations": {"storageclass.kubernetes.io/is-default-class": default}}});
        assert!(storage_class(&[class("a", "false"), class("b", "true")], "").ok);
        assert!(!storage_class(&[class("a", "false")], "").ok);
        assert!(storage_class(&[class("a", "false")], "a").ok);
        let missing = storage_class(&[class("a", "false")], "fast");
        assert!(!missing.ok && missing.found.contains("there are: a"), "{missing:?}");
    }
}
