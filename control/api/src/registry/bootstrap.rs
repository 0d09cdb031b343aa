//! What every cluster starts with: namespaces, roles and bindings, priority classes, and the service `kubernetes`.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use skiff_auth::User;
use skiff_resources::Part;
use skiff_store::{Compare, Op, Txn};

use super::{Registry, RequestContext, Target, meta};
use crate::status::Status;

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

fn context() -> RequestContext {
    RequestContext::internal(
        User::authenticated("system:apiserver", &["system:masters"]),
        "kube-apiserver",
    )
}

/// Creates what is missing and brings roles up to date. Tries until it works: at a start without quorum that can
/// take a while.
pub(crate) async fn run(registry: &Registry, advertise: SocketAddr) {
    let mut pause = Duration::from_millis(20);
    while let Err(error) = everything(registry, advertise).await {
        tracing::warn!(%error, "creating the first objects failed, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn everything(registry: &Registry, advertise: SocketAddr) -> Result<(), Status> {
    registry.fresh(None).await?;
    let namespaces = NAMESPACES
        .iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    ensure_all(registry, namespaces.collect(), false).await?;
    let mut rest = skiff_auth::bootstrap::objects();
    rest.extend(priority_classes());
    ensure_all(registry, rest, true).await?;
    ensure_service(registry, advertise).await
}

fn priority_classes() -> Vec<Value> {
    [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ]
    .map(|(name, value)| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
                "value": value, "preemptionPolicy": "PreemptLowerPriority",
                "description": format!("Used for system critical pods ({name}).")})
    })
    .into()
}

/// Creates objects side by side, so that they share log writes.
async fn ensure_all(registry: &Registry, objects: Vec<Value>, update: bool) -> Result<(), Status> {
    let writes = objects.into_iter().map(|object| ensure(registry, object, update));
    futures::future::try_join_all(writes).await.map(|_| ())
}

async fn ensure(registry: &Registry, object: Value, update: bool) -> Result<(), Status> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let Some(resource) = registry.kind(object["apiVersion"].as_str().unwrap_or_default(), kind) else {
        // Not served: nothing to start with.
        return Ok(());
    };
    let namespace = meta::namespace(&object).to_owned();
    let name = meta::name(&object).to_owned();
    let target = Target {
        resource,
        namespace: &namespace,
        name: &name,
    };
    let Some(entry) = registry.store().get(&target.key()) else {
        return match registry.create(&context(), resource, &namespace, object).await {
            Err(status) if status.reason == "AlreadyExists" => Ok(()),
            other => other.map(|_| ()),
        };
    };
    let live = registry.parse(&entry)?;
    if !update || live["metadata"]["annotations"][AUTOUPDATE] == "false" {
        return Ok(());
    }
    let fields = ["rules", "aggregationRule", "subjects"];
    let differs = |f: &&str| !object[*f].is_null() && object[*f] != live[*f];
    if !fields.iter().any(differs) || resource.group != "rbac.authorization.k8s.io" {
        return Ok(());
    }
    // Rules and subjects that an administrator added stay (Kubernetes, "Auto-reconciliation").
    let mut new = (*live).clone();
    for field in ["rules", "subjects"] {
        let mut merged: Vec<Value> = live[field].as_array().cloned().unwrap_or_default();
        for item in object[field].as_array().into_iter().flatten() {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        if !merged.is_empty() {
            new[field] = json!(merged);
        }
    }
    if !object["aggregationRule"].is_null() {
        new["aggregationRule"] = object["aggregationRule"].clone();
    }
    match registry.update(&context(), &target, Part::Main, new).await {
        Err(status) if status.code == 409 => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The service `kubernetes` at the first service address, and its endpoints: this server.
async fn ensure_service(registry: &Registry, advertise: SocketAddr) -> Result<(), Status> {
    let cidr = registry.inner.parts.service_cidr;
    let first = std::net::Ipv4Addr::from(u32::from(cidr.network()) + 1);
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIP": first.to_string(), "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": advertise.port()}]}});
    ensure(registry, service, false).await?;
    let ip = advertise.ip().to_string();
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        "subsets": [{"addresses": [{"ip": ip}],
            "ports": [{"name": "https", "port": advertise.port(), "protocol": "TCP"}]}]});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": if advertise.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": advertise.port(), "protocol": "TCP"}]});
    for object in [endpoints, slice] {
        let kind = object["kind"].as_str().unwrap_or_default();
        let Some(resource) = registry.kind(object["apiVersion"].as_str().unwrap_or_default(), kind) else {
            continue;
        };
        let target = Target {
            resource,
            namespace: "default",
            name: "kubernetes",
        };
        put(registry, &target, object).await?;
    }
    Ok(())
}

/// Writes an object of this server's own making, without validation: the address of a server on a machine without
/// a network is a loopback address, which no client may set.
async fn put(registry: &Registry, target: &Target<'_>, mut object: Value) -> Result<(), Status> {
    let key = target.key();
    let live = registry.store().get(&key);
    target.resource.strategy.default(&mut object);
    let compare = match &live {
        Some(entry) => {
            let live = registry.parse(entry)?;
            if same_addresses(&live, &object) {
                return Ok(());
            }
            for field in ["uid", "creationTimestamp", "managedFields"] {
                if let Some(value) = live["metadata"].get(field) {
                    meta::metadata(&mut object).insert(field.into(), value.clone());
                }
            }
            Compare::At(key.clone(), entry.mod_revision)
        }
        None => {
            let metadata = meta::metadata(&mut object);
            metadata.insert("uid".into(), json!(uuid::Uuid::new_v4().to_string()));
            metadata.insert("creationTimestamp".into(), json!(meta::rfc3339(meta::now())));
            Compare::Absent(key.clone())
        }
    };
    let value = registry
        .inner
        .parts
        .codec
        .encode(target.resource, &key, &object)?;
    let txn = Txn {
        compare: vec![compare],
        ops: vec![Op::Put(key, value)],
    };
    match registry.store().commit(txn).await {
        // Another member was faster: that is as good.
        Ok(_) | Err(skiff_store::Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn same_addresses(a: &Value, b: &Value) -> bool {
    ["subsets", "endpoints", "ports"]
        .iter()
        .all(|field| a[*field] == b[*field])
}
