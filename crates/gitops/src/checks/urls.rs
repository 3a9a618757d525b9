//! URLs in environment variables and ConfigMaps, such as `http://mlflow.mlflow.svc:5000`, lead to Services that exist.

use super::Findings;
use super::index::Index;
use super::routes::{Target, service};
use crate::environment::Environment;
use crate::path::{Path, Step};
use crate::pods::pods;

pub(super) fn check(environment: &Environment, index: &Index<'_>, findings: &mut Findings<'_>) {
    for (_, object) in environment.objects() {
        let mut texts: Vec<(&str, Path)> = Vec::new();
        if object.id.kind == "ConfigMap" {
            for entry in object.node.get("data").map(slipway_source::Node::entries).unwrap_or_default() {
                let mut at = Path::of("data");
                at.0.push(Step::Key(entry.key.clone()));
                texts.extend(entry.value.text().map(|text| (text, at)));
            }
        }
        for container in pods(object).iter().flat_map(crate::pods::Pod::containers) {
            for variable in container.node.items_at("env") {
                if let (Some(name), Some(value)) = (variable.text_at("name"), variable.text_at("value")) {
                    texts.push((value, container.at.key("env").named(name).key("value")));
                }
            }
        }
        for (text, at) in texts {
            for address in addresses(text) {
                let is_namespace =
                    index.namespaces.contains_key(address.namespace) || index.is_opaque(address.namespace);
                if is_namespace || address.certain {
                    let to = Target::new(address.namespace, address.service, address.port, at.clone());
                    service(object, &to, index, findings);
                }
            }
        }
    }
}

/// A Service as a URL names it.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    service: &'a str,
    namespace: &'a str,
    port: Option<&'a str>,
    /// Whether it must be a Service (`….svc`). Otherwise the second label may be a domain.
    certain: bool,
}

/// The Services that the URLs in a text name together with their namespaces.
fn addresses(text: &str) -> Vec<Address<'_>> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".-:@_$()".contains(c))).unwrap_or(rest.len());
        let authority = &rest[..end];
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port).filter(|port| port.parse::<u16>().is_ok())),
            None => (authority, None),
        };
        let labels: Vec<&str> = host.split('.').collect();
        let (certain, fits) = match labels.as_slice() {
            [_, _] => (false, true),
            [_, _, "svc"] | [_, _, "svc", "cluster", "local"] => (true, true),
            _ => (false, false),
        };
        if fits && labels.iter().all(|label| !label.is_empty()) {
            found.push(Address { service: labels[0], namespace: labels[1], port, certain });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_services() {
        let of = |text| -> Vec<_> {
            addresses(text).into_iter().map(|one| (one.service, one.namespace, one.port, one.certain)).collect()
        };
        assert_eq!(of("http://mlflow.mlflow.svc:5000/x"), [("mlflow", "mlflow", Some("5000"), true)]);
        assert_eq!(of("postgresql://u:p@db.postgres/x"), [("db", "postgres", None, false)]);
        assert_eq!(
            of("a: https://s3.minio.svc.cluster.local\nb: http://x.y:1"),
            [("s3", "minio", None, true), ("x", "y", Some("1"), false)]
        );
        assert_eq!(
            of("https://github.com:443/a, http://localhost:1, http://127.0.0.1:2, s3://datasets"),
            [("github", "com", Some("443"), false)]
        );
    }
}
