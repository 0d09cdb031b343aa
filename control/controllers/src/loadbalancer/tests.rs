use serde_json::json;

use super::*;
use crate::testing::Cluster;

fn parse<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Arc<T> {
    Arc::new(serde_json::from_value(value).unwrap())
}

fn node(name: &str, address: &str, ready: &str) -> Arc<Node> {
    parse(json!({
        "metadata": {"name": name},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]
        }
    }))
}

fn ips(addresses: BTreeSet<String>) -> Vec<String> {
    addresses.into_iter().collect()
}

#[test]
fn a_service_is_reached_at_the_nodes_that_are_ready() {
    let service: Arc<Service> = parse(json!({"spec": {"type": "LoadBalancer"}}));
    let mut excluded = (*node("d", "192.0.2.4", "True")).clone();
    excluded.metadata.labels = Some([(EXCLUDED.to_owned(), String::new())].into());
    let nodes = [
        node("b", "192.0.2.2", "True"),
        node("a", "192.0.2.1", "True"),
        node("c", "192.0.2.3", "Unknown"),
        Arc::new(excluded),
    ];
    assert_eq!(
        ips(addresses_of_nodes(&service, &nodes, &[])),
        ["192.0.2.1", "192.0.2.2"]
    );
}

#[test]
fn with_a_local_policy_only_nodes_with_an_endpoint_are_named() {
    let service: Arc<Service> =
        parse(json!({"spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}}));
    let nodes = [node("a", "192.0.2.1", "True"), node("b", "192.0.2.2", "True")];
    let slice: Arc<EndpointSlice> = parse(json!({"addressType": "IPv4", "endpoints": [
        {"addresses": ["10.1.0.1"], "nodeName": "b", "conditions": {"ready": true}},
        {"addresses": ["10.1.0.2"], "nodeName": "a", "conditions": {"ready": false}}
    ]}));
    assert_eq!(ips(addresses_of_nodes(&service, &nodes, &[slice])), ["192.0.2.2"]);
    assert!(addresses_of_nodes(&service, &nodes, &[]).is_empty());
}

#[test]
fn a_service_of_another_class_is_left_alone() {
    let ours = |spec: serde_json::Value| is_ours(&parse::<Service>(json!({"spec": spec})));
    assert!(ours(json!({"type": "LoadBalancer"})));
    assert!(!ours(
        json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/lb"})
    ));
    assert!(!ours(json!({"type": "NodePort"})));
}

/// The first address of a service, and what its condition says.
fn seen(cluster: &Cluster, name: &str) -> (Option<std::net::Ipv4Addr>, String) {
    let service: Service = cluster.api.one("default", name).unwrap();
    let conditions = service.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let said = conditions.map(|c| format!("{} {}", c.status, c.reason)).collect();
    (pool::address(&service), said)
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_given_back_goes_to_the_service_that_waits() {
    let mut cluster = Cluster::new();
    cluster.pool = Some("192.0.2.1".parse().unwrap());
    for name in ["a", "b"] {
        cluster.api.put::<Service>(
            json!({"metadata": {"namespace": "default", "name": name}, "spec": {"type": "LoadBalancer"}}),
        );
    }
    cluster.start();
    let only = Some("192.0.2.1".parse().unwrap());
    let given = (only, "True Allocated".to_owned());
    let waits = (None, "False PoolExhausted".to_owned());
    let limit = std::time::Duration::from_secs(30);
    cluster.settle(limit).await;
    let (mut first, mut second) = ("a", "b");
    if seen(&cluster, "b") == given {
        (first, second) = (second, first);
    }
    assert_eq!(
        (seen(&cluster, first), seen(&cluster, second)),
        (given.clone(), waits.clone())
    );

    // A new leader finds it so and changes nothing.
    cluster.stop().await;
    let writes = cluster.api.writes();
    cluster.start();
    cluster.settle(limit).await;
    assert_eq!(
        (seen(&cluster, first), seen(&cluster, second)),
        (given.clone(), waits)
    );
    assert_eq!(cluster.api.writes(), writes);

    cluster
        .api
        .remove::<Service>("default", first, &crate::DeleteOptions::default());
    cluster.settle(limit).await;
    assert_eq!(seen(&cluster, second), given);
}
