//! Whether what is meant to be private has private addresses only.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams};
use slipway_names::label::EXPOSURE;

use crate::connection::{Cluster, resource};
use crate::error::{Error, Result};
use crate::fields::{items, text, title_of};
use crate::fit::Examined;

/// How long a name may take to resolve.
const LIMIT: Duration = Duration::from_secs(5);

const HOW: &str = "everybody may reach what is behind it: give it your cloud's annotation for an internal load balancer \
                   (base/traefik/load-balancer has those of AWS, Azure and Google). Most clouds move no existing load balancer, so then \
                   delete the object, and Argo CD creates it again. If your network uses this address as a private one, remove the \
                   label slipway.dev/exposure";

const HOW_UNRESOLVED: &str = "whether it is private is not known: the name of a new load balancer takes some minutes, so run this again; \
                              or run it where the cluster's names resolve";

/// Examines the addresses of every Service and Gateway with the label `slipway.dev/exposure: internal`. Names are resolved here. An
/// object without an address is left out.
///
/// # Errors
/// When the API server does not answer.
pub async fn exposure(cluster: &Cluster) -> Result<Vec<Examined>> {
    let internal = ListParams::default().labels(&format!("{EXPOSURE}=internal"));
    let client = || cluster.client().clone();
    let services = match cluster.list(&Api::<Service>::all(client()), &internal).await {
        Ok(services) => services,
        Err(error @ Error::Refused { code: 403, .. }) => {
            return Ok(vec![Examined::new(
                "addresses",
                false,
                error.to_string(),
                "ask for the right to list services",
            )]);
        }
        Err(error) => return Err(error),
    };
    let gateways = resource("gateway.networking.k8s.io", "v1", "Gateway", "gateways");
    let gateways = cluster.list(&Api::<DynamicObject>::all_with(client(), &gateways), &internal).await?;
    let services = services.iter().map(|one| (title_of("Service", &namespace(one), &one.name_any()), of_service(one)));
    let gateways = gateways.iter().map(|one| (title_of("Gateway", &namespace(one), &one.name_any()), of_gateway(one)));
    let mut all = Vec::new();
    for (title, addresses) in services.chain(gateways) {
        let mut resolved = Vec::new();
        for address in addresses {
            let found = resolve(&address).await;
            resolved.push((address, found));
        }
        all.extend(judge(&title, &resolved));
    }
    Ok(all)
}

fn namespace(object: &impl kube::ResourceExt) -> String {
    object.namespace().unwrap_or_default()
}

/// The addresses and names that a load balancer gave it.
fn of_service(service: &Service) -> Vec<String> {
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let entries = balancer.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    entries.flat_map(|entry| [entry.ip.clone(), entry.hostname.clone()]).flatten().collect()
}

fn of_gateway(gateway: &DynamicObject) -> Vec<String> {
    items(&gateway.data, "/status/addresses").iter().map(|address| text(address, "/value").to_owned()).collect()
}

/// The IP addresses that an address or a name stands for, or why they are not known.
async fn resolve(address: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(ip) = address.parse() {
        return Ok(vec![ip]);
    }
    match tokio::time::timeout(LIMIT, tokio::net::lookup_host((address, 0))).await {
        Ok(Ok(found)) => Ok(found.map(|socket| socket.ip()).collect()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

/// The result for one object, from what each of its addresses stands for.
fn judge(title: &str, addresses: &[(String, Result<Vec<IpAddr>, String>)]) -> Option<Examined> {
    let mut unresolved = Vec::new();
    for (address, found) in addresses {
        match found {
            Err(error) => unresolved.push(format!("{address} does not resolve: {error}")),
            Ok(found) if found.is_empty() => unresolved.push(format!("{address} does not resolve")),
            Ok(found) => {
                if let Some(ip) = found.iter().find(|ip| !is_private(**ip)) {
                    let name = if ip.to_string() == *address { String::new() } else { format!("{address}, ") };
                    let found = format!("is meant to be private and has the public address {name}{ip}");
                    return Some(Examined::new(title, false, found, HOW));
                }
            }
        }
    }
    if let Some(first) = unresolved.first() {
        return Some(Examined::new(title, false, first, HOW_UNRESOLVED));
    }
    let names: Vec<&str> = addresses.iter().map(|(address, _)| address.as_str()).collect();
    (!names.is_empty()).then(|| Examined::new(title, true, format!("private, at {}", names.join(", ")), ""))
}

/// Whether an address is reached from private networks only: those of RFC 1918, the shared ones of carriers and clouds (RFC 6598),
/// unique local ones of IPv6 (RFC 4193), link-local ones and loopback.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared(ip),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

/// 100.64.0.0/10
fn is_shared(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    first == 100 && second & 0b1100_0000 == 64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("10.0.0.1", true)]
    #[case("172.16.0.1", true)]
    #[case("172.32.0.1", false)]
    #[case("192.168.1.1", true)]
    #[case("192.169.1.1", false)]
    #[case("100.64.0.1", true)]
    #[case("100.127.255.255", true)]
    #[case("100.63.255.255", false)]
    #[case("100.128.0.0", false)]
    #[case("127.0.0.1", true)]
    #[case("169.254.1.1", true)]
    #[case("203.0.113.9", false)]
    #[case("8.8.8.8", false)]
    #[case("0.0.0.0", false)]
    #[case("fd12:3456::1", true)]
    #[case("fe80::1", true)]
    #[case("::1", true)]
    #[case("2600:1f18::1", false)]
    #[case("::ffff:10.0.0.1", true)]
    #[case("::ffff:8.8.8.8", false)]
    fn private_networks_are_known(#[case] address: &str, #[case] private: bool) {
        assert_eq!(is_private(address.parse().unwrap()), private);
    }

    fn address(name: &str, found: Result<&[&str], &str>) -> (String, Result<Vec<IpAddr>, String>) {
        let parsed = |all: &[&str]| all.iter().map(|one| one.parse().unwrap()).collect();
        (name.to_owned(), found.map(parsed).map_err(str::to_owned))
    }

    #[test]
    fn one_public_address_is_enough_and_a_name_is_judged_by_all_that_it_stands_for() {
        let internal = address("internal-a.elb.amazonaws.com", Ok(&["10.0.1.2", "10.0.2.2"]));
        let good = judge("Service a/b", std::slice::from_ref(&internal)).unwrap();
        assert!(good.ok && good.how.is_none() && good.found.contains("internal-a.elb"), "{good:?}");
        // its name says "internal", and one of its addresses is not
        let mixed = address("internal-a.elb.amazonaws.com", Ok(&["10.0.1.2", "3.120.1.2"]));
        for addresses in [vec![mixed.clone()], vec![internal, mixed], vec![address("3.120.1.2", Ok(&["3.120.1.2"]))]] {
            let bad = judge("Service a/b", &addresses).unwrap();
            assert!(
                !bad.ok && bad.found.contains("3.120.1.2") && bad.how.unwrap().contains("annotation"),
                "{addresses:?}"
            );
        }
        assert_eq!(judge("Service a/b", &[]), None);
    }

    #[test]
    fn a_name_that_does_not_resolve_is_not_taken_for_private() {
        let unknown = address("new.elb.amazonaws.com", Err("no such host"));
        let empty = address("new.elb.amazonaws.com", Ok(&[]));
        for one in [unknown.clone(), empty] {
            let found = judge("Service a/b", &[one]).unwrap();
            assert!(!found.ok && found.found.contains("does not resolve"), "{found:?}");
            assert!(found.how.unwrap().contains("not known"));
        }
        // what is known to be public comes first
        let found = judge("Service a/b", &[unknown, address("3.120.1.2", Ok(&["3.120.1.2"]))]).unwrap();
        assert!(found.found.contains("3.120.1.2"), "{found:?}");
    }
}
