use serde_json::json;

use super::*;

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

fn ips(ingress: Vec<LoadBalancerIngress>) -> Vec<String> {
    ingress.into_iter().filter_map(|one| one.ip).collect()
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
    assert_eq!(ips(ingress(&service, &nodes, &[])), ["192.0.2.1", "192.0.2.2"]);
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
    assert_eq!(ips(ingress(&service, &nodes, &[slice])), ["192.0.2.2"]);
    assert!(ingress(&service, &nodes, &[]).is_empty());
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
