//! What can be reached from outside: the host names of the routes, on the ports of their Gateways.

use serde::Serialize;
use serde_json::Value;

use crate::connection::Cluster;
use crate::error::Result;
use crate::fields::{items, name, namespace, number, text};

const BASE: &str = "/apis/gateway.networking.k8s.io/v1";

/// Where a Service is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service.
    pub service: String,
    /// Such as `http://mlflow.slipway.localhost`.
    pub url: String,
}

/// Every Service that a route leads to, by namespace and name.
///
/// # Errors
/// When the API server does not answer. A cluster without the Gateway API has none.
pub async fn addresses(cluster: &Cluster) -> Result<Vec<Address>> {
    let gateways = cluster.list(&format!("{BASE}/gateways")).await?;
    let routes = cluster.list(&format!("{BASE}/httproutes")).await?;
    let services = if gateways.is_empty() { Vec::new() } else { cluster.list("/api/v1/services").await? };
    Ok(of(&gateways, &routes, &services))
}

fn of(gateways: &[Value], routes: &[Value], services: &[Value]) -> Vec<Address> {
    let mut all = Vec::new();
    for route in routes {
        let Some(host) = items(route, "/spec/hostnames").first().and_then(Value::as_str) else { continue };
        let Some(origin) =
            items(route, "/spec/parentRefs").iter().find_map(|parent| origin(gateways, services, route, parent, host))
        else {
            continue;
        };
        for rule in items(route, "/spec/rules") {
            for backend in items(rule, "/backendRefs") {
                let other = text(backend, "/namespace");
                all.push(Address {
                    namespace: if other.is_empty() { namespace(route) } else { other }.to_owned(),
                    service: text(backend, "/name").to_owned(),
                    url: origin.clone(),
                });
            }
        }
    }
    all.sort_by(|a, b| (&a.namespace, &a.service, &a.url).cmp(&(&b.namespace, &b.service, &b.url)));
    all.dedup();
    all
}

/// `https://host:8443`, of the listener that the route hangs on.
fn origin(gateways: &[Value], services: &[Value], route: &Value, parent: &Value, host: &str) -> Option<String> {
    let of = text(parent, "/namespace");
    let of = if of.is_empty() { namespace(route) } else { of };
    let gateway = gateways.iter().find(|one| name(one) == text(parent, "/name") && namespace(one) == of)?;
    let section = text(parent, "/sectionName");
    let mut listeners: Vec<&Value> = items(gateway, "/spec/listeners")
        .iter()
        .filter(|one| section.is_empty() || text(one, "/name") == section)
        .collect();
    // of several, the encrypted one
    listeners.sort_by_key(|one| text(one, "/protocol") != "HTTPS");
    let listener = listeners.first()?;
    let port = outside(services, of, listener).or(number(listener, "/port"))?;
    Some(match (text(listener, "/protocol"), port) {
        ("HTTPS", 443) => format!("https://{host}"),
        ("HTTPS", port) => format!("https://{host}:{port}"),
        (_, 80) => format!("http://{host}"),
        (_, port) => format!("http://{host}:{port}"),
    })
}

/// The port that the world sees, where a Service of the Gateway's namespace leads to the listener's.
fn outside(services: &[Value], gateway_namespace: &str, listener: &Value) -> Option<i64> {
    let own = services.iter().filter(|service| namespace(service) == gateway_namespace);
    let ports = own.flat_map(|service| items(service, "/spec/ports"));
    let leads = |port: &&Value| {
        let named = |pointer: &str| !text(port, pointer).is_empty() && text(port, pointer) == text(listener, "/name");
        named("/name") || named("/targetPort") || port.pointer("/targetPort") == listener.pointer("/port")
    };
    ports.filter(leads).find_map(|port| number(port, "/port"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_route_leads_from_a_host_to_a_service() {
        let gateway = json!({"metadata": {"name": "g", "namespace": "gateway"}, "spec": {"listeners": [
            {"name": "http", "protocol": "HTTP", "port": 80}, {"name": "https", "protocol": "HTTPS", "port": 443}]}});
        let mut route = json!({"metadata": {"name": "r", "namespace": "mlflow"}, "spec": {"hostnames": ["m.example.org"],
            "parentRefs": [{"name": "g", "namespace": "gateway", "sectionName": "http"}],
            "rules": [{"backendRefs": [{"name": "mlflow", "port": 5000}]}]}});
        let expected = |url: &str| [Address { namespace: "mlflow".into(), service: "mlflow".into(), url: url.into() }];
        assert_eq!(
            of(std::slice::from_ref(&gateway), std::slice::from_ref(&route), &[]),
            expected("http://m.example.org")
        );
        route["spec"]["parentRefs"][0].as_object_mut().unwrap().remove("sectionName");
        assert_eq!(
            of(std::slice::from_ref(&gateway), std::slice::from_ref(&route), &[]),
            expected("https://m.example.org")
        );
        assert_eq!(of(&[], &[route.clone()], &[]), []);
        // the listener's port is one inside, its Service says which one the world sees
        let service = json!({"metadata": {"name": "proxy", "namespace": "gateway"},
            "spec": {"ports": [{"name": "https", "port": 8443, "targetPort": "https"}]}});
        assert_eq!(of(&[gateway], &[route], &[service]), expected("https://m.example.org:8443"));
    }
}
