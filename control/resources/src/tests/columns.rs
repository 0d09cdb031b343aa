//! What kubectl prints.

use serde_json::{Value, json};

/// 2026-01-01T01:00:00Z, an hour after the objects below were made.
const NOW: i64 = 1_767_229_200;

fn cells(mut object: Value) -> String {
    object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    if object["metadata"].get("name").is_none() {
        object["metadata"]["name"] = "x".into();
    }
    let cells = super::row(&object).strategy.cells(&object, NOW);
    cells
        .iter()
        .map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned))
        .collect::<Vec<_>>()
        .join("|")
}

fn pod(spec: Value, status: Value) -> String {
    cells(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec, "status": status}))
}

#[test]
fn pods() {
    let one = json!({"containers": [{"name": "a"}]});
    let two = json!({"containers": [{"name": "a"}, {"name": "b"}]});
    let running = |ready: bool| json!({"ready": ready, "state": {"running": {}}, "restartCount": 0});
    assert_eq!(
        pod(
            json!({"containers": [{"name": "a"}], "nodeName": "n1"}),
            json!({
                "phase": "Running",
                "podIP": "10.0.0.1",
                "podIPs": [{"ip": "10.0.0.1"}],
                "containerStatuses": [running(true)],
            })
        ),
        "x|1/1|Running|0|60m|10.0.0.1|n1|<none>|<none>"
    );
    assert_eq!(
        pod(one.clone(), json!({"phase": "Pending"})),
        "x|0/1|Pending|0|60m|<none>|<none>|<none>|<none>"
    );
    let status_of = |line: String| line.split('|').skip(1).take(3).collect::<Vec<_>>().join("|");
    assert_eq!(
        status_of(pod(
            one.clone(),
            json!({"phase": "Pending", "containerStatuses": [
                {"state": {"waiting": {"reason": "ContainerCreating"}}, "restartCount": 0}
            ]})
        )),
        "0/1|ContainerCreating|0"
    );
    assert_eq!(
        status_of(pod(
            one.clone(),
            json!({"phase": "Running", "containerStatuses": [{
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:54:57Z"}},
                "restartCount": 3,
            }]})
        )),
        "0/1|CrashLoopBackOff|3 (5m3s ago)"
    );
    assert_eq!(
        status_of(pod(
            one.clone(),
            json!({"phase": "Succeeded", "containerStatuses": [
                {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}, "restartCount": 0}
            ]})
        )),
        "0/1|Completed|0"
    );
    assert_eq!(
        status_of(pod(
            one.clone(),
            json!({"phase": "Failed", "containerStatuses": [
                {"state": {"terminated": {"exitCode": 7}}, "restartCount": 0}
            ]})
        )),
        "0/1|ExitCode:7|0"
    );
    assert_eq!(
        status_of(pod(
            one.clone(),
            json!({"phase": "Failed", "reason": "Evicted", "containerStatuses": []})
        )),
        "0/1|Evicted|0"
    );
    // One container has ended, the other runs.
    let half = |ready: &str| {
        json!({
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [
                {"state": {"terminated": {"reason": "Completed", "exitCode": 0}}, "restartCount": 0},
                running(true),
            ],
        })
    };
    assert_eq!(status_of(pod(two.clone(), half("False"))), "1/2|NotReady|0");
    assert_eq!(status_of(pod(two, half("True"))), "1/2|Running|0");
    assert_eq!(
        status_of(pod(
            one.clone(),
            json!({"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
            ]})
        )),
        "0/1|SchedulingGated|0"
    );
    assert_eq!(
        cells(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"deletionTimestamp": "2026-01-01T00:59:00Z"},
            "spec": one, "status": {"phase": "Running", "containerStatuses": [running(true)]},
        })),
        "x|1/1|Terminating|0|60m|<none>|<none>|<none>|<none>"
    );
}

#[test]
fn pods_with_init_containers() {
    let spec = json!({
        "containers": [{"name": "a"}],
        "initContainers": [{"name": "i1"}, {"name": "i2"}],
        "readinessGates": [{"conditionType": "g1"}, {"conditionType": "g2"}],
    });
    let status_of = |statuses: Value| {
        let line = pod(
            spec.clone(),
            json!({"phase": "Pending", "initContainerStatuses": statuses,
                   "conditions": [{"type": "g2", "status": "True"}]}),
        );
        let parts: Vec<&str> = line.split('|').collect();
        assert_eq!(parts[8], "1/2");
        format!("{} {} {}", parts[1], parts[2], parts[3])
    };
    let done = json!({"name": "i1", "state": {"terminated": {"exitCode": 0}}, "restartCount": 0});
    let wait = json!({"name": "i2", "state": {"waiting": {"reason": "PodInitializing"}}, "restartCount": 0});
    let pull = json!({"name": "i2", "state": {"waiting": {"reason": "ErrImagePull"}}, "restartCount": 0});
    let fail =
        json!({"name": "i2", "state": {"terminated": {"exitCode": 2, "reason": "Error"}}, "restartCount": 1});
    let kill =
        json!({"name": "i2", "state": {"terminated": {"exitCode": 137, "signal": 9}}, "restartCount": 1});
    assert_eq!(status_of(json!([wait])), "0/1 Init:0/2 0");
    assert_eq!(status_of(json!([done, wait])), "0/1 Init:1/2 0");
    assert_eq!(status_of(json!([done, pull])), "0/1 Init:ErrImagePull 0");
    assert_eq!(status_of(json!([done, fail])), "0/1 Init:Error 1");
    assert_eq!(status_of(json!([done, kill])), "0/1 Init:Signal:9 1");
}

#[test]
fn pods_with_a_sidecar_count_it() {
    let line = pod(
        json!({
            "containers": [{"name": "a"}],
            "initContainers": [{"name": "s", "restartPolicy": "Always"}],
        }),
        json!({
            "phase": "Running",
            "initContainerStatuses": [
                {"name": "s", "started": true, "ready": true, "restartCount": 2, "state": {"running": {}}}
            ],
            "containerStatuses": [{"ready": true, "restartCount": 1, "state": {"running": {}}}],
        }),
    );
    assert!(line.starts_with("x|2/2|Running|3|"), "{line}");
}

#[test]
fn workloads() {
    let spec = json!({
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"spec": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}},
    });
    assert_eq!(
        cells(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": spec,
            "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1},
        })),
        "x|2/3|3|1|60m|a,b|i:1,j|app=web"
    );
    assert_eq!(
        cells(json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {}, "spec": spec,
            "status": {"replicas": 3, "readyReplicas": 2},
        })),
        "x|3|3|2|60m|a,b|i:1,j|app=web"
    );
    assert_eq!(
        cells(json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 4,
            "metadata": {"ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": true}
            ]},
        })),
        "x|statefulset.apps/db|4|60m"
    );
}

#[test]
fn services_and_endpoints() {
    let service = |spec: Value, status: Value| {
        cells(json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": spec, "status": status}))
    };
    assert_eq!(
        service(
            json!({
                "type": "NodePort", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                "selector": {"b": "2", "a": "1"},
            }),
            json!({})
        ),
        "x|NodePort|10.96.0.9|<none>|80:30080/TCP,53/UDP|60m|a=1,b=2"
    );
    assert_eq!(
        service(
            json!({"type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"]}),
            json!({})
        ),
        "x|ClusterIP|None|<none>|<none>|60m|<none>"
    );
    assert_eq!(
        service(
            json!({"type": "ExternalName", "externalName": "example.com"}),
            json!({})
        ),
        "x|ExternalName|<none>|example.com|<none>|60m|<none>"
    );
    let balancer = json!({"type": "LoadBalancer", "clusterIP": "10.96.0.1"});
    assert_eq!(
        service(balancer.clone(), json!({})),
        "x|LoadBalancer|10.96.0.1|<pending>|<none>|60m|<none>"
    );
    assert_eq!(
        service(
            balancer,
            json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.2"}, {"hostname": "a.example"}]}})
        ),
        "x|LoadBalancer|10.96.0.1|192.0.2.2,a.example|<none>|60m|<none>"
    );
    assert_eq!(
        cells(json!({
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {},
            "subsets": [{
                "addresses": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}],
                "ports": [{"port": 80}, {"port": 443}],
            }],
        })),
        "x|10.0.0.1:80,10.0.0.2:80,10.0.0.1:443 + 1 more...|60m"
    );
    assert_eq!(
        cells(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {}})),
        "x|<none>|60m"
    );
    assert_eq!(
        cells(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {},
            "addressType": "IPv4", "ports": [{"port": 80, "name": ""}],
            "endpoints": [{"addresses": ["a"]}, {"addresses": ["b"]}, {"addresses": ["c"]}, {"addresses": ["d"]}],
        })),
        "x|IPv4|80|a,b,c + 1 more...|60m"
    );
    assert_eq!(
        cells(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {}, "addressType": "IPv4",
        })),
        "x|IPv4|<unset>|<unset>|60m"
    );
}

#[test]
fn nodes() {
    assert_eq!(
        cells(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"labels": {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": true},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
                "nodeInfo": {
                    "kubeletVersion": "v1.37.0", "osImage": "Debian", "kernelVersion": "6.1",
                    "containerRuntimeVersion": "skiff://0.1.0",
                },
            },
        })),
        "x|Ready,SchedulingDisabled|control-plane,worker|60m|v1.37.0|192.0.2.1|<none>|Debian|6.1|skiff://0.1.0"
    );
    assert_eq!(
        cells(json!({"apiVersion": "v1", "kind": "Node", "metadata": {},
            "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})),
        "x|NotReady|<none>|60m||<none>|<none>|<unknown>|<unknown>|<unknown>"
    );
}

#[test]
fn events_of_both_groups_look_the_same() {
    let mut event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "p.1"},
        "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"},
        "reason": "BackOff", "type": "Warning", "message": " Back-off restarting \n", "count": 4,
        "firstTimestamp": "2026-01-01T00:30:00Z", "lastTimestamp": "2026-01-01T00:59:00Z",
        "source": {"component": "kubelet", "host": "n1"},
    });
    let line = "60s|Warning|BackOff|pod/p|spec.containers{c}|kubelet, n1|Back-off restarting|30m|4|p.1";
    assert_eq!(cells(event.clone()), line);
    crate::kinds::event::from_core(&mut event);
    assert_eq!(event["apiVersion"], "events.k8s.io/v1");
    assert_eq!(event["note"], " Back-off restarting \n");
    assert_eq!(cells(event), line);
    assert_eq!(
        cells(json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "p.2"},
            "involvedObject": {"kind": "Node", "name": "n"}, "type": "Normal", "reason": "Seen",
            "eventTime": "2026-01-01T00:59:30.000001Z", "reportingComponent": "skiff", "reportingInstance": "",
        })),
        "30s|Normal|Seen|node/n||skiff||30s|1|p.2"
    );
}

#[test]
fn other_kinds() {
    let cases = [
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": {"a": ""}, "binaryData": {"b": ""}}),
            "x|2|60m",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {}, "type": "Opaque", "data": {"a": ""}}),
            "x|Opaque|1|60m",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {}}),
            "x|60m",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {}, "status": {"phase": "Active"}}),
            "x|Active|60m",
        ),
        (
            json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {}}),
            "x|2026-01-01T00:00:00Z",
        ),
        (
            json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {}, "status": {
                "hard": {"pods": "10", "limits.cpu": "4", "cpu": "2"}, "used": {"pods": "3", "limits.cpu": "500m"},
            }}),
            "x|cpu: 0/2, pods: 3/10|limits.cpu: 500m/4|60m",
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {}, "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain", "claimRef": {"namespace": "ns", "name": "c"},
                "storageClassName": "fast", "volumeMode": "Filesystem",
            }, "status": {"phase": "Bound"}}),
            "x|1Gi|RWO,RWX|Retain|Bound|ns/c|fast|<unset>||60m|Filesystem",
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {}, "spec": {
                "volumeName": "pv", "storageClassName": "fast", "volumeMode": "Filesystem",
            }, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}}),
            "x|Bound|pv|1Gi|RWO|fast|<unset>|60m|Filesystem",
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {}, "spec": {}, "status": {"phase": "Pending"}}),
            "x|Pending|||||<unset>|60m|<unset>",
        ),
        (
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {}, "spec": {"holderIdentity": "me"}}),
            "x|me|60m",
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {},
                   "spec": {"podSelector": {"matchLabels": {"app": "web"}}}}),
            "x|app=web|60m",
        ),
        (
            json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {},
                   "spec": {"minAvailable": 2}, "status": {"disruptionsAllowed": 1}}),
            "x|2|N/A|1|60m",
        ),
        (
            json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {},
                   "value": 5, "preemptionPolicy": "Never"}),
            "x|5|false|60m|Never",
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {}}),
            "x|2026-01-01T00:00:00Z",
        ),
        (
            json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u1"}, {"kind": "User", "name": "u2"}, {"kind": "Group", "name": "g"},
                {"kind": "ServiceAccount", "namespace": "ns", "name": "s"},
            ]}),
            "x|Role/r|60m|u1, u2|g|ns/s",
        ),
    ];
    for (object, line) in cases {
        assert_eq!(cells(object), line);
    }
}
