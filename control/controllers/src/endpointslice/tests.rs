use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{
    core::v1::{Endpoints, Pod, Service},
    discovery::v1::EndpointSlice,
};
use serde_json::{Value, json};

use super::{backends, slices::plan};
use crate::{
    DeleteOptions,
    machinery::Object,
    testing::{Cluster, MemoryApi},
};

fn service(change: impl FnOnce(&mut Value)) -> Value {
    let mut value = json!({
        "metadata": {"namespace": "default", "name": "web", "labels": {"team": "a"}},
        "spec": {"clusterIP": "10.96.0.9", "selector": {"app": "web"},
                 "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]},
    });
    change(&mut value);
    value
}

fn pod(name: &str, ip: &str, port: i32, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("u-{name}"), "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "hostname": name, "subdomain": "web",
                 "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                   "conditions": [{"type": "Ready", "status": status}]},
    })
}

fn planned(service: Value, pods: Vec<Value>, existing: Vec<EndpointSlice>) -> super::slices::Plan {
    let service: Service = serde_json::from_value(service).unwrap();
    let pods: Vec<Arc<Pod>> = pods
        .into_iter()
        .map(|p| Arc::new(serde_json::from_value(p).unwrap()))
        .collect();
    let backends = backends::of(&service, &pods, &|_| Some("zone-1".to_owned()));
    plan(&service, &backends, existing.into_iter().map(Arc::new).collect())
}

#[test]
fn endpoints_carry_conditions_target_node_zone_and_hostname() {
    let mut going = pod("c", "10.0.0.3", 8080, true);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut ended = pod("d", "10.0.0.4", 8080, false);
    ended["status"]["phase"] = json!("Succeeded");
    let pods = vec![
        pod("a", "10.0.0.1", 8080, true),
        pod("b", "10.0.0.2", 8080, false),
        going,
        ended,
    ];
    let plan = planned(service(|_| {}), pods, Vec::new());
    let [slice] = &plan.create[..] else {
        panic!("{} slices", plan.create.len())
    };
    let value = serde_json::to_value(slice).unwrap();
    assert_eq!(
        value["metadata"]["labels"],
        json!({"team": "a", "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"})
    );
    assert_eq!(
        value["ports"],
        json!([{"name": "http", "port": 8080, "protocol": "TCP"}])
    );
    let endpoints = value["endpoints"].as_array().unwrap();
    let find = |name: &str| endpoints.iter().find(|e| e["targetRef"]["name"] == name);
    assert_eq!(
        find("a").unwrap(),
        &json!({"addresses": ["10.0.0.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
                "hostname": "a", "nodeName": "n1", "zone": "zone-1",
                "targetRef": {"kind": "Pod", "name": "a", "namespace": "default", "uid": "u-a"}})
    );
    let conditions =
        |ready, serving, terminating| json!({"ready": ready, "serving": serving, "terminating": terminating});
    assert_eq!(find("b").unwrap()["conditions"], conditions(false, false, false));
    assert_eq!(find("c").unwrap()["conditions"], conditions(false, true, true));
    assert!(find("d").is_none());

    let publish = service(|s| s["spec"]["publishNotReadyAddresses"] = json!(true));
    let plan = planned(publish, vec![pod("b", "10.0.0.2", 8080, false)], Vec::new());
    assert_eq!(
        plan.create[0].endpoints.as_ref().unwrap()[0]
            .conditions
            .as_ref()
            .unwrap()
            .ready,
        Some(true)
    );
}

#[test]
fn slices_hold_a_hundred_group_by_port_and_change_as_little_as_possible() {
    let pods: Vec<Value> = (0..250)
        .map(|i| pod(&format!("p{i}"), &format!("10.0.1.{i}"), 8080, true))
        .collect();
    let plan = planned(service(|_| {}), pods.clone(), Vec::new());
    let mut sizes: Vec<usize> = plan
        .create
        .iter()
        .map(|s| s.endpoints.as_ref().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);

    let named = |(i, mut s): (usize, EndpointSlice)| {
        s.metadata.name = Some(format!("web-{i}"));
        s
    };
    let existing: Vec<EndpointSlice> = plan.create.into_iter().enumerate().map(named).collect();
    let again = planned(service(|_| {}), pods.clone(), existing.clone());
    assert!(again.create.is_empty() && again.update.is_empty() && again.delete.is_empty());

    let fewer = planned(service(|_| {}), pods[1..].to_vec(), existing.clone());
    assert_eq!(
        (fewer.create.len(), fewer.update.len(), fewer.delete.len()),
        (0, 1, 0)
    );

    // Another port in one pod: a slice of its own.
    let mut mixed = pods;
    mixed[0] = pod("p0", "10.0.1.0", 9090, true);
    let mixed = planned(service(|_| {}), mixed, existing.clone());
    assert_eq!((mixed.create.len(), mixed.update.len()), (1, 1));

    // Nobody left: one empty slice says so.
    let none = planned(service(|_| {}), Vec::new(), existing);
    assert_eq!((none.create.len(), none.delete.len()), (1, 3));
    assert_eq!(none.create[0].endpoints, Some(Vec::new()));
}

fn ready(api: &MemoryApi) -> Vec<String> {
    let slices = api.all::<EndpointSlice>();
    let endpoints = slices.into_iter().flat_map(|s| s.endpoints.unwrap_or_default());
    let ready = endpoints.filter(|e| e.conditions.as_ref().unwrap().ready == Some(true));
    let mut ready: Vec<String> = ready.map(|e| e.addresses[0].clone()).collect();
    ready.sort();
    ready
}

#[tokio::test(start_paused = true)]
async fn readiness_reaches_slices_and_endpoints_within_milliseconds() {
    let mut cluster = Cluster::new();
    cluster.node("n1", "8");
    cluster.start();
    cluster.api.put::<Service>(service(|_| {}));
    cluster
        .api
        .put::<Service>(json!({"metadata": {"namespace": "default", "name": "manual"}, "spec": {}}));
    cluster.api.put::<Pod>(pod("a", "10.0.0.1", 8080, true));
    cluster.api.put::<Pod>(pod("b", "10.0.0.2", 8080, false));
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(ready(&cluster.api), ["10.0.0.1"]);
    cluster.api.change::<Pod>("default", "b", |p| {
        p["status"]["conditions"][0] =
            json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:07Z"});
    });
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(ready(&cluster.api), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(cluster.api.all::<EndpointSlice>().len(), 1);

    let endpoints: Endpoints = cluster.api.one("default", "web").unwrap();
    let subset = &endpoints.subsets.as_ref().unwrap()[0];
    assert_eq!(subset.addresses.as_ref().unwrap().len(), 2);
    assert_eq!(subset.ports.as_ref().unwrap()[0].port, 8080);
    let slices = cluster.api.all::<EndpointSlice>();
    for annotations in [endpoints.annotations(), slices[0].annotations()] {
        assert_eq!(annotations[super::trigger::LAST_CHANGE], "2026-01-01T00:00:07Z");
    }
    assert!(
        cluster.api.one::<Endpoints>("default", "manual").is_none(),
        "without a selector: left alone"
    );

    let writes = cluster.api.writes();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        cluster.api.writes(),
        writes,
        "nothing changes, nothing is written"
    );

    cluster
        .api
        .remove::<Pod>("default", "a", &DeleteOptions::default());
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(ready(&cluster.api), ["10.0.0.2"]);
    let slices = cluster.api.all::<EndpointSlice>();
    assert!(
        !slices[0].annotations().contains_key(super::trigger::LAST_CHANGE),
        "a pod that goes is not timed"
    );
    cluster
        .api
        .remove::<Service>("default", "web", &DeleteOptions::default());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(cluster.api.one::<Endpoints>("default", "web").is_none());
    assert!(cluster.api.all::<EndpointSlice>().is_empty());
    cluster.stop().await;
}
