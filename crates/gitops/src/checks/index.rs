//! The objects of an environment, by what references name them.

use std::collections::{BTreeMap, BTreeSet};

use slipway_source::Node;

use super::Demands;
use crate::environment::Environment;
use crate::object::Object;

/// The environment's objects by kind, namespace and name, and what cannot be known offline.
pub(super) struct Index<'a> {
    objects: BTreeMap<(&'a str, &'a str, &'a str), &'a Object>,
    /// The keys of Secrets that are not in git, or that a controller writes; empty if the keys are not known.
    secrets: BTreeMap<(&'a str, &'a str), Vec<&'a str>>,
    /// Namespaces with objects that are not in this repository.
    opaque: BTreeSet<&'a str>,
    incomplete: bool,
    /// Namespaces that the tree declares.
    pub(super) namespaces: BTreeMap<&'a str, &'a Object>,
}

/// What a reference leads to.
pub(super) enum Found<'a> {
    /// An object.
    Object(&'a Object),
    /// A Secret with these keys.
    Keys(&'a [&'a str]),
    /// Maybe something that is not in this repository.
    Unknown,
    /// Nothing.
    Nothing,
}

impl<'a> Index<'a> {
    pub(super) fn new(environment: &'a Environment, demands: &'a Demands) -> Self {
        let mut index = Self {
            objects: BTreeMap::new(),
            secrets: BTreeMap::new(),
            opaque: BTreeSet::new(),
            incomplete: environment.incomplete,
            namespaces: BTreeMap::new(),
        };
        for object in environment.root.iter().chain(environment.objects().map(|(_, object)| object)) {
            let id = &object.id;
            index.objects.insert((&id.kind, &id.namespace, &id.name), object);
            match id.kind.as_str() {
                "Namespace" => {
                    index.namespaces.insert(&id.name, object);
                }
                "ExternalSecret" => index.external_secret(object),
                "Certificate" => {
                    if let Some(name) = object.node.text_at("spec.secretName") {
                        index.secrets.insert((&id.namespace, name), vec!["ca.crt", "tls.crt", "tls.key"]);
                    }
                }
                _ => {}
            }
        }
        for secret in &demands.secrets {
            let keys = secret.keys.iter().map(String::as_str).collect();
            index.secrets.insert((&secret.namespace, &secret.name), keys);
        }
        for deployed in environment.applications.iter().filter(|deployed| deployed.upstream) {
            let application = &deployed.application;
            let namespaces =
                application.sources.iter().filter_map(|source| source.kustomize.as_ref()?.get("namespace")?.as_str());
            index
                .opaque
                .extend(namespaces.chain([application.namespace.as_str()]).filter(|namespace| !namespace.is_empty()));
        }
        index
    }

    fn external_secret(&mut self, object: &'a Object) {
        let node = &object.node;
        let name = node.text_at("spec.target.name").unwrap_or(&object.id.name);
        // the keys that dataFrom or a template gives are not known here
        let keys = if node.find("spec.dataFrom").is_some() || node.find("spec.target.template").is_some() {
            Vec::new()
        } else {
            node.items_at("spec.data").iter().filter_map(|item| item.text_at("secretKey")).collect()
        };
        self.secrets.insert((&object.id.namespace, name), keys);
    }

    /// Resolves a reference.
    pub(super) fn find<'b>(&'b self, kind: &'b str, namespace: &'b str, name: &'b str) -> Found<'b> {
        if let Some(object) = self.objects.get(&(kind, namespace, name)) {
            return Found::Object(object);
        }
        if kind == "Secret"
            && let Some(keys) = self.secrets.get(&(namespace, name))
        {
            return Found::Keys(keys);
        }
        if self.incomplete || self.opaque.contains(namespace) { Found::Unknown } else { Found::Nothing }
    }

    /// Whether a namespace has objects that are not in this repository.
    pub(super) fn is_opaque(&self, namespace: &str) -> bool {
        self.opaque.contains(namespace)
    }

    /// Whether any Application deploys objects that are not in this repository.
    pub(super) fn has_upstream(&self) -> bool {
        !self.opaque.is_empty()
    }

    /// The names of a kind's objects in a namespace.
    pub(super) fn names(&self, kind: &str, namespace: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.objects.keys().filter(|(k, n, _)| *k == kind && *n == namespace).map(|(_, _, name)| *name).collect();
        if kind == "Secret" {
            names.extend(self.secrets.keys().filter(|(n, _)| *n == namespace).map(|(_, name)| *name));
        }
        names
    }
}

/// The keys of a ConfigMap or a Secret.
pub(super) fn keys(node: &Node) -> Vec<&str> {
    ["data", "binaryData", "stringData"]
        .iter()
        .filter_map(|field| node.get(field))
        .flat_map(|field| field.entries().iter().map(|entry| entry.key.as_str()))
        .collect()
}
