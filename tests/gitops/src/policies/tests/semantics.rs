//! One test a rule of the semantics, each with what it allows and what it denies.

use super::super::{Cluster, Direction, Protocol};
use super::world;

#[test]
fn without_a_policy_everything_is_open() {
    let world = world(&[]);
    assert_eq!(world.clients(), [true; 3]);
    assert!(world.may_leave(world.pod("red/client"), 443, Protocol::Tcp));
    assert!(!world.is_closed(world.pod("red/client"), Direction::Ingress));
}

#[test]
fn a_policy_closes_what_it_selects_in_its_own_namespace_and_only_its_directions() {
    let world = world(&[("blue", "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}")]);
    assert_eq!(world.clients(), [false; 3]);
    assert!(world.tcp("red/client", "blue/client", 8080), "not selected");
    assert!(world.tcp("blue/server", "red/client", 8080), "the other direction");
    assert!(world.is_closed(world.pod("blue/server"), Direction::Ingress));
    assert!(!world.is_closed(world.pod("blue/server"), Direction::Egress));

    let elsewhere = super::world(&[("red", "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}")]);
    assert_eq!(elsewhere.clients(), [true; 3], "a policy of another namespace");
}

#[test]
fn an_empty_pod_selector_and_none_select_every_pod() {
    for spec in ["{podSelector: {}, policyTypes: [Ingress]}", "{policyTypes: [Ingress]}"] {
        let world = world(&[("blue", spec)]);
        assert!(!world.tcp("red/client", "blue/server", 1) && !world.tcp("red/client", "blue/client", 1), "{spec}");
        assert!(world.tcp("blue/client", "red/client", 1), "{spec}");
    }
}

#[test]
fn both_directions_must_allow() {
    let into = ("blue", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {colour: red}}}]}]}");
    let shut = ("red", "{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]}");
    let out = (
        "red",
        "{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{ports: [{port: 8080}]}]}",
    );
    assert_eq!(world(&[into]).clients(), [true, true, false]);
    assert_eq!(world(&[into, shut]).clients(), [false, true, false], "out of red's client is closed");
    assert_eq!(world(&[into, shut, out]).clients(), [true, true, false]);
    assert_eq!(world(&[shut, out, ("blue", "{}")]).clients(), [false; 3], "into blue is closed");
    let half = world(&[into, shut]);
    let (from, to) = (half.pod("red/client"), half.pod("blue/server"));
    assert!(half.lets_in(from, to, 8080, Protocol::Tcp) && !half.lets_out(from, to, 8080, Protocol::Tcp));
}

#[test]
fn what_any_policy_allows_is_allowed() {
    let deny = ("blue", "{podSelector: {}}");
    let one = ("blue", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}");
    let two = (
        "blue",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {colour: red}}}], ports: [{port: 8080}]}]}",
    );
    assert_eq!(world(&[deny]).clients(), [false; 3]);
    assert_eq!(world(&[deny, one]).clients(), [false, false, true]);
    assert_eq!(world(&[one, two, deny]).clients(), [true; 3]);
    assert!(!world(&[one, two, deny]).tcp("red/client", "blue/server", 8081));
}

#[test]
fn rules_are_alternatives_and_a_rules_peers_and_ports_are_both_required() {
    let world = world(&[(
        "blue",
        "{podSelector: {}, ingress: [
           {from: [{namespaceSelector: {matchLabels: {colour: red}}}], ports: [{port: 1}]},
           {from: [{podSelector: {}}], ports: [{port: 2}]}]}",
    )]);
    assert!(world.tcp("red/client", "blue/server", 1) && world.tcp("blue/client", "blue/server", 2));
    assert!(!world.tcp("red/client", "blue/server", 2) && !world.tcp("blue/client", "blue/server", 1));
}

#[test]
fn selectors_of_one_peer_are_both_required_and_those_of_two_are_alternatives() {
    let one = "{podSelector: {}, ingress: [{from: [
        {namespaceSelector: {matchLabels: {colour: red}}, podSelector: {matchLabels: {app: client}}}]}]}";
    let two = "{podSelector: {}, ingress: [{from: [
        {namespaceSelector: {matchLabels: {colour: red}}}, {podSelector: {matchLabels: {app: client}}}]}]}";
    assert_eq!(world(&[("blue", one)]).clients(), [true, false, false]);
    assert_eq!(world(&[("blue", two)]).clients(), [true, true, true]);
}

#[test]
fn without_a_pod_selector_a_peer_is_every_pod_of_the_namespaces() {
    let spec = "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {colour: red}}}]}]}";
    assert_eq!(world(&[("blue", spec)]).clients(), [true, true, false]);
}

#[test]
fn without_a_namespace_selector_a_peer_is_in_the_policys_namespace_and_an_empty_one_is_every_namespace() {
    let own = "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}";
    let all =
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: client}}}]}]}";
    assert_eq!(world(&[("blue", own)]).clients(), [false, false, true]);
    assert_eq!(world(&[("blue", all)]).clients(), [true, false, true]);
}

#[test]
fn no_peer_given_is_everyone_and_no_rule_is_no_one() {
    for everyone in ["[{}]", "[{from: []}]", "[{ports: [{port: 8080}]}]"] {
        let spec = format!("{{podSelector: {{}}, ingress: {everyone}}}");
        assert_eq!(world(&[("blue", &spec)]).clients(), [true; 3], "{everyone}");
    }
    assert_eq!(world(&[("blue", "{podSelector: {}, ingress: []}")]).clients(), [false; 3]);
    let to_all =
        world(&[("red", "{podSelector: {}, policyTypes: [Egress], egress: [{to: [], ports: [{port: 443}]}]}")]);
    assert!(to_all.tcp("red/client", "blue/server", 443) && !to_all.tcp("red/client", "blue/server", 8080));
}

#[test]
fn a_port_is_a_number_of_one_protocol() {
    let world = world(&[("blue", "{podSelector: {}, ingress: [{ports: [{port: 8080}, {port: 53, protocol: UDP}]}]}")]);
    let may = |port, protocol| world.may(world.pod("red/client"), world.pod("blue/server"), port, protocol);
    assert!(may(8080, Protocol::Tcp) && may(53, Protocol::Udp));
    assert!(!may(8080, Protocol::Udp) && !may(53, Protocol::Tcp) && !may(8080, Protocol::Sctp));
    assert!(!may(8079, Protocol::Tcp) && !may(8081, Protocol::Tcp));
}

#[test]
fn without_a_port_it_is_every_port_of_the_protocol_and_without_ports_all_of_every_protocol() {
    let udp = world(&[("blue", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}")]);
    let all = world(&[("blue", "{podSelector: {}, ingress: [{ports: []}]}")]);
    for port in [1, 8080, u16::MAX] {
        let may =
            |world: &Cluster, protocol| world.may(world.pod("red/client"), world.pod("blue/server"), port, protocol);
        assert_eq!(Protocol::ALL.map(|protocol| may(&udp, protocol)), [false, true, false]);
        assert_eq!(Protocol::ALL.map(|protocol| may(&all, protocol)), [true; 3]);
    }
}

#[test]
fn a_named_port_is_the_destinations_in_both_directions() {
    let into = "{podSelector: {}, ingress: [{ports: [{port: http}, {port: dns, protocol: UDP}]}]}";
    let out = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}, {port: dns, protocol: UDP}]}]}";
    for world in [super::world(&[("blue", into)]), super::world(&[("red", out)])] {
        let may = |port, protocol| world.may(world.pod("red/client"), world.pod("blue/server"), port, protocol);
        assert!(may(8080, Protocol::Tcp) && may(53, Protocol::Udp));
        assert!(!may(8081, Protocol::Tcp) && !may(53, Protocol::Tcp) && !may(54, Protocol::Tcp));
        assert!(!world.tcp("red/client", "blue/client", 8080), "this one has no port of that name");
    }
    let world = super::world(&[("red", out)]);
    assert!(!world.may_leave(world.pod("red/client"), 8080, Protocol::Tcp), "nor has what is outside");
    let wrong = super::world(&[("blue", "{podSelector: {}, ingress: [{ports: [{port: dns}]}]}")]);
    assert!(!wrong.tcp("red/client", "blue/server", 53), "a name of another protocol");
}

#[test]
fn a_range_holds_both_its_ends() {
    let world = world(&[("blue", "{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8080}]}]}")]);
    let open: Vec<u16> = [7999, 8000, 8040, 8080, 8081]
        .into_iter()
        .filter(|port| world.tcp("red/client", "blue/server", *port))
        .collect();
    assert_eq!(open, [8000, 8040, 8080]);
}

#[test]
fn policy_types_have_their_defaults() {
    let closed = |spec: &str| {
        let world = world(&[("blue", spec)]);
        [Direction::Ingress, Direction::Egress].map(|direction| world.is_closed(world.pod("blue/server"), direction))
    };
    assert_eq!(closed("{podSelector: {}}"), [true, false]);
    assert_eq!(closed("{podSelector: {}, egress: [{}]}"), [true, true]);
    assert_eq!(closed("{podSelector: {}, egress: []}"), [true, false]);
    assert_eq!(closed("{podSelector: {}, policyTypes: []}"), [true, false]);
    assert_eq!(closed("{podSelector: {}, policyTypes: [Egress]}"), [false, true]);
    // Rules of a direction that is not among the types do not count.
    let world = world(&[("blue", "{podSelector: {}, policyTypes: [Egress], ingress: [{ports: [{port: 1}]}]}")]);
    assert_eq!(world.clients(), [true, true, false], "only blue's own client is closed, on its way out");
}

#[test]
fn a_block_of_addresses_is_no_pod_and_not_everyone() {
    let block = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}";
    let world = world(&[("blue", block)]);
    assert_eq!(world.clients(), [false; 3]);
    assert_eq!(world.policies[0].blocks().map(|block| block.to_string()).collect::<Vec<_>>(), ["0.0.0.0/0"]);
    let both = "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}, {podSelector: {}}]}]}";
    assert_eq!(super::world(&[("blue", both)]).clients(), [false, false, true]);
    let pods = super::world(&[("blue", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}")]);
    assert_eq!(pods.policies[0].blocks().count(), 0);
}

#[test]
fn a_block_holds_its_addresses_but_for_the_excepted_ones() {
    let out = "{podSelector: {}, policyTypes: [Egress], egress: [
        {to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 53, protocol: UDP}]}]}";
    let world = world(&[("red", out)]);
    let may = |address: &str, port, protocol| {
        world.may_reach(world.pod("red/client"), address.parse().unwrap(), port, protocol)
    };
    assert!(may("10.2.0.1", 53, Protocol::Udp) && may("10.255.255.255", 53, Protocol::Udp));
    assert!(
        !may("10.1.0.1", 53, Protocol::Udp)
            && !may("11.0.0.1", 53, Protocol::Udp)
            && !may("fd00::1", 53, Protocol::Udp)
    );
    assert!(!may("10.2.0.1", 53, Protocol::Tcp) && !may("10.2.0.1", 54, Protocol::Udp));
    assert!(!world.may_leave(world.pod("red/client"), 53, Protocol::Udp), "not to every address");
    assert!(world.may_reach(world.pod("blue/client"), "10.1.0.1".parse().unwrap(), 1, Protocol::Tcp), "no policy");
}

#[test]
fn expressions_select_and_all_of_them_must() {
    let clients = |selector: &str| {
        let spec = format!(
            "{{podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: {selector}}}]}}]}}"
        );
        world(&[("blue", &spec)]).clients()
    };
    assert_eq!(clients("{matchExpressions: [{key: app, operator: In, values: [client, third]}]}"), [true, false, true]);
    assert_eq!(clients("{matchExpressions: [{key: tier, operator: In, values: [front]}]}"), [true, false, false]);
    assert_eq!(clients("{matchExpressions: [{key: app, operator: NotIn, values: [client]}]}"), [false, true, false]);
    assert_eq!(clients("{matchExpressions: [{key: tier, operator: NotIn, values: [front]}]}"), [false, true, true]);
    assert_eq!(clients("{matchExpressions: [{key: tier, operator: Exists}]}"), [true, false, false]);
    assert_eq!(clients("{matchExpressions: [{key: tier, operator: DoesNotExist}]}"), [false, true, true]);
    let two = "{matchLabels: {app: client}, matchExpressions: [{key: tier, operator: DoesNotExist}]}";
    assert_eq!(clients(two), [false, false, true]);
    assert_eq!(clients("{matchLabels: {app: client, tier: front}}"), [true, false, false]);
}

#[test]
fn namespaces_are_selected_by_their_own_labels_and_by_their_name() {
    let clients = |selector: &str| {
        world(&[("blue", &format!("{{podSelector: {{}}, ingress: [{{from: [{{namespaceSelector: {selector}}}]}}]}}"))])
            .clients()
    };
    assert_eq!(clients("{matchLabels: {kubernetes.io/metadata.name: red}}"), [true, true, false]);
    assert_eq!(clients("{matchExpressions: [{key: warm, operator: DoesNotExist}]}"), [false, false, true]);
    assert_eq!(clients("{matchLabels: {app: client}}"), [false; 3], "a pod's label is none of its namespace");
}

#[test]
fn only_a_rule_without_peers_lets_out_of_the_cluster() {
    let leaves = |spec: &str, port| {
        let world = world(&[("red", spec)]);
        world.may_leave(world.pod("red/client"), port, Protocol::Tcp)
    };
    let anywhere = "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}";
    assert!(leaves(anywhere, 443) && !leaves(anywhere, 80));
    assert!(!leaves("{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}]}]}", 443));
    assert!(!leaves("{podSelector: {}, policyTypes: [Egress]}", 443));
    assert!(leaves("{podSelector: {}, policyTypes: [Ingress]}", 443));
}

#[test]
fn the_ports_that_stand_for_all_hold_every_port_where_something_changes() {
    let world = world(&[(
        "blue",
        "{podSelector: {}, ingress: [{ports: [{port: 70, endPort: 80}, {port: http}, {port: 65535}]}]}",
    )]);
    let ports = world.ports();
    let may = |port| world.tcp("red/client", "blue/server", port);
    for port in 2..=u16::MAX {
        assert!(may(port) == may(port - 1) || ports.contains(&port), "{port}");
    }
    assert!(ports.contains(&1) && ports.len() < 20);
}
