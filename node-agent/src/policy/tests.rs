//! What policies come to, on a small cluster.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use k8s_openapi::api::{
    core::v1::{Namespace, Pod},
    networking::v1::NetworkPolicy,
};
use serde_json::{Value, json};
use skiff_pod_network::policy::{AddressRange, Allow, PortRange, Rules};

use super::select::{PodFacts, World};

fn pod(namespace: &str, name: &str, node: &str, address: &str, port: u16) -> (String, PodFacts) {
    let object = json!({
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {"podIP": address, "phase": "Running"},
    });
    let pod: Pod = serde_json::from_value(object).unwrap();
    (format!("{namespace}/{name}"), PodFacts::of(&pod).unwrap())
}

/// Two namespaces; the rules of node `n` under one policy in the namespace `a`.
fn rules(spec: Value) -> Rules {
    let pods: BTreeMap<_, _> = [
        pod("a", "web", "n", "10.0.0.2", 8080),
        pod("a", "client", "m", "10.0.1.2", 9090),
        pod("b", "web", "n", "10.0.0.3", 8081),
        pod("b", "other", "m", "10.0.1.3", 8082),
    ]
    .into();
    let namespaces: BTreeMap<String, Namespace> = ["a", "b"]
        .map(|name| {
            let object = json!({"metadata": {"name": name, "labels": {"team": name}}});
            (name.to_owned(), serde_json::from_value(object).unwrap())
        })
        .into();
    let policy: NetworkPolicy =
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec})).unwrap();
    let policies: BTreeMap<_, _> = [("a/p".to_owned(), policy)].into();
    let world = World {
        policies: &policies,
        pods: &pods,
        namespaces: &namespaces,
    };
    world.rules("n")
}

const WEB: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

fn hosts(addresses: &[[u8; 4]]) -> Option<Vec<AddressRange>> {
    let range = |address: &[u8; 4]| AddressRange {
        first: (*address).into(),
        last: (*address).into(),
    };
    Some(addresses.iter().map(range).collect())
}

fn ports(protocol: i32, first: u16, last: u16) -> Option<Vec<PortRange>> {
    Some(vec![PortRange {
        protocol: protocol as u8,
        first,
        last,
    }])
}

#[test]
fn a_policy_without_rules_isolates_the_pods_it_selects_in_its_namespace() {
    let rules = rules(json!({"podSelector": {}, "policyTypes": ["Ingress"]}));
    assert_eq!(rules.keys().collect::<Vec<_>>(), [&WEB]);
    assert_eq!(rules[&WEB].ingress, Some(Vec::new()));
    assert_eq!(rules[&WEB].egress, None);
}

#[test]
fn peers_are_pods_of_the_own_namespace_unless_others_are_selected() {
    let from = |peer: Value| {
        let spec = json!({"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
            "ingress": [{"from": [peer]}]});
        rules(spec)[&WEB].ingress.clone().unwrap()[0].others.clone()
    };
    assert_eq!(
        from(json!({"podSelector": {}})),
        hosts(&[[10, 0, 0, 2], [10, 0, 1, 2]])
    );
    assert_eq!(
        from(json!({"namespaceSelector": {"matchLabels": {"team": "b"}}})),
        hosts(&[[10, 0, 0, 3], [10, 0, 1, 3]])
    );
    let both = json!({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["b"]}]},
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}});
    assert_eq!(from(both), hosts(&[[10, 0, 1, 3]]));
    assert_eq!(
        from(json!({"podSelector": {"matchLabels": {"app": "nobody"}}})),
        Some(Vec::new())
    );
    let block = from(json!({"ipBlock": {"cidr": "192.168.0.0/16", "except": ["192.168.0.0/17"]}}));
    assert_eq!(
        block,
        Some(vec![AddressRange {
            first: [192, 168, 128, 0].into(),
            last: [192, 168, 255, 255].into()
        }])
    );
}

#[test]
fn a_named_port_is_that_of_the_receiving_pod() {
    let spec = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "http"}, {"port": "nothing"}]}],
        "egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": "http", "protocol": "TCP"}]}]});
    let rules = &rules(spec)[&WEB];
    assert_eq!(
        rules.ingress,
        Some(vec![Allow {
            others: None,
            ports: ports(libc::IPPROTO_TCP, 8080, 8080)
        }])
    );
    let egress = rules.egress.clone().unwrap();
    assert_eq!(egress.len(), 4, "each pod has it at another number");
    assert_eq!(
        egress[1],
        Allow {
            others: hosts(&[[10, 0, 0, 3]]),
            ports: ports(libc::IPPROTO_TCP, 8081, 8081)
        }
    );
}

#[test]
fn ranges_of_ports_and_other_protocols_are_taken_as_they_are() {
    let spec = json!({"podSelector": {}, "policyTypes": ["Egress"],
        "egress": [{"ports": [{"port": 5000, "endPort": 5010, "protocol": "UDP"}]}, {}]});
    assert_eq!(
        rules(spec)[&WEB].egress,
        Some(vec![
            Allow {
                others: None,
                ports: ports(libc::IPPROTO_UDP, 5000, 5010)
            },
            Allow {
                others: None,
                ports: None
            }
        ])
    );
}

#[test]
fn pods_that_have_ended_or_live_on_the_hosts_network_are_not_looked_at() {
    let facts = |spec: Value, phase: &str| {
        let object = json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec,
            "status": {"podIP": "10.0.0.9", "phase": phase}});
        PodFacts::of(&serde_json::from_value::<Pod>(object).unwrap())
    };
    let spec = json!({"nodeName": "n", "containers": []});
    assert!(facts(spec.clone(), "Running").is_some());
    assert!(facts(spec, "Succeeded").is_none());
    assert!(
        facts(
            json!({"nodeName": "n", "hostNetwork": true, "containers": []}),
            "Running"
        )
        .is_none()
    );
}

#[test]
fn a_pod_of_two_families_has_its_rules_in_both_and_is_meant_with_both() {
    let both = |name: &str, first: &str, second: &str| {
        let (key, mut facts) = pod("a", name, "n", first, 8080);
        facts.addresses.push(second.parse().unwrap());
        (key, facts)
    };
    let pods = [
        both("web", "10.0.0.2", "fd00::2"),
        both("client", "10.0.0.3", "fd00::3"),
    ]
    .into();
    let policy: NetworkPolicy =
        serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "a"}, "spec": {
        "podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "client"}}},
            {"ipBlock": {"cidr": "2001:db8::/126", "except": ["2001:db8::/127"]}}]}]}}))
        .unwrap();
    let rules = World {
        policies: &[("a/p".to_owned(), policy)].into(),
        pods: &pods,
        namespaces: &BTreeMap::new(),
    }
    .rules("n");
    let web: Vec<IpAddr> = ["10.0.0.2", "fd00::2"].map(|text| text.parse().unwrap()).into();
    assert_eq!(rules.keys().copied().collect::<Vec<_>>(), web);
    assert_eq!(rules[&web[0]], rules[&web[1]]);
    let range = |first: &str, last: &str| AddressRange {
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
    };
    assert_eq!(
        rules[&web[0]].ingress.clone().unwrap()[0].others,
        Some(vec![
            range("10.0.0.3", "10.0.0.3"),
            range("2001:db8::2", "2001:db8::3"),
            range("fd00::3", "fd00::3")
        ])
    );
}
