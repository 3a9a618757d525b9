//! What Docker and kubelet print.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::kubectl::text;

/// The address that this machine has in a network, from `docker network inspect --format '{{json .IPAM.Config}}'`.
pub(super) fn gateway(printed: &str) -> Result<Ipv4Addr> {
    let subnets: Value = serde_json::from_str(printed).with_context(|| format!("not JSON: {printed}"))?;
    let addresses = subnets.as_array().into_iter().flatten().map(|subnet| text(subnet, "/Gateway"));
    // some versions of Docker append the length of the subnet's prefix
    let mut addresses = addresses.filter_map(|address| address.split('/').next()?.parse().ok());
    addresses.next().with_context(|| format!("the network has no gateway with an IPv4 address: {printed}"))
}

/// The address of a published port, from `docker port CONTAINER PORT/tcp`.
pub(super) fn published(printed: &str) -> Result<SocketAddr> {
    let mut addresses = printed.lines().filter_map(|line| line.trim().parse().ok());
    addresses.next().with_context(|| format!("the port is not published: {printed}"))
}

/// The memory of each pod, from kubelet's `/stats/summary`: its working set, which counts files in use as well. Kubernetes' own
/// programs are left out.
pub(super) fn working_sets(summary: &Value) -> Vec<(String, u64)> {
    let pods = summary["pods"].as_array().into_iter().flatten();
    let pods = pods.filter(|pod| text(pod, "/podRef/namespace") != "kube-system");
    pods.map(|pod| {
        let name = format!("{}/{}", text(pod, "/podRef/namespace"), text(pod, "/podRef/name"));
        (name, pod["memory"]["workingSetBytes"].as_u64().unwrap_or_default())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_gateway_is_the_one_of_the_subnet_with_ipv4() {
        let both = r#"[{"Subnet":"fc00:f853:ccd:e793::/64","Gateway":"fc00:f853:ccd:e793::1"},
            {"Subnet":"172.18.0.0/16","Gateway":"172.18.0.1"}]"#;
        assert_eq!(gateway(both).unwrap(), Ipv4Addr::new(172, 18, 0, 1));
        let only = r#"[{"Subnet":"172.19.0.0/16","IPRange":"","Gateway":"172.19.0.1/16"}]"#;
        assert_eq!(gateway(only).unwrap(), Ipv4Addr::new(172, 19, 0, 1));
    }

    #[test]
    fn a_network_without_such_a_gateway_is_an_error_that_shows_it() {
        for printed in ["[]", "null", r#"[{"Subnet":"172.18.0.0/16"}]"#, r#"[{"Gateway":"fc00::1"}]"#, "Error: x"] {
            let error = gateway(printed).unwrap_err().to_string();
            assert!(error.contains(printed), "{error}");
        }
    }

    #[test]
    fn the_first_published_address_counts() {
        assert_eq!(published("127.0.0.1:49153\n").unwrap().to_string(), "127.0.0.1:49153");
        assert_eq!(published("0.0.0.0:80\n[::]:80\n").unwrap().port(), 80);
        published("\n").unwrap_err();
    }

    #[test]
    fn pods_of_kubernetes_itself_are_left_out() {
        let pod = |namespace: &str, name: &str, memory: Value| json!({"podRef": {"namespace": namespace, "name": name}, "memory": memory});
        let summary = json!({"node": {"nodeName": "node"}, "pods": [
            pod("kube-system", "etcd-node", json!({"workingSetBytes": 5})),
            pod("mlflow", "mlflow-6b7f5c9d8-x2xkq", json!({"time": "2026-01-01T00:00:00Z", "workingSetBytes": 7})),
            pod("minio", "minio-0", json!({})),
        ]});
        let expected = [("mlflow/mlflow-6b7f5c9d8-x2xkq".to_owned(), 7), ("minio/minio-0".to_owned(), 0)];
        assert_eq!(working_sets(&summary), expected);
        assert!(working_sets(&Value::Null).is_empty());
    }
}
