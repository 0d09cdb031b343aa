//! Defaults of pods and pod templates, as the Kubernetes API reference documents them.
//!
//! String and plain integer fields count as unset when empty or zero, as they do in Kubernetes; fields that are
//! pointers there count as unset when absent.

use serde_json::{Map, Value, json};

use super::resources;
use crate::{
    quantity,
    value::{
        entries, flag, get_mut, has, int, list, list_mut, set, set_default, set_default_int,
        set_default_text, text,
    },
};

const FILE_MODE: i64 = 0o644;

/// Defaults of a pod: those of its spec, and some that templates don't get.
pub(crate) fn pod(object: &mut Value) {
    if let Some(spec) = get_mut(object, "spec") {
        pod_spec(spec);
        set_default(spec, "enableServiceLinks", true);
        if flag(spec, "hostNetwork") {
            for_each_container(spec, &["initContainers", "containers"], |container| {
                for port in list_mut(container, "ports") {
                    if let Some(number) = int(port, "containerPort") {
                        set_default_int(port, "hostPort", number);
                    }
                }
            });
        }
        for_each_container(spec, &["initContainers", "containers"], |container| {
            if let Some(resources) = get_mut(container, "resources") {
                requests_from_limits(resources);
            }
        });
        pod_level_requests(spec);
    }
    // One address and the list of addresses tell the same; the single field has the last word.
    let address = text(object, "status.podIP").to_owned();
    let first = list(object, "status.podIPs")
        .first()
        .map(|ip| text(ip, "ip").to_owned());
    match first {
        None if !address.is_empty() => set(object, "status.podIPs", json!([{"ip": address}])),
        Some(first) if address.is_empty() => set(object, "status.podIP", first),
        Some(first) if first != address => set(object, "status.podIPs", json!([{"ip": address}])),
        _ => {}
    }
}

/// Defaults of a pod template.
pub(crate) fn template(template: &mut Value) {
    if let Some(template) = template.as_object_mut() {
        template.entry("metadata").or_insert_with(|| json!({}));
    }
    if let Some(spec) = get_mut(template, "spec") {
        pod_spec(spec);
    }
}

fn pod_spec(spec: &mut Value) {
    set_default_text(spec, "restartPolicy", "Always");
    set_default_text(spec, "dnsPolicy", "ClusterFirst");
    set_default_text(spec, "schedulerName", "default-scheduler");
    set_default(spec, "terminationGracePeriodSeconds", 30);
    set_default(spec, "securityContext", json!({}));
    service_account(spec);
    for_each_container(spec, &["initContainers", "containers"], container);
    for_each_container(spec, &["ephemeralContainers"], container);
    for volume_source in list_mut(spec, "volumes") {
        volume(volume_source);
    }
    if let Some(overhead) = get_mut(spec, "overhead") {
        resources::canonicalize(overhead);
    }
    if let Some(own) = get_mut(spec, "resources") {
        canonical_resources(own);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are always shown.
pub(crate) fn service_account(spec: &mut Value) {
    let name = match text(spec, "serviceAccountName") {
        "" => text(spec, "serviceAccount"),
        name => name,
    }
    .to_owned();
    if !name.is_empty() {
        set(spec, "serviceAccountName", name.as_str());
        set(spec, "serviceAccount", name);
    }
}

fn for_each_container(spec: &mut Value, lists: &[&str], change: impl Fn(&mut Value)) {
    for name in lists {
        list_mut(spec, name).iter_mut().for_each(&change);
    }
}

fn container(container: &mut Value) {
    let image = text(container, "image").to_owned();
    set_default_text(container, "imagePullPolicy", pull_policy(&image));
    set_default_text(container, "terminationMessagePath", "/dev/termination-log");
    set_default_text(container, "terminationMessagePolicy", "File");
    set_default(container, "resources", json!({}));
    if let Some(resources) = get_mut(container, "resources") {
        canonical_resources(resources);
    }
    for port in list_mut(container, "ports") {
        set_default_text(port, "protocol", "TCP");
    }
    for env in list_mut(container, "env") {
        if let Some(source) = get_mut(env, "valueFrom") {
            field_source(source);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = get_mut(container, name) {
            probe(found);
        }
    }
    for hook in ["lifecycle.postStart", "lifecycle.preStop"] {
        if let Some(action) = get_mut(container, hook) {
            handler(action);
        }
    }
}

/// `Always` for the tag `latest`, given or meant; `IfNotPresent` for other tags and digests.
fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or_default();
    let (name, digest) = last.split_once('@').map_or((last, None), |(n, d)| (n, Some(d)));
    match (name.split_once(':'), digest) {
        (Some((_, "latest")), _) | (None, None) if !image.is_empty() => "Always",
        (None, None) => "Always",
        _ => "IfNotPresent",
    }
}

fn canonical_resources(resources: &mut Value) {
    for field in ["limits", "requests"] {
        if let Some(amounts) = get_mut(resources, field) {
            resources::canonicalize(amounts);
        }
    }
}

/// What has a limit and no request requests its limit.
fn requests_from_limits(resources: &mut Value) {
    let missing: Vec<(String, Value)> = entries(resources, "limits")
        .filter(|(name, _)| !entries(resources, "requests").any(|(other, _)| other == *name))
        .map(|(name, amount)| (name.to_owned(), amount.clone()))
        .collect();
    add_requests(resources, missing);
}

fn add_requests(resources: &mut Value, missing: Vec<(String, Value)>) {
    if missing.is_empty() {
        return;
    }
    if let Some(resources) = resources.as_object_mut() {
        let requests = resources.entry("requests").or_insert_with(|| json!({}));
        if requests.is_null() {
            *requests = Value::Object(Map::new());
        }
        if let Some(requests) = requests.as_object_mut() {
            requests.extend(missing);
        }
    }
}

/// A pod with resources of its own requests what its containers request together, else its limits.
fn pod_level_requests(spec: &mut Value) {
    if !has(spec, "resources") {
        return;
    }
    let supported = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    let has_request = |name: &str| entries(spec, "resources.requests").any(|(n, _)| n == name);
    let from_containers: Vec<(String, Value)> = resources::pod_requests(spec)
        .into_iter()
        .filter(|(name, _)| supported(name) && !has_request(name))
        .map(|(name, amount)| (name, Value::String(amount.to_string())))
        .collect();
    if let Some(resources) = get_mut(spec, "resources") {
        add_requests(resources, from_containers);
        requests_from_limits(resources);
    }
}

fn probe(probe: &mut Value) {
    set_default_int(probe, "timeoutSeconds", 1);
    set_default_int(probe, "periodSeconds", 10);
    set_default_int(probe, "successThreshold", 1);
    set_default_int(probe, "failureThreshold", 3);
    handler(probe);
    if let Some(grpc) = get_mut(probe, "grpc") {
        set_default(grpc, "service", "");
    }
}

fn handler(handler: &mut Value) {
    if let Some(http) = get_mut(handler, "httpGet") {
        set_default_text(http, "path", "/");
        set_default_text(http, "scheme", "HTTP");
    }
}

/// `fieldRef` and `resourceFieldRef`, in environments and volumes.
fn field_source(source: &mut Value) {
    if let Some(field) = get_mut(source, "fieldRef") {
        set_default_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = get_mut(source, "resourceFieldRef") {
        set_default(resource, "divisor", "0");
        if let Some(divisor) = get_mut(resource, "divisor") {
            quantity::canonicalize(divisor);
        }
    }
}

fn volume(volume: &mut Value) {
    let Some(map) = volume.as_object_mut() else {
        return;
    };
    if map.iter().all(|(key, source)| key == "name" || source.is_null()) {
        map.insert("emptyDir".to_owned(), json!({}));
    }
    for name in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = get_mut(volume, name) {
            set_default(source, "defaultMode", FILE_MODE);
        }
    }
    for item in list_mut(volume, "downwardAPI.items") {
        field_source(item);
    }
    for source in list_mut(volume, "projected.sources") {
        if let Some(token) = get_mut(source, "serviceAccountToken") {
            set_default(token, "expirationSeconds", 3600);
        }
        for item in list_mut(source, "downwardAPI.items") {
            field_source(item);
        }
    }
    if let Some(limit) = get_mut(volume, "emptyDir.sizeLimit") {
        quantity::canonicalize(limit);
    }
    if let Some(image) = get_mut(volume, "image") {
        let policy = pull_policy(text(image, "reference"));
        set_default_text(image, "pullPolicy", policy);
    }
    if let Some(claim) = get_mut(volume, "ephemeral.volumeClaimTemplate.spec") {
        set_default(claim, "volumeMode", "Filesystem");
        if let Some(resources) = get_mut(claim, "resources") {
            canonical_resources(resources);
        }
    }
    volume_source(volume);
}

/// Defaults that volumes of pods and PersistentVolumes share.
pub(crate) fn volume_source(volume: &mut Value) {
    if let Some(host) = get_mut(volume, "hostPath") {
        set_default(host, "type", "");
    }
    if let Some(iscsi) = get_mut(volume, "iscsi") {
        set_default_text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = get_mut(volume, "rbd") {
        set_default_text(rbd, "pool", "rbd");
        set_default_text(rbd, "user", "admin");
        set_default_text(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = get_mut(volume, "azureDisk") {
        set_default(disk, "cachingMode", "ReadWrite");
        set_default(disk, "kind", "Shared");
        set_default(disk, "fsType", "ext4");
        set_default(disk, "readOnly", false);
    }
    if let Some(scale_io) = get_mut(volume, "scaleIO") {
        set_default_text(scale_io, "storageMode", "ThinProvisioned");
        set_default_text(scale_io, "fsType", "xfs");
    }
}

/// Whether the pod spec names this volume source; for tests and validation.
pub(crate) fn source_names(volume: &Value) -> impl Iterator<Item = &str> {
    entries(volume, "")
        .filter(|(key, source)| *key != "name" && !source.is_null())
        .map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_pod_gets_all_documented_defaults() {
        let mut object = json!({"spec": {"containers": [{"name": "c", "image": "nginx"}]}});
        pod(&mut object);
        assert_eq!(
            object,
            json!({"spec": {
                "containers": [{
                    "name": "c",
                    "image": "nginx",
                    "imagePullPolicy": "Always",
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "terminationGracePeriodSeconds": 30,
            }})
        );
    }

    #[test]
    fn the_pull_policy_follows_the_tag() {
        let cases = [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.2", "IfNotPresent"),
            ("localhost:5000/nginx", "Always"),
            ("localhost:5000/a/nginx:1", "IfNotPresent"),
            ("nginx@sha256:abc", "IfNotPresent"),
            ("nginx:latest@sha256:abc", "Always"),
        ];
        for (image, policy) in cases {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn probes_ports_environment_and_volumes_are_completed() {
        let mut object = json!({"spec": {
            "hostNetwork": true,
            "serviceAccount": "sa",
            "containers": [{
                "name": "c",
                "image": "a:1",
                "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "readinessProbe": {"grpc": {"port": 80}, "periodSeconds": 0, "timeoutSeconds": 7},
                "lifecycle": {"preStop": {"httpGet": {"port": "web"}}},
                "env": [
                    {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "B", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                ],
                "resources": {"limits": {"cpu": "1000m", "memory": 1024}, "requests": {"cpu": 0.5}},
            }],
            "volumes": [
                {"name": "a"},
                {"name": "b", "secret": {"secretName": "s"}},
                {"name": "c", "hostPath": {"path": "/x"}},
                {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
                {"name": "e", "emptyDir": {"sizeLimit": "1024Mi"}},
            ],
        }});
        pod(&mut object);
        let spec = &object["spec"];
        let container = &spec["containers"][0];
        assert_eq!(spec["serviceAccountName"], "sa");
        assert_eq!(
            container["ports"],
            json!([{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}])
        );
        assert_eq!(
            container["livenessProbe"],
            json!({
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
            })
        );
        assert_eq!(
            container["readinessProbe"],
            json!({
                "grpc": {"port": 80, "service": ""},
                "timeoutSeconds": 7, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
            })
        );
        assert_eq!(container["lifecycle"]["preStop"]["httpGet"]["scheme"], "HTTP");
        assert_eq!(container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"], "v1");
        assert_eq!(
            container["env"][1]["valueFrom"]["resourceFieldRef"]["divisor"],
            "0"
        );
        assert_eq!(
            container["resources"],
            json!({
                "limits": {"cpu": "1", "memory": "1024"},
                "requests": {"cpu": "500m", "memory": "1024"},
            })
        );
        assert_eq!(
            spec["volumes"],
            json!([
                {"name": "a", "emptyDir": {}},
                {"name": "b", "secret": {"secretName": "s", "defaultMode": 420}},
                {"name": "c", "hostPath": {"path": "/x", "type": ""}},
                {"name": "d", "projected": {
                    "defaultMode": 420,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}],
                }},
                {"name": "e", "emptyDir": {"sizeLimit": "1Gi"}},
            ])
        );
    }

    #[test]
    fn a_template_gets_no_requests_from_limits() {
        let mut object = json!({"spec": {"containers": [
            {"name": "c", "image": "a:1", "resources": {"limits": {"cpu": "1"}}}
        ]}});
        template(&mut object);
        assert_eq!(
            object["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "1"}})
        );
        assert!(object["spec"].get("enableServiceLinks").is_none());
    }
}
