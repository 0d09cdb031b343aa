//! A namespace of a test.

use std::{fmt::Debug, net::SocketAddr, path::PathBuf, process::Command, sync::Mutex};

use anyhow::{Context, Result, bail};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Namespace as NamespaceObject, Pod, Service, ServiceAccount},
    },
};
use kube::{
    Api, Resource,
    api::{DeleteParams, ObjectMeta, PostParams},
    runtime::wait::await_condition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Background, Cluster, DEADLINE, Output, Words, cluster::finished, is_ready};

/// A namespace of a test on a cluster that may have others; deleted when dropped.
#[derive(Debug)]
pub struct Namespace<'c> {
    cluster: &'c Cluster,
    name: String,
    kubectl: PathBuf,
}

impl<'c> Namespace<'c> {
    pub(crate) fn create(cluster: &'c Cluster, name: String) -> Result<Self> {
        let namespace = Self {
            cluster,
            kubectl: cluster.kubectl_path().to_owned(),
            name,
        };
        let all: Api<NamespaceObject> = Api::all(cluster.client());
        let metadata = ObjectMeta {
            name: Some(namespace.name.clone()),
            ..Default::default()
        };
        let object = NamespaceObject {
            metadata,
            ..Default::default()
        };
        cluster
            .block_on(all.create(&PostParams::default(), &object))
            .context("create the namespace")?;
        namespace.wait::<ServiceAccount>("default", "to exist", |account| account.is_some())?;
        Ok(namespace)
    }

    /// The same namespace with another program as kubectl.
    pub fn with_kubectl(&mut self, program: PathBuf) {
        self.kubectl = program;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in.
    pub fn cluster(&self) -> &'c Cluster {
        self.cluster
    }

    /// Runs kubectl in this namespace.
    pub fn kubectl(&self, words: impl Words) -> Output {
        finished(crate::run(&mut self.kubectl_command(words)))
    }

    /// As [`Self::kubectl`], with standard input.
    pub fn kubectl_with_input(&self, words: impl Words, input: impl AsRef<[u8]>) -> Output {
        finished(crate::run_with_input(
            &mut self.kubectl_command(words),
            input.as_ref(),
        ))
    }

    /// [`Self::kubectl`] as a command that is not started yet.
    pub fn kubectl_command(&self, words: impl Words) -> Command {
        let mut command = self.cluster.in_its_network(Command::new(&self.kubectl));
        let home = self.cluster.home();
        command
            .args(["--namespace", &self.name])
            .args(words.words())
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("HOME", &home)
            .current_dir(home);
        command
    }

    /// Starts kubectl in this namespace beside the test.
    pub fn kubectl_in_background(&self, words: impl Words) -> Result<Background> {
        Background::start(&mut self.kubectl_command(words))
    }

    /// `kubectl apply -f -` of objects.
    pub fn apply(&self, objects: &[Value]) -> Result<String> {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl_with_input("apply -f -", list.to_string()).ok()
    }

    /// A kube-rs handle of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client(), &self.name)
    }

    /// The object now.
    pub fn get<K>(&self, name: &str) -> Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        Ok(self.cluster.block_on(self.api::<K>().get(name))?)
    }

    /// Watches an object until `condition` is true of it (`None`: it does not exist), and returns it as it was then.
    ///
    /// # Errors
    /// With the object as it was last, when that does not happen within [`DEADLINE`].
    pub fn wait<K>(&self, name: &str, what: &str, condition: impl Fn(Option<&K>) -> bool) -> Result<Option<K>>
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        let last: Mutex<Option<K>> = Mutex::new(None);
        let is_met = |object: Option<&K>| {
            if let Ok(mut last) = last.lock() {
                *last = object.cloned();
            }
            condition(object)
        };
        let waited = self.cluster.block_on(async {
            tokio::time::timeout(DEADLINE, await_condition(self.api::<K>(), name, is_met)).await
        });
        match waited {
            Ok(object) => Ok(object?),
            Err(_) => {
                let last = serde_json::to_string(&last.into_inner().ok().flatten())?;
                let events = self.kubectl("get events --sort-by=.lastTimestamp");
                bail!("waited {DEADLINE:?} for {name} {what}; it is {last}\n{events}")
            }
        }
    }

    /// Waits for a pod, which must exist by then.
    pub fn wait_pod(&self, name: &str, what: &str, condition: impl Fn(&Pod) -> bool) -> Result<Pod> {
        let pod = self.wait::<Pod>(name, what, |pod| pod.is_some_and(&condition))?;
        pod.context("the pod")
    }

    /// Waits until a pod is ready.
    pub fn wait_ready(&self, name: &str) -> Result<Pod> {
        self.wait_pod(name, "to be ready", is_ready)
    }

    /// Waits until a pod has ended and returns its logs.
    ///
    /// # Errors
    /// Also when it ended badly.
    pub fn wait_succeeded(&self, name: &str) -> Result<String> {
        let ended = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            matches!(phase, Some("Succeeded" | "Failed"))
        };
        let pod = self.wait_pod(name, "to end", ended)?;
        let logs = self.kubectl(["logs", name]).ok()?;
        if pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Failed") {
            bail!("{name} failed: {}\n{logs}", serde_json::to_string(&pod.status)?);
        }
        Ok(logs)
    }

    /// Waits until an object is gone.
    pub fn wait_gone<K>(&self, name: &str) -> Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned
            + Send
            + 'static,
        K::DynamicType: Default,
    {
        self.wait::<K>(name, "to be gone", |object| object.is_none())
            .map(|_| ())
    }

    /// Waits until a deployment has as many available replicas of its newest template as it wants, and no others.
    pub fn wait_rolled_out(&self, name: &str) -> Result<Deployment> {
        let is_complete = |deployment: Option<&Deployment>| {
            let Some(deployment) = deployment else {
                return false;
            };
            let wanted = deployment.spec.replicas;
            deployment.status.as_ref().is_some_and(|status| {
                status.observed_generation == deployment.metadata.generation
                    && status.updated_replicas.unwrap_or(0) == wanted.unwrap_or(1)
                    && status.available_replicas.unwrap_or(0) == wanted.unwrap_or(1)
                    && status.replicas.unwrap_or(0) == wanted.unwrap_or(1)
            })
        };
        self.wait(name, "to be rolled out", is_complete)?
            .context("the deployment")
    }

    /// Address and first port of a service inside the cluster.
    pub fn cluster_address(&self, service: &str) -> Result<SocketAddr> {
        let service: Service = self.get(service)?;
        let spec = service.spec.context("spec")?;
        let port = spec.ports.context("ports")?.first().context("a port")?.port;
        let address = spec.cluster_ip.context("cluster IP")?;
        Ok(SocketAddr::new(address.parse()?, u16::try_from(port)?))
    }

    /// First node port of a service, on loopback.
    pub fn node_address(&self, service: &str) -> Result<SocketAddr> {
        let service: Service = self.get(service)?;
        let port = service
            .spec
            .context("spec")?
            .ports
            .context("ports")?
            .first()
            .context("a port")?
            .node_port;
        Ok(SocketAddr::from((
            [127, 0, 0, 1],
            u16::try_from(port.context("a node port")?)?,
        )))
    }

    /// Names of the pods with this label selector, sorted.
    pub fn pods(&self, selector: &str) -> Result<Vec<String>> {
        let names = self.kubectl(["get", "pods", "-l", selector, "-o", "name"]).ok()?;
        let mut names: Vec<String> = names
            .lines()
            .map(|name| name.trim_start_matches("pod/").to_owned())
            .collect();
        names.sort();
        Ok(names)
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let all: Api<NamespaceObject> = Api::all(self.cluster.client());
        // The cluster may be stopped or gone by now: it takes everything along then.
        let _ = self.cluster.block_on(async {
            let at_once = DeleteParams::default();
            tokio::time::timeout(
                std::time::Duration::from_secs(2),
                all.delete(&self.name, &at_once),
            )
            .await
            .map(drop)
        });
    }
}
