//! What Kubernetes takes as text is text: labels, annotations, environment variables, arguments, the content of ConfigMaps.
//!
//! `value: 0755` without quotes is the number 493. The API server refuses it, and the whole object with it.

use slipway_source::{Node, Scalar, Value};

use super::Findings;
use crate::environment::Environment;
use crate::object::Object;
use crate::path::{Path, Step};
use crate::pods::pods;

pub(super) fn check(environment: &Environment, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        let mut fields = Fields { found: Vec::new() };
        fields.metadata(&object.node, &Path::default());
        match object.id.kind.as_str() {
            "ConfigMap" => fields.map(&object.node, &Path::of("data")),
            "Secret" => {
                fields.map(&object.node, &Path::of("data"));
                fields.map(&object.node, &Path::of("stringData"));
            }
            "Service" => fields.map(&object.node, &Path::of("spec.selector")),
            _ => {}
        }
        for pod in pods(object) {
            if !pod.at.0.is_empty() {
                fields.metadata(pod.template, &pod.at);
            }
            fields.add_map(pod.template.find("spec.nodeSelector"), &pod.at.key("spec.nodeSelector"));
            for container in pod.containers() {
                fields.container(container.node, &container.at);
            }
        }
        if object.id.kind == "TrainJob"
            && let Some(trainer) = object.node.find("spec.trainer")
        {
            fields.container(trainer, &Path::of("spec.trainer"));
        }
        fields.report(object, findings);
    }
}

/// The fields of an object that must be texts and are not.
struct Fields<'a> {
    found: Vec<(Path, &'a Node)>,
}

impl<'a> Fields<'a> {
    fn metadata(&mut self, node: &'a Node, at: &Path) {
        for map in ["metadata.labels", "metadata.annotations"] {
            self.add_map(node.find(map), &at.key(map));
        }
    }

    fn container(&mut self, container: &'a Node, at: &Path) {
        for variable in container.items_at("env") {
            let named = at.key("env").named(variable.text_at("name").unwrap_or_default());
            self.add(variable.get("name"), &named.key("name"));
            self.add(variable.get("value"), &named.key("value"));
        }
        for list in ["command", "args"] {
            for (index, item) in container.items_at(list).iter().enumerate() {
                self.add(Some(item), &at.key(list).item(index));
            }
        }
    }

    fn map(&mut self, node: &'a Node, at: &Path) {
        let found = at.0.iter().try_fold(node, |node, step| match step {
            Step::Key(key) => node.get(key),
            _ => None,
        });
        self.add_map(found, at);
    }

    fn add_map(&mut self, map: Option<&'a Node>, at: &Path) {
        for entry in map.map(Node::entries).unwrap_or_default() {
            let mut at = at.clone();
            at.0.push(Step::Key(entry.key.clone()));
            self.add(Some(&entry.value), &at);
        }
    }

    /// Nothing is as good as an empty text.
    fn add(&mut self, node: Option<&'a Node>, at: &Path) {
        let Some(node) = node else { return };
        if !matches!(node.value, Value::Scalar { meaning: Scalar::Text | Scalar::Null, .. }) {
            self.found.push((at.clone(), node));
        }
    }

    fn report(self, object: &Object, findings: &mut Findings<'_>) {
        for (at, node) in self.found {
            let is = match &node.value {
                Value::Scalar { meaning: Scalar::Bool(value), .. } => format!("the truth value {value}"),
                Value::Scalar { meaning: Scalar::Integer(number) | Scalar::Float(number), .. } => {
                    format!("the number {number}")
                }
                Value::List(_) => "a list".to_owned(),
                _ => "a map".to_owned(),
            };
            let message = format!("{at} of {} is {is} for Kubernetes, which takes only a text here", object.id);
            findings.add(object, &at, "not-a-text", message, "put it in quotes");
        }
    }
}
