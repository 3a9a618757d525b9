//! Argo CD's ApplicationSets: the Applications that one makes.
//!
//! A list generator is expanded, with templates that only name its parameters. What other generators give depends on clusters,
//! repositories and services, which are not here.

use std::collections::BTreeMap;
use std::sync::Arc;

use slipway_source::{Entry, Node, Scalar, Value};

use crate::object::{Id, Object};
use crate::path::Path;

/// Why an ApplicationSet is not expanded: the field, and the reason.
pub(crate) type Reason = (Path, String);

/// Whether an object is an ApplicationSet.
pub(crate) fn is_set(object: &Object) -> bool {
    object.id.kind == "ApplicationSet" && object.id.group == "argoproj.io"
}

/// The Applications that an ApplicationSet makes, as objects.
///
/// # Errors
/// The first thing that is not understood here, or that Argo CD refuses.
pub(crate) fn expand(set: &Object) -> Result<Vec<Object>, Reason> {
    let go_template = set.node.is_true("spec.goTemplate");
    let template = set.node.find("spec.template");
    let template = template.ok_or_else(|| (Path::of("spec"), "it has no template".to_owned()))?;
    if set.node.find("spec.templatePatch").is_some() {
        return Err((Path::of("spec.templatePatch"), "patches of templates are not understood here".to_owned()));
    }
    let shared = Arc::new(set.clone());
    let mut made = Vec::new();
    for (index, generator) in set.node.items_at("spec.generators").iter().enumerate() {
        let at = Path::of("spec.generators").item(index);
        for (number, element) in elements(generator, &at)?.iter().enumerate() {
            let at = at.key("list.elements").item(number);
            let parameters = parameters(element, go_template).map_err(|reason| (at, reason))?;
            let filled = fill(template, &|text| replace(text, &parameters, go_template));
            let filled = filled.map_err(|reason| (Path::of("spec.template"), reason))?;
            made.push(application(set, &shared, filled)?);
        }
    }
    Ok(made)
}

/// The elements of a list generator.
fn elements<'a>(generator: &'a Node, at: &Path) -> Result<&'a [Node], Reason> {
    if let Some(other) = generator.entries().iter().find(|entry| entry.key != "list") {
        return Err((at.key(&other.key), format!("the generator `{}` is not understood here", other.key)));
    }
    let list = generator.get("list").ok_or_else(|| (at.clone(), "it has an empty generator".to_owned()))?;
    if let Some(other) = list.entries().iter().find(|entry| entry.key != "elements") {
        let other = &other.key;
        return Err((at.key("list").key(other), format!("`{other}` of a list generator is not understood here")));
    }
    Ok(list.items_at("elements"))
}

/// An element's parameters: by their names, and nested ones by their paths.
fn parameters(element: &Node, go_template: bool) -> Result<BTreeMap<String, String>, String> {
    let mut parameters = BTreeMap::new();
    for entry in element.entries() {
        match &entry.value.value {
            Value::Scalar { text, meaning: Scalar::Text, .. } => {
                parameters.insert(entry.key.clone(), text.clone());
            }
            Value::Map(_) if go_template || entry.key == "values" => {
                for (key, text) in self::parameters(&entry.value, go_template)? {
                    parameters.insert(format!("{}.{key}", entry.key), text);
                }
            }
            Value::Scalar { text, meaning: Scalar::Bool(_) | Scalar::Integer(_), .. } if go_template => {
                parameters.insert(entry.key.clone(), text.clone());
            }
            _ => return Err(format!("the parameter `{}` is not a text", entry.key)),
        }
    }
    Ok(parameters)
}

/// A text with its parameters. Without Go templates an unknown parameter stays as it is, as in Argo CD.
fn replace(text: &str, parameters: &BTreeMap<String, String>, go_template: bool) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, after)) = after.split_once("}}") else { break };
        filled.push_str(before);
        let name = tag.trim();
        let known = match name.strip_prefix('.') {
            Some(path) if go_template => parameters.get(path),
            None if !go_template => parameters.get(name),
            _ => None,
        };
        match known {
            Some(value) => filled.push_str(value),
            None if go_template => return Err(format!("the expression `{{{{{tag}}}}}` is not understood here")),
            None => filled.push_str(&format!("{{{{{tag}}}}}")),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A tree with every text replaced, keys included.
fn fill(node: &Node, replace: &impl Fn(&str) -> Result<String, String>) -> Result<Node, String> {
    let value = match &node.value {
        Value::Scalar { text, meaning: Scalar::Text, .. } => {
            Value::Scalar { text: replace(text)?, plain: false, meaning: Scalar::Text }
        }
        other @ Value::Scalar { .. } => other.clone(),
        Value::List(items) => Value::List(items.iter().map(|item| fill(item, replace)).collect::<Result<_, _>>()?),
        Value::Map(entries) => {
            let filled = entries.iter().map(|entry| {
                Ok(Entry { key: replace(&entry.key)?, key_at: entry.key_at, value: fill(&entry.value, replace)? })
            });
            Value::Map(filled.collect::<Result<_, String>>()?)
        }
    };
    Ok(Node { at: node.at, bytes: node.bytes.clone(), value })
}

/// The Application of a template that is filled in.
fn application(set: &Object, shared: &Arc<Object>, mut node: Node) -> Result<Object, Reason> {
    let name = node.text_at("metadata.name").unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err((
            Path::of("spec.template.metadata.name"),
            "the Applications of its template have no name".to_owned(),
        ));
    }
    let text = |text: &str| Value::Scalar { text: text.to_owned(), plain: false, meaning: Scalar::Text };
    let entry = |key: &str, value: &str| Entry {
        key: key.to_owned(),
        key_at: set.node.at,
        value: Node { at: set.node.at, bytes: set.node.bytes.clone(), value: text(value) },
    };
    if let Value::Map(entries) = &mut node.value {
        entries.insert(0, entry("apiVersion", "argoproj.io/v1alpha1"));
        entries.insert(1, entry("kind", "Application"));
        let metadata = entries.iter_mut().find(|entry| entry.key == "metadata");
        if let Some(Entry { value: Node { value: Value::Map(metadata), .. }, .. }) = metadata {
            metadata.retain(|entry| entry.key != "namespace");
            metadata.push(entry("namespace", &set.id.namespace));
        }
    }
    let id = Id {
        group: "argoproj.io".to_owned(),
        kind: "Application".to_owned(),
        namespace: set.id.namespace.clone(),
        name,
    };
    Ok(Object { id, node, origin: set.origin.clone(), made_by: Some(Arc::clone(shared)) })
}
