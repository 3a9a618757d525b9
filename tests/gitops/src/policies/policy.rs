//! A NetworkPolicy.

use std::net::IpAddr;

use anyhow::{Context, Result, bail, ensure};
use ipnet::IpNet;
use serde_json::Value;

use super::pods::{Pod, Protocol, number};
use super::selector::{Labels, Selector, known, list};

/// A way that traffic takes, seen from the pod that a policy selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into it.
    Ingress,
    /// Out of it.
    Egress,
}

/// A NetworkPolicy.
#[derive(Debug)]
pub struct Policy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    pods: Selector,
    /// What it lets in; `None` where it does not concern what comes in.
    ingress: Option<Vec<Rule>>,
    /// What it lets out, likewise.
    egress: Option<Vec<Rule>>,
}

/// Both must match.
#[derive(Debug)]
struct Rule {
    /// One of these; none given is everyone.
    peers: Vec<Peer>,
    /// One of these; none given is every port.
    ports: Vec<Ports>,
}

#[derive(Debug)]
enum Peer {
    /// Pods that the second selects, in namespaces that the first does; `None` is the policy's own.
    Pods(Option<Selector>, Selector),
    /// Addresses of the first block that are in none of the others: no pod.
    Block(IpNet, Vec<IpNet>),
}

#[derive(Debug)]
struct Ports {
    protocol: Protocol,
    which: Which,
}

#[derive(Debug)]
enum Which {
    All,
    Range(u16, u16),
    /// Of the destination's containers.
    Name(String),
}

/// The other end of a connection.
#[derive(Clone, Copy)]
pub(super) enum Other<'a> {
    /// A pod, with its namespace's labels.
    Pod(&'a Pod, &'a Labels),
    /// Something that is not a pod: at that address, or at whatever address.
    Outside(Option<IpAddr>),
}

impl Policy {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none, or says what is not known here.
    pub fn read(object: &Value) -> Result<Self> {
        let text = |key: &str| object["metadata"][key].as_str().with_context(|| format!("a policy without {key}"));
        let (namespace, name) = (text("namespace")?.to_owned(), text("name")?.to_owned());
        let spec = &object["spec"];
        known(spec, &["egress", "ingress", "podSelector", "policyTypes"])?;
        let rules =
            |key, peers| list(&spec[key])?.iter().map(|rule| Rule::read(rule, peers)).collect::<Result<Vec<_>>>();
        let (ingress, egress) = (rules("ingress", "from")?, rules("egress", "to")?);
        let (mut in_types, mut out_types) = (false, false);
        for one in list(&spec["policyTypes"])? {
            match one.as_str() {
                Some("Ingress") => in_types = true,
                Some("Egress") => out_types = true,
                _ => bail!("no policy type: {one}"),
            }
        }
        // What the API server fills in.
        if !in_types && !out_types {
            (in_types, out_types) = (true, !egress.is_empty());
        }
        Ok(Self {
            namespace,
            name,
            pods: optional(&spec["podSelector"])?.unwrap_or_default(),
            ingress: in_types.then_some(ingress),
            egress: out_types.then_some(egress),
        })
    }

    /// The blocks of addresses that its rules name. They may hold pods in some clusters and in others not.
    pub fn blocks(&self) -> impl Iterator<Item = IpNet> {
        let rules = self.ingress.iter().chain(&self.egress).flatten();
        rules.flat_map(|rule| &rule.peers).filter_map(|peer| match peer {
            Peer::Block(block, _) => Some(*block),
            Peer::Pods(..) => None,
        })
    }

    /// Whether it closes a pod in a direction, but for what policies let through.
    pub(super) fn closes(&self, pod: &Pod, direction: Direction) -> bool {
        self.rules(direction).is_some() && self.namespace == pod.namespace && self.pods.matches(&pod.labels)
    }

    /// Whether it lets through what a pod that it closes exchanges with another end.
    pub(super) fn lets(
        &self,
        pod: &Pod,
        direction: Direction,
        other: Other<'_>,
        port: u16,
        protocol: Protocol,
    ) -> bool {
        let destination = match (direction, other) {
            (Direction::Ingress, _) => Some(pod),
            (Direction::Egress, Other::Pod(other, _)) => Some(other),
            (Direction::Egress, Other::Outside(_)) => None,
        };
        self.rules(direction).unwrap_or_default().iter().any(|rule| {
            (rule.peers.is_empty() || rule.peers.iter().any(|peer| self.is_peer(peer, other)))
                && (rule.ports.is_empty() || rule.ports.iter().any(|one| one.hold(port, protocol, destination)))
        })
    }

    /// Every port that it names by number, where what it lets through may begin or end.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> {
        let rules = self.ingress.iter().chain(&self.egress).flatten();
        rules
            .flat_map(|rule| &rule.ports)
            .flat_map(|ports| match ports.which {
                Which::Range(first, last) => [Some(first), Some(last)],
                Which::All | Which::Name(_) => [None, None],
            })
            .flatten()
    }

    fn rules(&self, direction: Direction) -> Option<&[Rule]> {
        match direction {
            Direction::Ingress => self.ingress.as_deref(),
            Direction::Egress => self.egress.as_deref(),
        }
    }

    fn is_peer(&self, peer: &Peer, other: Other<'_>) -> bool {
        match (peer, other) {
            (Peer::Pods(namespaces, pods), Other::Pod(pod, labels)) => {
                let is_here = || pod.namespace == self.namespace;
                namespaces.as_ref().map_or_else(is_here, |one| one.matches(labels)) && pods.matches(&pod.labels)
            }
            (Peer::Block(block, except), Other::Outside(Some(address))) => {
                block.contains(&address) && !except.iter().any(|block| block.contains(&address))
            }
            (Peer::Block(..), Other::Pod(..) | Other::Outside(None)) | (Peer::Pods(..), Other::Outside(_)) => false,
        }
    }
}

impl Rule {
    fn read(value: &Value, peers: &str) -> Result<Self> {
        known(value, &[peers, "ports"])?;
        Ok(Self {
            peers: list(&value[peers])?.iter().map(Peer::read).collect::<Result<_>>()?,
            ports: list(&value["ports"])?.iter().map(Ports::read).collect::<Result<_>>()?,
        })
    }
}

impl Peer {
    fn read(value: &Value) -> Result<Self> {
        known(value, &["ipBlock", "namespaceSelector", "podSelector"])?;
        let (namespaces, pods) = (optional(&value["namespaceSelector"])?, optional(&value["podSelector"])?);
        let selects = namespaces.is_some() || pods.is_some();
        // The API server accepts neither both nor none.
        ensure!(value["ipBlock"].is_null() == selects, "no peer: {value}");
        if selects {
            return Ok(Self::Pods(namespaces, pods.unwrap_or_default()));
        }
        let block = &value["ipBlock"];
        known(block, &["cidr", "except"])?;
        let except = list(&block["except"])?.iter().map(network).collect::<Result<_>>()?;
        Ok(Self::Block(network(&block["cidr"])?, except))
    }
}

impl Ports {
    fn read(value: &Value) -> Result<Self> {
        known(value, &["endPort", "port", "protocol"])?;
        let protocol = Protocol::read(&value["protocol"])?;
        let which = match (&value["port"], &value["endPort"]) {
            (Value::Null, Value::Null) => Which::All,
            (Value::String(name), Value::Null) => Which::Name(name.clone()),
            (port, Value::Null) => Which::Range(number(port)?, number(port)?),
            (port, end) => Which::Range(number(port)?, number(end)?),
        };
        ensure!(!matches!(which, Which::Range(first, last) if last < first), "an empty range: {value}");
        Ok(Self { protocol, which })
    }

    fn hold(&self, port: u16, protocol: Protocol, destination: Option<&Pod>) -> bool {
        self.protocol == protocol
            && match &self.which {
                Which::All => true,
                Which::Range(first, last) => (*first..=*last).contains(&port),
                Which::Name(name) => destination.and_then(|pod| pod.number_of(name, protocol)) == Some(port),
            }
    }
}

fn network(value: &Value) -> Result<IpNet> {
    value.as_str().and_then(|text| text.parse().ok()).with_context(|| format!("no block of addresses: {value}"))
}

/// An absent selector is not an empty one.
fn optional(value: &Value) -> Result<Option<Selector>> {
    if value.is_null() { Ok(None) } else { Selector::read(value).map(Some) }
}
