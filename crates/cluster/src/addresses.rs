//! What can be reached from outside: the host names of the routes, on the ports of their Gateways.

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams};
use serde::Serialize;
use serde_json::Value;

use crate::connection::{Cluster, resource};
use crate::error::Result;
use crate::fields::{items, namespace, number, text};

/// Where a Service is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The Service's namespace.
    pub namespace: String,
    /// The Service's name.
    pub service: String,
    /// Such as `http://mlflow.slipway.localhost`.
    pub url: String,
}

/// Every Service that a route leads to, by namespace and name. A cluster without the Gateway API has none.
///
/// # Errors
/// When the API server does not answer or refuses.
pub async fn addresses(cluster: &Cluster) -> Result<Vec<Address>> {
    let of_group = |kind, plural| resource("gateway.networking.k8s.io", "v1", kind, plural);
    let gateways = cluster.list_custom(&of_group("Gateway", "gateways"), None).await?;
    if gateways.is_empty() {
        return Ok(Vec::new());
    }
    let routes = cluster.list_custom(&of_group("HTTPRoute", "httproutes"), None).await?;
    let services = cluster.list(&Api::<Service>::all(cluster.client().clone()), &ListParams::default()).await?;
    Ok(of(&gateways, &routes, &services))
}

fn of(gateways: &[DynamicObject], routes: &[DynamicObject], services: &[Service]) -> Vec<Address> {
    let mut all = Vec::new();
    for route in routes {
        let Some(host) = items(&route.data, "/spec/hostnames").first().and_then(Value::as_str) else { continue };
        let mut parents = items(&route.data, "/spec/parentRefs").iter();
        let Some(origin) = parents.find_map(|parent| origin(gateways, services, route, parent, host)) else { continue };
        for rule in items(&route.data, "/spec/rules") {
            for backend in items(rule, "/backendRefs") {
                all.push(Address {
                    namespace: namespace_in(backend, route).to_owned(),
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

/// The namespace of what a route refers to: the route's own unless the reference names one.
fn namespace_in<'a>(reference: &'a Value, route: &'a DynamicObject) -> &'a str {
    let named = text(reference, "/namespace");
    if named.is_empty() { namespace(route) } else { named }
}

/// `https://host:8443`, of the listener that a route is attached to.
fn origin(
    gateways: &[DynamicObject],
    services: &[Service],
    route: &DynamicObject,
    parent: &Value,
    host: &str,
) -> Option<String> {
    let in_namespace = namespace_in(parent, route);
    let is_parent = |one: &&DynamicObject| one.name_any() == text(parent, "/name") && namespace(one) == in_namespace;
    let gateway = gateways.iter().find(is_parent)?;
    let section = text(parent, "/sectionName");
    let listeners = items(&gateway.data, "/spec/listeners").iter();
    let listeners = listeners.filter(|one| section.is_empty() || text(one, "/name") == section);
    // of several, the encrypted one
    let listener = listeners.min_by_key(|one| text(one, "/protocol") != "HTTPS")?;
    let port = outer_port(services, in_namespace, listener).or(number(listener, "/port"))?;
    Some(match (text(listener, "/protocol"), port) {
        ("HTTPS", 443) => format!("https://{host}"),
        ("HTTPS", port) => format!("https://{host}:{port}"),
        (_, 80) => format!("http://{host}"),
        (_, port) => format!("http://{host}:{port}"),
    })
}

/// The port that is open to the outside, if a Service in the Gateway's namespace leads to the listener's port.
fn outer_port(services: &[Service], gateway_namespace: &str, listener: &Value) -> Option<i64> {
    let name = text(listener, "/name");
    let leads = |port: &&ServicePort| {
        let to_port = match &port.target_port {
            Some(IntOrString::Int(target)) => Some(i64::from(*target)) == number(listener, "/port"),
            Some(IntOrString::String(target)) => !name.is_empty() && target == name,
            None => false,
        };
        to_port || (!name.is_empty() && port.name.as_deref() == Some(name))
    };
    let own = services.iter().filter(|service| service.namespace().as_deref() == Some(gateway_namespace));
    let mut ports = own.flat_map(|service| service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()));
    ports.find(leads).map(|port| i64::from(port.port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_route_leads_from_a_host_to_a_service() {
        fn parsed<K: serde::de::DeserializeOwned>(value: &Value) -> K {
            serde_json::from_value(value.clone()).unwrap()
        }
        let gateway = parsed(&json!({"metadata": {"name": "g", "namespace": "gateway"}, "spec": {"listeners": [
            {"name": "http", "protocol": "HTTP", "port": 80}, {"name": "https", "protocol": "HTTPS", "port": 443}]}}));
        let mut route = json!({"metadata": {"name": "r", "namespace": "mlflow"}, "spec": {"hostnames": ["m.example.org"],
            "parentRefs": [{"name": "g", "namespace": "gateway", "sectionName": "http"}],
            "rules": [{"backendRefs": [{"name": "mlflow", "port": 5000}]}]}});
        let expected = |url: &str| [Address { namespace: "mlflow".into(), service: "mlflow".into(), url: url.into() }];
        assert_eq!(of(std::slice::from_ref(&gateway), &[parsed(&route)], &[]), expected("http://m.example.org"));
        route["spec"]["parentRefs"][0].as_object_mut().unwrap().remove("sectionName");
        assert_eq!(of(std::slice::from_ref(&gateway), &[parsed(&route)], &[]), expected("https://m.example.org"));
        assert_eq!(of(&[], &[parsed(&route)], &[]), []);
        // the listener's port is one inside the cluster; its Service has the one that is open to the outside
        let service = parsed(&json!({"metadata": {"name": "proxy", "namespace": "gateway"},
            "spec": {"ports": [{"name": "https", "port": 8443, "targetPort": "https"}]}}));
        assert_eq!(of(&[gateway], &[parsed(&route)], &[service]), expected("https://m.example.org:8443"));
    }
}
