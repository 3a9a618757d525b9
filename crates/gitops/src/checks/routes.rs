//! Routes, Gateways and webhooks refer to Services, ports and Secrets that exist.

use slipway_source::Node;

use super::Findings;
use super::index::{Found, Index};
use crate::environment::Environment;
use crate::object::Object;
use crate::path::Path;
use crate::suggest::suggest;

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

/// A Service that an object refers to.
pub(super) struct Target<'a> {
    namespace: &'a str,
    name: &'a str,
    /// The port's number or name.
    port: Option<&'a str>,
    /// Where the name is written.
    at: Path,
    /// Where the port is written.
    port_at: Path,
}

impl<'a> Target<'a> {
    /// A Service whose name and port are written in the same field.
    pub(super) fn new(namespace: &'a str, name: &'a str, port: Option<&'a str>, at: Path) -> Self {
        Self { namespace, name, port, port_at: at.clone(), at }
    }

    /// The same, with the port written in another field.
    fn port_at(self, port_at: Path) -> Self {
        Self { port_at, ..self }
    }
}

/// Checks that the Service exists and has the port.
pub(super) fn service(object: &Object, to: &Target<'_>, index: &Index<'_>, findings: &mut Findings<'_>) {
    let Target { namespace, name, port, at, port_at } = to;
    match index.find("Service", namespace, name) {
        Found::Object(found) => {
            let ports = found.node.items_at("spec.ports");
            let is = |one: &Node, port: &str| one.text_at("port") == Some(port) || one.text_at("name") == Some(port);
            if let Some(port) = port.as_ref().filter(|port| !ports.iter().any(|one| is(one, port))) {
                let numbers: Vec<&str> = ports.iter().filter_map(|one| one.text_at("port")).collect();
                let message = format!("Service {namespace}/{name} has no port {port}, which {} refers to", object.id);
                findings.add(object, port_at, "unknown-port", message, format!("its ports: {}", numbers.join(", ")));
            }
        }
        Found::Nothing => {
            let message = format!("{} refers to Service {namespace}/{name}, which does not exist", object.id);
            findings.add(object, at, "unknown-service", message, suggest(name, index.names("Service", namespace)));
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
                let message = format!(
                    "{} refers to a Service in namespace {namespace}, and no ReferenceGrant allows it",
                    object.id
                );
                let help = format!(
                    "add a ReferenceGrant in {namespace}, from {} in {} to Service",
                    object.id.kind, object.id.namespace
                );
                findings.add(object, &at.key("namespace"), "no-reference-grant", message, help);
            }
        }
    }
}

/// Whether a ReferenceGrant of the namespace allows the route.
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
                let names: Vec<&str> =
                    gateway.node.items_at("spec.listeners").iter().filter_map(|one| one.text_at("name")).collect();
                if let Some(section) = parent.text_at("sectionName").filter(|section| !names.contains(section)) {
                    let message = format!("Gateway {name} has no listener `{section}`, which {} refers to", object.id);
                    findings.add(object, &at.key("sectionName"), "unknown-listener", message, suggest(section, names));
                }
            }
            Found::Nothing => {
                let message = format!("{} is attached to Gateway {namespace}/{name}, which does not exist", object.id);
                findings.add(
                    object,
                    &at.key("name"),
                    "unknown-gateway",
                    message,
                    suggest(name, index.names("Gateway", namespace)),
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
            // cert-manager creates the certificate of a Gateway with its annotation
            let issued =
                object.node.texts_at("metadata.annotations").keys().any(|key| key.starts_with("cert-manager.io/"));
            if !issued && matches!(index.find("Secret", namespace, name), Found::Nothing) {
                let at = Path::of("spec.listeners").named(listener).key("tls.certificateRefs").item(number).key("name");
                let message = format!("{} refers to Secret {namespace}/{name}, which does not exist", object.id);
                findings.add(object, &at, "unknown-secret", message, suggest(name, index.names("Secret", namespace)));
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
