//! What every cluster starts with: namespaces, roles and bindings, priority classes, and the service `kubernetes`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use serde_json::{Value, json};
use skiff_auth::User;
use skiff_resources::Part;
use skiff_store::{Compare, Op, Txn};

use super::{Registry, RequestContext, Target, meta};
use crate::{AUTHORITIES, status::Status};

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

/// The service `kubernetes` at the first service address, and, on a member that is alone, its endpoint.
async fn ensure_service(registry: &Registry, advertise: SocketAddr) -> Result<(), Status> {
    let cidr = registry.inner.parts.service_cidr.v4;
    let first = std::net::Ipv4Addr::from(u32::from(cidr.network()) + 1);
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIP": first.to_string(), "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": advertise.port()}]}});
    ensure(registry, service, false).await?;
    // With more members their leader says which of them are there.
    if registry.store().members().borrow().voters.len() > 1 {
        return Ok(());
    }
    registry.publish_servers(&[advertise], &[]).await
}

impl Registry {
    /// Writes where the API servers are: the endpoints of the service `kubernetes`. Servers on another port than the
    /// first one have a slice of their own, since a slice has one list of ports. With them goes which CAs are to be believed
    /// (see [`AUTHORITIES`]); none given: what is there stays.
    ///
    /// # Errors
    /// 503 without quorum.
    pub async fn publish_servers(
        &self,
        servers: &[SocketAddr],
        authorities: &[String],
    ) -> Result<(), Status> {
        let Some(first) = servers.first() else {
            return Ok(());
        };
        let mut by_port: BTreeMap<u16, Vec<String>> = BTreeMap::new();
        for server in servers {
            by_port
                .entry(server.port())
                .or_default()
                .push(server.ip().to_string());
        }
        let ports = |port: u16| json!([{"name": "https", "port": port, "protocol": "TCP"}]);
        let subsets: Vec<Value> = by_port
            .iter()
            .map(|(port, ips)| {
                let addresses: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
                json!({"addresses": addresses, "ports": ports(*port)})
            })
            .collect();
        let mut objects = vec![json!({"apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
            "subsets": subsets})];
        for (port, ips) in &by_port {
            let name = if *port == first.port() {
                "kubernetes".to_owned()
            } else {
                format!("kubernetes-{port}")
            };
            let endpoints: Vec<Value> = ips
                .iter()
                .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
                .collect();
            let mut slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": "default",
                    "labels": {"kubernetes.io/service-name": "kubernetes"}},
                "addressType": if first.is_ipv4() { "IPv4" } else { "IPv6" },
                "endpoints": endpoints, "ports": ports(*port)});
            if !authorities.is_empty() {
                slice["metadata"]["annotations"] = json!({ (AUTHORITIES): authorities.join(",") });
            }
            objects.push(slice);
        }
        let mut wanted = BTreeSet::new();
        for object in objects {
            let kind = object["kind"].as_str().unwrap_or_default();
            let Some(resource) = self.kind(object["apiVersion"].as_str().unwrap_or_default(), kind) else {
                continue;
            };
            let name = meta::name(&object).to_owned();
            let target = Target {
                resource,
                namespace: "default",
                name: &name,
            };
            wanted.insert(target.key());
            put(self, &target, object).await?;
        }
        self.drop_slices_but(&wanted).await
    }

    /// Deletes the slices of servers on ports that no server has any more.
    async fn drop_slices_but(&self, wanted: &BTreeSet<bytes::Bytes>) -> Result<(), Status> {
        let Some(slices) = self.resource("discovery.k8s.io", "v1", "endpointslices") else {
            return Ok(());
        };
        let page = self.store().range(&skiff_store::Range {
            prefix: super::key(slices, "default", "kubernetes"),
            ..Default::default()
        })?;
        for entry in page.entries.iter().filter(|entry| !wanted.contains(&entry.key)) {
            let live = self.parse(entry)?;
            if live["metadata"]["labels"]["kubernetes.io/service-name"] != "kubernetes" {
                continue;
            }
            let txn = Txn {
                compare: vec![Compare::At(entry.key.clone(), entry.mod_revision)],
                ops: vec![Op::Delete(entry.key.clone(), None)],
            };
            self.store().commit(txn).await?;
        }
        Ok(())
    }
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
            let annotations = &live["metadata"]["annotations"];
            if object["metadata"]["annotations"].is_null() && !annotations.is_null() {
                meta::metadata(&mut object).insert("annotations".into(), annotations.clone());
            }
            if says_the_same(&live, &object) {
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

fn says_the_same(a: &Value, b: &Value) -> bool {
    ["/subsets", "/endpoints", "/ports", "/metadata/annotations"]
        .iter()
        .all(|field| a.pointer(field) == b.pointer(field))
}
