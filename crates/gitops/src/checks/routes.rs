//! Routes, gateways and webhooks lead to Services and ports that are there.

use super::index::{Found, Index};
use super::{Findings, closest};
use crate::environment::Environment;
use crate::object::Object;
use crate::path::Path;
use crate::yaml::Node;

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        match object.id.kind.as_str() {
            "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute" => {
                backends(object, index, findings);
                parents(object, index, findings);
            }
            "Ingress" => ingress(object, index, findings),
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => webhooks(object, index, findings),
            "StatefulSet" => {
                if let Some(name) = object.node.text_at("spec.serviceName") {
                    let to = Target::new(&object.id.namespace, name, None, Path::of("spec.serviceName"));
                    service(object, &to, index, findings);
                }
            }
            "Gateway" => listeners(object, index, findings),
            _ => {}
        }
    }
}

/// A Service that something leads to.
pub(super) struct Target<'a> {
    namespace: &'a str,
    name: &'a str,
    /// By number or by name.
    port: Option<&'a str>,
    /// Where the name is written, and where the port.
    at: Path,
    port_at: Path,
}

impl<'a> Target<'a> {
    /// A Service whose name and port are written at the same place.
    pub(super) fn new(namespace: &'a str, name: &'a str, port: Option<&'a str>, at: Path) -> Self {
        Self { namespace, name, port, port_at: at.clone(), at }
    }

    /// The same, with the port written elsewhere.
    fn port_at(self, port_at: Path) -> Self {
        Self { port_at, ..self }
    }
}

/// The Service is there, and has the port.
pub(super) fn service(object: &Object, to: &Target<'_>, index: &Index<'_>, findings: &mut Findings<'_>) {
    let Target { namespace, name, port, at, port_at } = to;
    match index.find("Service", namespace, name) {
        Found::Object(found) => {
            let ports = found.node.items_at("spec.ports");
            let is = |one: &Node, port: &str| one.text_at("port") == Some(port) || one.text_at("name") == Some(port);
            if let Some(port) = port.as_ref().filter(|port| !ports.iter().any(|one| is(one, port))) {
                let known: Vec<&str> = ports.iter().filter_map(|one| one.text_at("port")).collect();
                let message =
                    format!("{} leads to port {port} of Service {namespace}/{name}, which has none such", object.id);
                findings.add(object, port_at, "unknown-port", message, format!("its ports are: {}", known.join(", ")));
            }
        }
        Found::Nothing => {
            let message = format!("{} leads to Service {namespace}/{name}, which is not there", object.id);
            findings.add(object, at, "unknown-service", message, closest(name, index.names("Service", namespace)));
        }
        Found::Keys(_) | Found::Unknown => {}
    }
}

fn backends(object: &Object, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (number, rule) in object.node.items_at("spec.rules").iter().enumerate() {
        for (which, backend) in rule.items_at("backendRefs").iter().enumerate() {
            let at = Path::of("spec.rules").item(number).key("backendRefs").item(which);
            let Some(name) = backend.text_at("name") else { continue };
            if backend.text_at("kind").is_some_and(|kind| kind != "Service") {
                continue;
            }
            let namespace = backend.text_at("namespace").unwrap_or(&object.id.namespace);
            let port = backend.text_at("port");
            let to = Target::new(namespace, name, port, at.key("name")).port_at(at.key("port"));
            service(object, &to, index, findings);
            if namespace != object.id.namespace && !granted(object, namespace, index) {
                let message = format!("{} leads into namespace {namespace}, which grants that to nobody", object.id);
                let help = format!(
                    "a ReferenceGrant in {namespace} from {} of {} to Service",
                    object.id.kind, object.id.namespace
                );
                findings.add(object, &at.key("namespace"), "no-reference-grant", message, help);
            }
        }
    }
}

/// Whether a ReferenceGrant of the namespace lets the route in.
fn granted(route: &Object, namespace: &str, index: &Index<'_>) -> bool {
    index.names("ReferenceGrant", namespace).iter().any(|name| match index.find("ReferenceGrant", namespace, name) {
        Found::Object(grant) => {
            let from = grant.node.items_at("spec.from").iter().any(|from| {
                from.text_at("kind") == Some(&route.id.kind) && from.text_at("namespace") == Some(&route.id.namespace)
            });
            from && grant.node.items_at("spec.to").iter().any(|to| to.text_at("kind") == Some("Service"))
        }
        _ => false,
    })
}

fn parents(object: &Object, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (number, parent) in object.node.items_at("spec.parentRefs").iter().enumerate() {
        let at = Path::of("spec.parentRefs").item(number);
        let Some(name) = parent.text_at("name") else { continue };
        if parent.text_at("kind").is_some_and(|kind| kind != "Gateway") {
            continue;
        }
        let namespace = parent.text_at("namespace").unwrap_or(&object.id.namespace);
        match index.find("Gateway", namespace, name) {
            Found::Object(gateway) => {
                let known: Vec<&str> =
                    gateway.node.items_at("spec.listeners").iter().filter_map(|one| one.text_at("name")).collect();
                if let Some(section) = parent.text_at("sectionName").filter(|section| !known.contains(section)) {
                    let message =
                        format!("{} wants listener `{section}` of Gateway {name}, which has none such", object.id);
                    findings.add(object, &at.key("sectionName"), "unknown-listener", message, closest(section, known));
                }
            }
            Found::Nothing => {
                let message = format!("{} hangs on Gateway {namespace}/{name}, which is not there", object.id);
                findings.add(
                    object,
                    &at.key("name"),
                    "unknown-gateway",
                    message,
                    closest(name, index.names("Gateway", namespace)),
                );
            }
            Found::Keys(_) | Found::Unknown => {}
        }
    }
}

/// The certificates of a Gateway's listeners.
fn listeners(object: &Object, index: &Index<'_>, findings: &mut Findings<'_>) {
    for listener in object.node.items_at("spec.listeners") {
        for (number, certificate) in listener.items_at("tls.certificateRefs").iter().enumerate() {
            let (Some(listener), Some(name)) = (listener.text_at("name"), certificate.text_at("name")) else {
                continue;
            };
            let namespace = certificate.text_at("namespace").unwrap_or(&object.id.namespace);
            // cert-manager makes the certificate of a Gateway that is annotated for it
            let issued =
                object.node.texts_at("metadata.annotations").keys().any(|key| key.starts_with("cert-manager.io/"));
            if !issued && matches!(index.find("Secret", namespace, name), Found::Nothing) {
                let at = Path::of("spec.listeners").named(listener).key("tls.certificateRefs").item(number).key("name");
                let message = format!("{} wants Secret {namespace}/{name}, which is not there", object.id);
                findings.add(object, &at, "unknown-secret", message, closest(name, index.names("Secret", namespace)));
            }
        }
    }
}

fn ingress(object: &Object, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (number, rule) in object.node.items_at("spec.rules").iter().enumerate() {
        for (which, path) in rule.items_at("http.paths").iter().enumerate() {
            let Some(name) = path.text_at("backend.service.name") else { continue };
            let port = path.text_at("backend.service.port.number").or(path.text_at("backend.service.port.name"));
            let at = Path::of("spec.rules").item(number).key("http.paths").item(which).key("backend.service");
            let to = Target::new(&object.id.namespace, name, port, at.key("name")).port_at(at.key("port"));
            service(object, &to, index, findings);
        }
    }
}

fn webhooks(object: &Object, index: &Index<'_>, findings: &mut Findings<'_>) {
    for webhook in object.node.items_at("webhooks") {
        let (Some(hook), Some(name)) = (webhook.text_at("name"), webhook.text_at("clientConfig.service.name")) else {
            continue;
        };
        let namespace = webhook.text_at("clientConfig.service.namespace").unwrap_or_default();
        let (at, port) = (
            Path::of("webhooks").named(hook).key("clientConfig.service"),
            webhook.text_at("clientConfig.service.port"),
        );
        let to = Target::new(namespace, name, port, at.key("name")).port_at(at.key("port"));
        service(object, &to, index, findings);
    }
}
