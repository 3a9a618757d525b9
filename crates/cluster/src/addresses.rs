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
    Ok(of(&gateways, &routes))
}

fn of(gateways: &[Value], routes: &[Value]) -> Vec<Address> {
    let mut all = Vec::new();
    for route in routes {
        let Some(host) = items(route, "/spec/hostnames").first().and_then(Value::as_str) else { continue };
        let Some(origin) =
            items(route, "/spec/parentRefs").iter().find_map(|parent| origin(gateways, route, parent, host))
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
fn origin(gateways: &[Value], route: &Value, parent: &Value, host: &str) -> Option<String> {
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
    let port = number(listener, "/port")?;
    Some(match (text(listener, "/protocol"), port) {
        ("HTTPS", 443) => format!("https://{host}"),
        ("HTTPS", port) => format!("https://{host}:{port}"),
        (_, 80) => format!("http://{host}"),
        (_, port) => format!("http://{host}:{port}"),
    })
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
        assert_eq!(of(&[gateway.clone()], &[route.clone()]), expected("http://m.example.org"));
        route["spec"]["parentRefs"][0].as_object_mut().unwrap().remove("sectionName");
        assert_eq!(of(&[gateway], &[route.clone()]), expected("https://m.example.org"));
        assert_eq!(of(&[], &[route]), []);
    }
}
